"""The one tree of errors. Each class says what the catcher would do, not where the fault arose.

BarlakeError
├── InvalidInputError (ValueError)    mend the call: the message names parameter, value, rule and next step
├── NotFoundError (KeyError)          ask for less, or ingest it first
├── ConflictError                     another writer was first: try again
├── FormatError                       disk and manifest disagree: verify or rebuild
├── StorageError                      the disk refused: free space or mend permissions, then run again
├── SourceError                       the data source failed: wait, then run again
│   └── CredentialsError              the source refused the key: mend the key, waiting does not help
└── LookAheadError (ValueError)       the research looked into the future: mend it, never catch this
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "BarlakeError",
    "ConflictError",
    "CredentialsError",
    "FormatError",
    "InvalidInputError",
    "LookAheadError",
    "NotFoundError",
    "SourceError",
    "StorageError",
    "did_you_mean",
]


class BarlakeError(Exception):
    """Whatever this project raises on purpose."""


class InvalidInputError(BarlakeError, ValueError):
    """The call or the file is wrong as given; the same call will fail again."""


class NotFoundError(BarlakeError, KeyError):
    """What was asked for is not in the lake."""

    def __str__(self) -> str:
        # KeyError would show its message in quotes, with escapes.
        return str(self.args[0]) if self.args else ""


class ConflictError(BarlakeError):
    """Another writer committed first; nothing was written and the call may be repeated."""


class FormatError(BarlakeError):
    """A file on disk is not what the manifest says it is."""


class StorageError(BarlakeError):
    """The operating system refused to store bytes; nothing was half written."""


class SourceError(BarlakeError):
    """A data source did not answer, or answered with nothing usable, after all retries."""


class CredentialsError(SourceError):
    """The source refused the key, the secret or the plan behind them."""


class LookAheadError(BarlakeError, ValueError):
    """A value was used before it could be known."""


def did_you_mean(given: str, known: Iterable[str], *, limit: int = 3) -> str:
    """Sentence that offers the known names closest to a mistyped one, or an empty string.

    Examples
    --------
    >>> did_you_mean("APPL", ["AAPL", "SPY"])
    " Did you mean 'AAPL'?"
    >>> did_you_mean("ZZZ", ["AAPL", "SPY"])
    ''
    """
    close = difflib.get_close_matches(given, list(known), n=limit, cutoff=0.6)
    if not close:
        return ""
    return " Did you mean " + " or ".join(repr(name) for name in close) + "?"
