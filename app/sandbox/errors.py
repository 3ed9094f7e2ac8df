"""What may go wrong with a query in the sandbox."""

from __future__ import annotations

from barlake.errors import ConflictError, InvalidInputError

__all__ = ["SqlBusyError", "SqlDeniedError", "SqlLimitError"]


class SqlDeniedError(InvalidInputError):
    """The query asks for something that the sandbox does not offer; the message names it."""


class SqlLimitError(InvalidInputError):
    """The query took longer, or more memory or room, than it may."""


class SqlBusyError(ConflictError):
    """As many queries as may run are running, and as many as may wait are waiting."""
