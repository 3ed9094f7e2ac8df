"""How long the candles of a picture are: the shortest length of which not too many fill a range. Pure."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from itertools import pairwise

import polars as pl

from barlake.keys import SessionFilter, Timeframe, parse_member
from barlake.ranges import TimeRange

__all__ = ["AUTO", "CandleInterval", "bucket_of", "candle_count", "lengthen", "parse_interval", "shortest_interval"]

AUTO = "auto"
"""Asks for the shortest candles that fit."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FAR = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)


class CandleInterval(StrEnum):
    """Length of a candle, the shortest first: the lake's timeframes, then weeks from Monday, months and quarters."""

    MINUTE = "1Min"
    MINUTE_5 = "5Min"
    MINUTE_15 = "15Min"
    HOUR = "1Hour"
    DAY = "1Day"
    WEEK = "1Week"
    MONTH = "1Month"
    QUARTER = "1Quarter"

    @property
    def timeframe(self) -> Timeframe:
        """Bars of the lake that a candle is, or is made of."""
        return Timeframe(self) if self.is_timeframe else Timeframe.DAY

    @property
    def is_timeframe(self) -> bool:
        """Whether the lake gives bars of this length."""
        return self in _TIMEFRAMES

    @property
    def is_intraday(self) -> bool:
        """Whether a session has several candles."""
        return self in _MINUTES

    @property
    def longer(self) -> CandleInterval | None:
        """The next length, or None."""
        members = list(CandleInterval)
        place = members.index(self) + 1
        return members[place] if place < len(members) else None


_TIMEFRAMES = frozenset(member.value for member in Timeframe)
_MINUTES = {
    CandleInterval.MINUTE: 1,
    CandleInterval.MINUTE_5: 5,
    CandleInterval.MINUTE_15: 15,
    CandleInterval.HOUR: 60,
}
_EVERY = {
    CandleInterval.DAY: "1d",
    CandleInterval.WEEK: "1w",
    CandleInterval.MONTH: "1mo",
    CandleInterval.QUARTER: "1q",
}


def parse_interval(value: str) -> CandleInterval | None:
    """Interval of that name, in any case, or None for `auto`; `InvalidInputError` lists the names there are.

    Examples
    --------
    >>> parse_interval("1week"), parse_interval("auto")
    (<CandleInterval.WEEK: '1Week'>, None)
    """
    return None if str(value).lower() == AUTO else parse_member(CandleInterval, "timeframe", value)


def shortest_interval(
    sessions: pl.DataFrame, session: SessionFilter, span: TimeRange, *, most: int, least: CandleInterval
) -> CandleInterval:
    """The shortest interval from `least` on of which a range holds at most so many candles; else the longest.

    Parameters are those of `candle_count`.
    """
    for interval in list(CandleInterval)[list(CandleInterval).index(least) :]:
        if candle_count(sessions, session, span, interval) <= most:
            return interval
    return CandleInterval.QUARTER


def candle_count(sessions: pl.DataFrame, session: SessionFilter, span: TimeRange, interval: CandleInterval) -> int:
    """How many candles the minutes of some sessions can make at most.

    Parameters
    ----------
    sessions
        Those held: session, rows (minute bars), and of the calendar pre_open, open, close, post_close, null on
        dates that are no session.
    span
        Only minutes of this range of instants.
    """
    if not interval.is_intraday:
        return sessions.select(bucket_of(interval)).n_unique()
    width = _MINUTES[interval]
    count = pl.sum_horizontal(_buckets(*part, span, width) for part in _parts(session))
    # Off the calendar nothing is known but the rows, and a date has only so many minutes.
    unknown = pl.min_horizontal("rows", pl.lit(24 * 60 // width))
    total = sessions.select(pl.when(pl.col("open").is_null()).then(unknown).otherwise(count).sum()).item()
    return int(total)


def _parts(session: SessionFilter) -> list[tuple[str, str]]:
    """The columns between which the parts of a session lie."""
    parts = list(pairwise(("pre_open", "open", "close", "post_close")))
    names = (SessionFilter.PRE, SessionFilter.REGULAR, SessionFilter.POST)
    return [part for part, name in zip(parts, names, strict=True) if session in {name, SessionFilter.ALL}]


def _buckets(start: str, end: str, span: TimeRange, width: int) -> pl.Expr:
    """How many spans of the clock, `width` minutes long, the minutes of a part touch."""
    low, high = span.start or _EPOCH, span.end or _FAR
    first, beyond = (pl.col(name).clip(low, high).dt.epoch("s") // 60 for name in (start, end))
    touched = (beyond - 1) // width - first // width + 1
    return pl.when(beyond > first).then(touched).otherwise(0)


def bucket_of(interval: CandleInterval) -> pl.Expr:
    """`bucket`: the first date of the day, week, month or quarter that a session lies in."""
    return pl.col("session").dt.truncate(_EVERY[interval]).alias("bucket")


def lengthen(daily: pl.DataFrame, interval: CandleInterval) -> pl.DataFrame:
    """Candles of days, weeks, months or quarters out of those of days.

    Parameters
    ----------
    daily
        session, timestamp, open, high, low, close, volume, minutes; oldest first.

    Returns
    -------
    bucket, session and last_session (the first and the last one in it), and the other columns; oldest first.
    """
    return (
        daily.with_columns(bucket_of(interval))
        .group_by("bucket", maintain_order=True)
        .agg(
            pl.col("session").first(),
            pl.col("session").last().alias("last_session"),
            pl.col("timestamp").first(),
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
            pl.col("minutes").sum(),
        )
    )
