"""Barlake: a local-first analytical store for minute bars.

>>> import barlake
>>> lake = barlake.open("data")                                     # doctest: +SKIP
>>> lake.bars("SPY", "2024-01-02", "2024-02-01", timeframe="5Min")  # doctest: +SKIP
"""

from barlake.errors import (
    BarlakeError,
    ConflictError,
    CredentialsError,
    FormatError,
    InvalidInputError,
    LookAheadError,
    NotFoundError,
    SourceError,
    StorageError,
)
from barlake.lake import Lake
from barlake.lake import open_lake as open  # noqa: A004 - reads `barlake.open(path)`
from barlake.settings import Settings
from barlake.snapshots import Snapshot

__all__ = [
    "BarlakeError",
    "ConflictError",
    "CredentialsError",
    "FormatError",
    "InvalidInputError",
    "Lake",
    "LookAheadError",
    "NotFoundError",
    "Settings",
    "Snapshot",
    "SourceError",
    "StorageError",
    "open",
]
