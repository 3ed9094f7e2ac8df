"""Keys to paths and paths to keys. Pure: no disk is touched.

Every path is relative to the lake's root and POSIX-spelled, as the manifest stores it. Symbols are
percent-encoded, so `BTC/USD` is one folder.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import quote, unquote

from barlake.errors import InvalidInputError
from barlake.keys import PartitionKey, Period, parse_feed, parse_symbol

__all__ = [
    "BARS",
    "BAR_DATASETS",
    "CALENDAR_FILE",
    "CATALOGUE_FILE",
    "DAILY",
    "DAMAGED_FOLDER",
    "DATABASE_FILE",
    "DATASETS",
    "EVERY_SYMBOL",
    "MACRO",
    "MANIFEST_FILE",
    "NEWS",
    "RECORD_DATASETS",
    "RESTORING_FILE",
    "REVISIONS",
    "TEMPORARY_PREFIX",
    "folder_names",
    "parse_partition_path",
    "partition_path",
]

BARS = "bars"
REVISIONS = "revisions"
DAILY = "daily"
NEWS = "news"
MACRO = "macro"

BAR_DATASETS = (BARS, REVISIONS)
RECORD_DATASETS = (DAILY, NEWS, MACRO)
"""Daily bars, articles and macro values: every version of each record, kept for ever."""

DATASETS = (*BAR_DATASETS, *RECORD_DATASETS)
"""Whose files the manifest keeps."""

EVERY_SYMBOL = "*"
"""What stands for the symbol in the key of a file that is not of one symbol."""

_OF_BARS = ("feed", "symbol", "dt")
_FOLDERS = {DAILY: ("source", "symbol", "dt"), NEWS: ("source", "dt"), MACRO: ("source", "series", "dt")}

CALENDAR_FILE = PurePosixPath("calendar/xnys.parquet")
CATALOGUE_FILE = PurePosixPath("duckdb/market.duckdb")
MANIFEST_FILE = PurePosixPath("manifest/manifest.sqlite")
DATABASE_FILE = PurePosixPath("manifest/database.json")
"""Which database holds the manifest, where it is not in the file above."""

RESTORING_FILE = PurePosixPath(".restoring")
"""A folder that holds it is being restored into, and is no lake yet."""

DAMAGED_FOLDER = PurePosixPath("damaged")
"""Files that no longer count because they are damaged, under their old paths; nothing ever deletes them."""

TEMPORARY_PREFIX = ".tmp-"
"""A file that starts so was never committed; no glob of `*.parquet` under Hive folders should count it."""


def partition_path(dataset: str, key: PartitionKey) -> PurePosixPath:
    """Folder of one partition, below the lake's root.

    Examples
    --------
    >>> str(partition_path("bars", PartitionKey("sip", "BTC/USD", Period.parse("2024-01"))))
    'parquet/bars/feed=sip/symbol=BTC%2FUSD/dt=2024-01'
    """
    values = [key.feed, quote(key.symbol, safe=""), key.period.label]
    if dataset == NEWS:
        del values[1]
    named = zip(folder_names(dataset), values, strict=True)
    return PurePosixPath("parquet", dataset, *(f"{name}={value}" for name, value in named))


def folder_names(dataset: str) -> tuple[str, ...]:
    """What the folders of a dataset are named after, outermost first."""
    return _FOLDERS.get(dataset, _OF_BARS)


def parse_partition_path(path: PurePosixPath) -> tuple[str, PartitionKey]:
    """Dataset and key that `partition_path` was given.

    Raises
    ------
    InvalidInputError
        If the path is not one that `partition_path` makes.
    """
    parts = path.parts
    names = folder_names(parts[1]) if len(parts) > 1 else _OF_BARS
    if len(parts) != len(names) + 2 or parts[0] != "parquet":
        raise InvalidInputError(f"path {str(path)!r} is not parquet/<dataset>/{'=/'.join(names)}=.")
    values = []
    for part, name in zip(parts[2:], names, strict=True):
        if not part.startswith(f"{name}="):
            raise InvalidInputError(f"path {str(path)!r} has {part!r} where '{name}=' belongs.")
        values.append(unquote(part.removeprefix(f"{name}=")))
    feed, label = values[0], values[-1]
    symbol = EVERY_SYMBOL if parts[1] == NEWS else parse_symbol(values[1])
    key = PartitionKey(parse_feed(feed), symbol, Period.parse(label))
    if partition_path(parts[1], key) != path:
        raise InvalidInputError(f"path {str(path)!r} is spelled otherwise than {partition_path(parts[1], key)}.")
    return parts[1], key
