"""Bars out of somebody's DuckDB file: any file with a view or table `bars`, opened read-only.

It needs the columns symbol, timestamp (with time zone), open, high, low, close and volume; a column `feed`
says which feed a row is from, and without one all rows are of one feed. No SQL is written here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import polars as pl

from barlake.errors import FormatError, InvalidInputError, NotFoundError, did_you_mean
from barlake.keys import parse_feed, parse_symbol
from barlake.schemas import BAR_VALUES

__all__ = ["UNNAMED_FEED", "read_bars_from_duckdb", "symbols_in_duckdb"]

UNNAMED_FEED = "external"
"""The feed of rows that do not say theirs."""

_NEEDED = {
    "symbol": "VARCHAR",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "open": "DOUBLE",
    "high": "DOUBLE",
    "low": "DOUBLE",
    "close": "DOUBLE",
    "volume": "BIGINT",
}
_OPTIONAL = {"trade_count": "BIGINT", "vwap": "DOUBLE"}


def symbols_in_duckdb(path: Path) -> pl.DataFrame:
    """One row per feed and symbol of the file: feed, symbol; sorted.

    Raises
    ------
    NotFoundError, FormatError, InvalidInputError
        As `read_bars_from_duckdb`.
    """
    with _bars_in(path) as bars:
        pairs: pl.DataFrame = bars.select("feed", "symbol").distinct().pl()
    return pairs.sort("feed", "symbol")


def read_bars_from_duckdb(path: Path, symbols: Sequence[str], feed: str) -> pl.DataFrame:
    """All bars of some symbols of one feed, sorted by symbol, then by timestamp.

    Returns
    -------
    feed, symbol, timestamp (UTC), open, high, low, close, volume, trade_count, vwap. Values are as they
    stand in the file: nothing is checked or repaired but the types.

    Raises
    ------
    NotFoundError
        If the file, or a symbol in it, is not there.
    FormatError
        If DuckDB cannot open or read it.
    InvalidInputError
        If it has no `bars`, a column is missing or of another type, or timestamps carry no time zone.
    """
    names, feed = [parse_symbol(symbol) for symbol in symbols], parse_feed(feed)
    known = symbols_in_duckdb(path).filter(pl.col("feed") == feed)["symbol"].to_list()
    for name in names:
        if name not in known:
            raise NotFoundError(f"symbol {name!r} has no bars for feed {feed!r} in {path}.{did_you_mean(name, known)}")
    with _bars_in(path) as bars:
        constants = [duckdb.ConstantExpression(name) for name in names]
        wanted = duckdb.ColumnExpression("symbol").isin(*constants) & (
            duckdb.ColumnExpression("feed") == duckdb.ConstantExpression(feed)
        )
        frame: pl.DataFrame = bars.filter(wanted).select("feed", "symbol", "timestamp", *BAR_VALUES).pl()
    in_utc = pl.col("timestamp").dt.cast_time_unit("us").dt.convert_time_zone("UTC")
    return frame.with_columns(in_utc).sort("symbol", "timestamp", maintain_order=True)


@contextlib.contextmanager
def _bars_in(path: Path) -> Iterator[duckdb.DuckDBPyRelation]:
    if not path.is_file():
        raise NotFoundError(f"SOURCE_DUCKDB_PATH {path} is no file: name a DuckDB file that holds `bars`.")
    try:
        with contextlib.closing(duckdb.connect(path, read_only=True)) as connection:
            connection.execute("SET enable_progress_bar = false")  # as for a catalogue: it goes to standard output
            yield _typed(connection, path)
    except duckdb.Error as error:
        raise FormatError(
            f"{path} cannot be read as DuckDB bars: {error}. Close who writes in it, or export it again."
        ) from error


def _typed(connection: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyRelation:
    try:
        bars = connection.table("bars")
    except duckdb.CatalogException as error:
        raise InvalidInputError(
            f"{path} has no view or table `bars`: make one with the columns {', '.join(_NEEDED)}."
        ) from error
    types = dict(zip(bars.columns, map(str, bars.types), strict=True))
    missing = [name for name in _NEEDED if name not in types]
    if missing:
        raise InvalidInputError(f"`bars` in {path} lacks {', '.join(missing)}: add the columns to the view.")
    if types["timestamp"] != _NEEDED["timestamp"]:
        raise InvalidInputError(
            f"timestamp of `bars` in {path} is {types['timestamp']}: it must be {_NEEDED['timestamp']}, so that it "
            "means one instant. Cast it in the view, naming its zone."
        )
    columns = [duckdb.ColumnExpression(name).cast(kind).alias(name) for name, kind in _NEEDED.items()]
    for name, kind in _OPTIONAL.items():
        value = duckdb.ColumnExpression(name) if name in types else duckdb.ConstantExpression(None)
        columns.append(value.cast(kind).alias(name))
    own = duckdb.ColumnExpression("feed") if "feed" in types else duckdb.ConstantExpression(UNNAMED_FEED)
    return bars.select(*columns, own.cast("VARCHAR").alias("feed"))
