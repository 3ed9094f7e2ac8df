"""Minute bars to longer bars. Pure: frames in, frames out, lazy ones where they came lazy.

Buckets lie on the clock in New York, as Alpaca's do, and never cross the border of a session nor, below
`1Day`, the opening or the close: the hour from 09:00 gives a pre-market bar at 09:00 and a regular bar
at 09:30. Every bar says how many minute bars it was made of.
"""

from __future__ import annotations

from typing import TypeVar

import polars as pl

from barlake.errors import InvalidInputError
from barlake.keys import SessionFilter, Timeframe

__all__ = ["Bars", "filter_session", "resample", "with_bucket", "with_session_part"]

Bars = TypeVar("Bars", pl.DataFrame, pl.LazyFrame)
"""Bars in memory, or bars to be read: what goes in is what comes out."""

_MINUTES = {Timeframe.MINUTE_5: 5, Timeframe.MINUTE_15: 15, Timeframe.HOUR: 60}
_MINUTE_US = 60_000_000


def with_session_part(bars: Bars, sessions: pl.DataFrame) -> Bars:
    """The same rows with `part` (`pre`, `regular`, `post`, or null outside any session) and `part_start`.

    A bar before the pre-market opens, as of futures or coins, is `pre` and has no `part_start`.

    Parameters
    ----------
    bars
        With `session` (Date) and `timestamp`.
    sessions
        `Calendar.frame` or a part of it that covers the bars.
    """
    bounds = sessions.lazy().select("session", "pre_open", session_open="open", session_close="close")
    joined = bars.lazy().join(bounds, on="session", how="left", maintain_order="left")
    stamp = pl.col("timestamp")
    part = (
        pl.when(stamp < pl.col("session_open"))
        .then(pl.lit(SessionFilter.PRE.value))
        .when(stamp < pl.col("session_close"))
        .then(pl.lit(SessionFilter.REGULAR.value))
        .when(pl.col("session_close").is_not_null())
        .then(pl.lit(SessionFilter.POST.value))
    )
    start = (
        pl.when(stamp < pl.col("pre_open"))
        .then(None)
        .when(stamp < pl.col("session_open"))
        .then("pre_open")
        .when(stamp < pl.col("session_close"))
        .then("session_open")
        .otherwise("session_close")
    )
    labelled = joined.with_columns(part.alias("part"), start.alias("part_start")).drop(
        "session_open", "session_close", "pre_open"
    )
    return labelled.collect() if isinstance(bars, pl.DataFrame) else labelled


def filter_session(bars: Bars, sessions: pl.DataFrame, session_filter: SessionFilter) -> Bars:
    """Rows of one part of the session; `ALL` keeps every row, also those on no session date."""
    if session_filter is SessionFilter.ALL:
        return bars
    bounds = sessions.lazy().select("session", session_open="open", session_close="close")
    stamp = pl.col("timestamp")
    inside = {
        SessionFilter.PRE: stamp < pl.col("session_open"),
        SessionFilter.REGULAR: (stamp >= pl.col("session_open")) & (stamp < pl.col("session_close")),
        SessionFilter.POST: stamp >= pl.col("session_close"),
    }
    joined = bars.lazy().join(bounds, on="session", how="left", maintain_order="left")
    rows = joined.filter(inside[session_filter]).drop("session_open", "session_close")
    return rows.collect() if isinstance(bars, pl.DataFrame) else rows


def resample(bars: Bars, timeframe: Timeframe, sessions: pl.DataFrame) -> Bars:
    """Bars of a longer timeframe.

    Parameters
    ----------
    bars
        Minute bars of one symbol with `session`, sorted by timestamp.

    Returns
    -------
    feed, symbol, session, timestamp (the bucket's opening instant, never before the part's own; for
    `1Day` the part of the session that holds the first bar), open, high, low, close, volume,
    trade_count (null if any is), vwap (volume-weighted over the bars that have one), minutes, derived
    (always true: Alpaca's daily bars follow other trade rules and differ).

    Raises
    ------
    InvalidInputError
        If the timeframe is `1Min`: those are the bars themselves.
    """
    if timeframe is Timeframe.MINUTE:
        raise InvalidInputError("timeframe '1Min' is what is stored: ask for a longer one to resample.")
    if timeframe is Timeframe.DAY:
        # What part a day opens in is asked of its first bar alone, not of every minute.
        daily = _grouped(bars, ["session"])
        starting = with_session_part(daily, sessions).drop("part")
    else:
        starting = _grouped(with_bucket(bars, timeframe, sessions), ["session", "bucket"])
        starting = starting.rename({"bucket": "part_start"})
    # A bar in no part, or before its part starts, opens the bucket with its own minute.
    return starting.with_columns(pl.coalesce("part_start", "timestamp").alias("timestamp")).select(
        "feed", "symbol", "session", "timestamp", "open", "high", "low", "close",
        "volume", "trade_count", "vwap", "minutes", "derived",
    )  # fmt: skip


def with_bucket(rows: Bars, timeframe: Timeframe, sessions: pl.DataFrame) -> Bars:
    """The same minutes with `bucket`: the opening instant of the bar of a timeframe from `5Min` to `1Hour` they are in.

    Parameters
    ----------
    rows
        With `session` and `timestamp`.
    """
    width = _bucket(_MINUTES[timeframe]).alias("bucket")
    return with_session_part(rows, sessions).with_columns(width).drop("part", "part_start")


def _grouped(bars: Bars, groups: list[str]) -> Bars:
    """One row per group, in the order of their first bars; plain sums, for they are added up while reading."""
    weight = pl.when(pl.col("vwap").is_not_null()).then(pl.col("volume"))
    sums = bars.group_by(groups, maintain_order=True).agg(
        pl.col("feed").first(),
        pl.col("symbol").first(),
        pl.col("timestamp").first(),
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        pl.col("trade_count").sum(),
        pl.col("trade_count").null_count().alias("uncounted"),
        (pl.col("vwap") * pl.col("volume")).sum().alias("traded"),
        weight.sum().alias("weight"),
        pl.len().cast(pl.Int64).alias("minutes"),
    )
    return sums.with_columns(
        pl.when(pl.col("uncounted") == 0).then(pl.col("trade_count")).alias("trade_count"),
        pl.when(pl.col("weight") > 0).then(pl.col("traded") / pl.col("weight")).alias("vwap"),
        pl.lit(value=True).alias("derived"),
    )


def _bucket(minutes: int) -> pl.Expr:
    """Start of the clock bucket, moved up to the part's start where the bucket began before it.

    Whole hours of New York are whole hours of UTC, so integer division of the epoch is clock-aligned
    and much faster than a calendar truncation.
    """
    width = minutes * _MINUTE_US
    epoch = pl.col("timestamp").dt.epoch("us")
    start = (epoch // width * width).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.max_horizontal(start, pl.col("part_start"))
