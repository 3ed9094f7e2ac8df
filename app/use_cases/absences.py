"""What a picture shows of bars that are not there: absent minutes and sessions, in the candles' own buckets."""

from __future__ import annotations

import datetime as dt

import polars as pl

from app.use_cases.candle_intervals import CandleInterval, bucket_of
from barlake.coverage import GapClass
from barlake.keys import SessionFilter, Timeframe
from barlake.lake import Lake
from barlake.ranges import TimeRange
from barlake.resample import with_bucket

__all__ = ["absent_buckets", "absent_sessions"]

_NO_GAP = (GapClass.CLOSED.value, GapClass.NOT_YET.value)
"""Nothing is expected of these minutes: the exchange was closed, or they are still to come."""

_WHOLE = (SessionFilter.PRE, SessionFilter.POST)
"""How many bars a session has before and after hours nobody can know: only whole sessions are missed there."""


def absent_sessions(
    lake: Lake, symbol: str, first: dt.date, end: dt.date, *, feed: str, as_of: dt.datetime | None
) -> pl.DataFrame:
    """One row per session of [first, end) that lacks regular minutes: session, held_bars, minutes, class, evidence."""
    found = lake.gaps(symbol, first, end, feed=feed, as_of=as_of)
    expected = found.filter(~pl.col("class").is_in(_NO_GAP))
    return expected.select("session", "held_bars", pl.col("missing_bars").alias("minutes"), "class", "evidence")


def absent_buckets(
    lake: Lake,
    symbol: str,
    span: TimeRange,
    sessions: pl.DataFrame,
    held: pl.Series,
    *,
    feed: str,
    interval: CandleInterval,
    session: SessionFilter,
    as_of: dt.datetime | None,
) -> pl.DataFrame:
    """Regular minutes that are absent, by the candle they would be in.

    Parameters
    ----------
    span
        Of instants; both sides given.
    sessions
        As `absent_sessions` gives them for the span.
    held
        Sessions with any bar.

    Returns
    -------
    bucket (an instant below `1Day`, else a date; whole sessions have their noon), session and last_session (of the
    absent minutes), missing (how many), whole_sessions (of which no bar is held), class and evidence (of most of
    the minutes); oldest first.
    """
    whole = ~pl.col("session").is_in(held.implode())
    if not interval.is_intraday:
        kept = sessions.filter(whole) if session in _WHOLE else sessions
        return _by_bucket(kept.with_columns(bucket_of(interval), whole.alias("whole")))
    gone = sessions.filter(whole).with_columns(_noon().alias("bucket"), whole=pl.lit(value=True))
    if session in _WHOLE or as_of is not None:
        return _by_bucket(gone)
    runs = lake.missing_minutes(symbol, span.start, span.end, feed=feed)
    runs = runs.filter(~pl.col("class").is_in(_NO_GAP), ~whole)
    minutes = _each_minute(runs, lake, feed, interval).with_columns(whole=pl.lit(value=False))
    columns = ["bucket", "session", "minutes", "whole", "class", "evidence"]
    return _by_bucket(pl.concat([gone.select(columns), minutes.select(columns)]))


def _noon() -> pl.Expr:
    """An instant amid each session, to stand for all of it."""
    local = pl.col("session").dt.combine(pl.lit(dt.time(12)), time_unit="us")
    return local.dt.replace_time_zone("America/New_York").dt.convert_time_zone("UTC")


def _each_minute(runs: pl.DataFrame, lake: Lake, feed: str, interval: CandleInterval) -> pl.DataFrame:
    """Runs of minutes minute by minute, with the bucket of each."""
    each = runs.with_columns(pl.datetime_ranges("first", "last", "1m", closed="both").alias("timestamp"))
    each = each.explode("timestamp").with_columns(minutes=pl.lit(1, pl.Int64))
    if interval.timeframe is Timeframe.MINUTE:
        return each.with_columns(pl.col("timestamp").alias("bucket"))
    return with_bucket(each, interval.timeframe, lake.calendar.of(feed).frame)


def _by_bucket(absent: pl.DataFrame) -> pl.DataFrame:
    by_class = absent.group_by("bucket", "class", maintain_order=True).agg(
        pl.col("session").min(),
        pl.col("session").max().alias("last_session"),
        pl.col("minutes").sum(),
        pl.col("whole").sum().cast(pl.Int64).alias("whole_sessions"),
        pl.col("evidence").first(),
    )
    most = pl.col("class", "evidence").sort_by("minutes", descending=True, maintain_order=True).first()
    return (
        by_class.group_by("bucket", maintain_order=True)
        .agg(
            pl.col("session").min(),
            pl.col("last_session").max(),
            pl.col("minutes").sum().alias("missing"),
            pl.col("whole_sessions").sum(),
            most,
        )
        .sort("bucket")
    )
