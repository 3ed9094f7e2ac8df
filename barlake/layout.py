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
    "CALENDAR_FILE",
    "CATALOGUE_FILE",
    "DAMAGED_FOLDER",
    "DATABASE_FILE",
    "MANIFEST_FILE",
    "RESTORING_FILE",
    "REVISIONS",
    "TEMPORARY_PREFIX",
    "parse_partition_path",
    "partition_path",
]

BARS = "bars"
REVISIONS = "revisions"

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
    return PurePosixPath(
        "parquet",
        dataset,
        f"feed={key.feed}",
        f"symbol={quote(key.symbol, safe='')}",
        f"dt={key.period.label}",
    )


def parse_partition_path(path: PurePosixPath) -> tuple[str, PartitionKey]:
    """Dataset and key that `partition_path` was given.

    Raises
    ------
    InvalidInputError
        If the path is not one that `partition_path` makes.
    """
    parts = path.parts
    names = ("feed=", "symbol=", "dt=")
    depth = 5
    if len(parts) != depth or parts[0] != "parquet":
        raise InvalidInputError(f"path {str(path)!r} is not parquet/<dataset>/feed=/symbol=/dt=.")
    values = []
    for part, name in zip(parts[2:], names, strict=True):
        if not part.startswith(name):
            raise InvalidInputError(f"path {str(path)!r} has {part!r} where {name!r} belongs.")
        values.append(unquote(part.removeprefix(name)))
    feed, symbol, label = values
    key = PartitionKey(parse_feed(feed), parse_symbol(symbol), Period.parse(label))
    if partition_path(parts[1], key) != path:
        raise InvalidInputError(f"path {str(path)!r} is spelled otherwise than {partition_path(parts[1], key)}.")
    return parts[1], key
