"""The newest bars of symbols: the end of each one's last file, found by the rows the manifest counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from barlake.errors import InvalidInputError
from barlake.partitions import read_files, reading_errors
from barlake.schemas import BARS
from barlake.sessions import session_dates

if TYPE_CHECKING:
    from barlake.lake import Lake

__all__ = ["latest_bars"]


def latest_bars(lake: Lake, symbols: Sequence[str], *, bars: int, feed: str) -> pl.DataFrame:
    """The last `bars` minute bars of each symbol, by symbol in the order given, then by timestamp.

    Raises
    ------
    InvalidInputError
        If `bars` is below 1.
    """
    if bars < 1:
        raise InvalidInputError(f"bars {bars} asks for no bar: give 1 or more.")
    with reading_errors():
        found = pl.concat(pl.collect_all([_ending(lake, feed, symbol, bars) for symbol in symbols]))
    return found.insert_column(2, session_dates(found["timestamp"], feed).alias("session"))


def _ending(lake: Lake, feed: str, symbol: str, bars: int) -> pl.LazyFrame:
    files = lake.manifest.last_files(feed=feed, symbol=symbol, rows=bars)
    beyond = max(sum(rows for _, rows in files) - bars, 0)
    lazy = read_files(lake.store, [path for path, _ in files], labelled=True)
    return lazy.slice(beyond, bars).select("feed", "symbol", *BARS.names)
