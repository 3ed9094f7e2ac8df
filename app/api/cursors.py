"""Cursors: where the next page of a question begins, as text that clients hand back unread."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from barlake.errors import InvalidInputError

__all__ = ["make_cursor", "read_cursor"]

_DIGEST_LETTERS = 16


def make_cursor(question: Mapping[str, Any], place: Mapping[str, str | None]) -> str:
    """Text for the place where the next page begins, good for this question alone.

    Parameters
    ----------
    question
        Everything that says which rows, but for how many of them.
    """
    content = {"of": _digest(question), **place}
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(cursor: str, question: Mapping[str, Any]) -> dict[str, str | None]:
    """The place that `make_cursor` was given.

    Raises
    ------
    InvalidInputError
        If it is no cursor, or one of another question.

    Examples
    --------
    >>> read_cursor(make_cursor({"symbol": "SPY"}, {"after": "2024-01-02"}), {"symbol": "SPY"})
    {'after': '2024-01-02'}
    """
    try:
        content = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:  # the last: brackets within brackets without end
        raise _unfit(cursor, "is none that an answer gave") from error
    if not isinstance(content, dict) or not all(isinstance(value, str | None) for value in content.values()):
        raise _unfit(cursor, "is none that an answer gave")
    if content.pop("of", None) != _digest(question):
        raise _unfit(cursor, "is of another question")
    return content


def _unfit(cursor: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"cursor {cursor[:40]!r} {why}: hand back `next_cursor` as it came, with the same parameters, or leave it out "
        "to begin again."
    )


def _digest(question: Mapping[str, Any]) -> str:
    text = json.dumps({name: str(value) for name, value in question.items() if value is not None}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LETTERS]
