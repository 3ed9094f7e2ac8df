"""When a live agent works: the session that is on or comes next, in market time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import polars as pl

from barlake.coverage import SOURCE_DELAY
from barlake.errors import InvalidInputError
from barlake.sessions import Calendar

__all__ = ["LiveSession", "is_over", "next_poll", "session_at"]

POLL_SECOND = 35
"""Of each minute: a bar is computed again half a minute after its own."""


@dataclass(frozen=True)
class LiveSession:
    """One session from its first to its last minute, extended hours included; UTC."""

    session: dt.date
    begin: dt.datetime
    open: dt.datetime
    close: dt.datetime
    end: dt.datetime

    @property
    def final_from(self) -> dt.datetime:
        """When it may be made final."""
        return self.end + SOURCE_DELAY

    def is_open(self, now: dt.datetime) -> bool:
        """Whether the exchange is open: only then is silence suspicious."""
        return self.open <= now < self.close


def session_at(calendar: Calendar, now: dt.datetime) -> LiveSession:
    """The session that is not yet final at an instant, or the next one.

    Raises
    ------
    InvalidInputError
        If the calendar ends before.
    """
    later = calendar.frame.filter(pl.col("post_close") + SOURCE_DELAY > now).head(1)
    if later.is_empty():
        raise InvalidInputError(f"the calendar ends with {calendar.last}: update exchange_calendars.")
    row = later.row(0, named=True)
    return LiveSession(row["session"], row["pre_open"], row["open"], row["close"], row["post_close"])


def is_over(calendar: Calendar, session: dt.date, now: dt.datetime) -> bool:
    """Whether a session may be made final at an instant."""
    row = calendar.in_range(session, session + dt.timedelta(days=1))
    return not row.filter(pl.col("post_close") + SOURCE_DELAY <= now).is_empty()


def next_poll(now: dt.datetime) -> dt.datetime:
    """The next instant at which the last minute's bars have been computed for good."""
    this = now.replace(second=POLL_SECOND, microsecond=0)
    return this if this > now else this + dt.timedelta(minutes=1)
