"""Bars out of a lake, as they were asked for and in the form they were asked for.

Everything is one lazy frame until the form is known: what is asked of it reaches the Parquet files.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

import polars as pl

from barlake.adjust import adjust, parse_adjustment
from barlake.errors import InvalidInputError
from barlake.factors import factors_of
from barlake.keys import Adjustment, SessionFilter, Timeframe
from barlake.partitions import as_arrow, reading_errors
from barlake.ranges import TimeRange, parse_instant
from barlake.reader import read_bars
from barlake.resample import filter_session, resample

if TYPE_CHECKING:
    import pandas as pd

    from barlake.lake import Lake

__all__ = ["BarOptions", "Output", "as_pandas", "parse_output", "scan_bars"]

Output = Literal["polars", "lazy", "arrow", "pandas", "duckdb"]
"""The forms bars come in."""


class BarOptions(TypedDict, total=False):
    """Which bars, and in which terms; said in full at `Lake.bars`."""

    timeframe: str
    session: str
    feed: str | None
    as_of: dt.datetime | str | None
    adjustment: str


def parse_output(value: str) -> Output:
    """Form of that name; `InvalidInputError` lists the names there are."""
    known: tuple[Output, ...] = get_args(Output)
    for name in known:
        if name == value:
            return name
    raise InvalidInputError(f"output {value!r} is not known: use one of {', '.join(known)}.")


def scan_bars(
    lake: Lake,
    symbols: Sequence[str],
    span: TimeRange,
    *,
    timeframe: str = Timeframe.MINUTE,
    session: str = SessionFilter.ALL,
    feed: str | None = None,
    as_of: dt.datetime | str | None = None,
    adjustment: str = Adjustment.RAW,
) -> pl.LazyFrame:
    """Lazy bars by symbol in the order given, then by timestamp; options and columns as in `Lake.bars`.

    The manifest is asked now, the files are read when the frame is collected: it shows the lake of this
    moment, for as long as `barlake vacuum` leaves replaced files in place.
    """
    kind, part, terms = Timeframe.parse(timeframe), SessionFilter.parse(session), parse_adjustment(adjustment)
    moment, feed = parse_instant(as_of, "as_of"), lake.feed_of(symbols, feed)
    calendar = lake.calendar.frame

    def of(symbol: str) -> pl.LazyFrame:
        rows = read_bars(lake.root, lake.manifest, feed=feed, symbol=symbol, span=span, as_of=moment)
        if terms is not Adjustment.RAW:
            factors = factors_of(lake.root, lake.manifest, calendar, feed=feed, symbol=symbol, as_of=moment)
            with reading_errors():
                rows = adjust(rows, factors, terms)
        rows = filter_session(rows, calendar, part)
        return rows if kind is Timeframe.MINUTE else resample(rows, kind, calendar)

    return pl.concat([of(symbol) for symbol in symbols])


def as_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """The same rows and columns in pandas, numbered from 0.

    Returns
    -------
    Instants as `datetime64[us, UTC]`, `session` as a date at midnight without zone, names as `str`,
    `trade_count` as nullable `Int64` whether or not one is null, everything else as NumPy has it.
    """
    table = as_arrow(frame)
    found: pd.DataFrame = table.to_pandas(date_as_object=False)
    if "trade_count" in found:
        found["trade_count"] = table["trade_count"].to_pandas().astype("Int64")
    return found
