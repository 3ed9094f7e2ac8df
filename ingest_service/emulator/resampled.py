"""Longer bars out of minute bars: N minutes and N hours as Alpaca itself makes them, and days nearly so.

Alpaca builds daily bars from trades by rules of their own. Here a day's prices are those of the regular session
and its volume that of all hours, which is close to it; a day without a regular trade has no bar.
"""

from __future__ import annotations

import bisect
import datetime as dt
import operator
import re
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from barlake.sessions import Calendar
from ingest_service.emulator.source import BAR_COLUMNS, MINUTE_US, BarSource

__all__ = ["DailyBars", "ResampledBars", "SessionHours", "daily_bar", "hours_of", "parse_timeframe"]

_EVERYTHING = 2**40
_TIMEFRAME = re.compile(r"(?:([1-9]|[1-5]\d)(Min|T)|([1-9]|1\d|2[0-3])(Hour|H)|1(Day|D))", re.ASCII)


def parse_timeframe(text: str) -> int | None:
    """Minutes of a timeframe, 0 for a day; None if it is not one that is served.

    Examples
    --------
    >>> [parse_timeframe(text) for text in ("1Min", "5T", "2Hour", "1Day", "60Min", "1Week")]
    [1, 5, 120, 0, None, None]
    """
    match = _TIMEFRAME.fullmatch(text)
    if match is None:
        return None
    minutes, _, hours, _, _ = match.groups()
    return int(minutes) if minutes else 60 * int(hours) if hours else 0


def _summary() -> list[pl.Expr]:
    turnover = (pl.col("vwap") * pl.col("volume")).sum()
    weight = pl.col("volume").filter(pl.col("vwap").is_not_null()).sum()
    return [
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        pl.when(pl.col("trade_count").is_not_null().any()).then(pl.col("trade_count").sum()).alias("trade_count"),
        pl.when(weight > 0).then((turnover / weight).round(6)).alias("vwap"),
    ]


class ResampledBars:
    """Bars of so many minutes, clock-aligned in UTC; those of a crypto day too.

    Parameters
    ----------
    source
        Minute bars.
    minutes
        Length of a bar, at least 1.
    """

    def __init__(self, source: BarSource, minutes: int) -> None:
        self._source = source
        self._minutes = minutes

    def rows(self, symbol: str, start_us: int, end_us: int, *, limit: int, descending: bool = False) -> pl.DataFrame:
        """See `BarSource.rows`; a bar belongs to the range in which it begins."""
        width_us = self._minutes * MINUTE_US
        begin, last = -(-start_us // width_us) * width_us, end_us // width_us * width_us
        # So many minutes fill at least `limit` buckets; of more than that, only the last one can be cut.
        found = self._source.rows(
            symbol, begin, last + width_us - 1, limit=limit * self._minutes, descending=descending
        )
        if found.is_empty():
            return found
        made = (
            found.sort("timestamp")
            .group_by(pl.col("timestamp").dt.truncate(f"{self._minutes}m"), maintain_order=True)
            .agg(*_summary())
            .select(*BAR_COLUMNS)
        )
        return (made.reverse() if descending else made).head(limit)


class SessionHours(NamedTuple):
    """Instants of a session: New York midnight before and after it, and its regular hours, microseconds."""

    label_us: int
    open_us: int
    close_us: int
    end_us: int


def hours_of(calendar: Calendar) -> list[SessionHours]:
    """Hours of every session, oldest first."""
    midnight = pl.col("session").dt.combine(dt.time()).dt.replace_time_zone("America/New_York")
    after = pl.col("session").dt.offset_by("1d").dt.combine(dt.time()).dt.replace_time_zone("America/New_York")
    instants = [one.dt.epoch("us") for one in (midnight, pl.col("open"), pl.col("close"), after)]
    rows = calendar.frame.select(instant.alias(str(place)) for place, instant in enumerate(instants)).rows()
    return [SessionHours(*row) for row in rows]


class DailyBars:
    """One bar a session, labelled midnight in New York.

    Parameters
    ----------
    source
        Minute bars.
    sessions
        All there are, oldest first.
    """

    def __init__(self, source: BarSource, sessions: Sequence[SessionHours]) -> None:
        self._source = source
        self._sessions = sessions

    def rows(self, symbol: str, start_us: int, end_us: int, *, limit: int, descending: bool = False) -> pl.DataFrame:
        """See `BarSource.rows`; the label of a day must lie in the range."""
        label = operator.attrgetter("label_us")
        first = bisect.bisect_left(self._sessions, start_us, key=label)
        places = range(first, bisect.bisect_right(self._sessions, end_us, key=label))
        made = []
        for place in reversed(places) if descending else places:
            hours = self._sessions[place]
            bar = daily_bar(self._source.rows(symbol, hours.label_us, hours.end_us - 1, limit=_EVERYTHING), hours)
            if bar is not None:
                made.append(bar)
            if len(made) == limit:
                break
        return pl.concat([pl.DataFrame(schema=BAR_COLUMNS), *made])


def daily_bar(minutes: pl.DataFrame, hours: SessionHours) -> pl.DataFrame | None:
    """Daily bar of a session's minutes, one row; None without a regular minute."""
    regular = minutes.filter(pl.col("timestamp").to_physical().is_between(hours.open_us, hours.close_us, closed="left"))
    if regular.is_empty():
        return None
    prices = regular.select(*_summary()).select("open", "high", "low", "close")
    label = pl.Series("timestamp", [hours.label_us]).cast(BAR_COLUMNS["timestamp"])
    return minutes.select(*_summary()).with_columns(label, *prices).select(*BAR_COLUMNS)
