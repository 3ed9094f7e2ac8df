"""When something is to happen: at times of a clock, or a while after each session's close. Pure.

A time that a change to summer time leaves out happens at the moment of the change; one that comes twice happens
the first time. So instants only ever increase, and none is met twice.
"""

from __future__ import annotations

import collections
import datetime as dt
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
from croniter import CroniterError, croniter

from barlake.errors import InvalidInputError, did_you_mean
from barlake.sessions import Calendar

__all__ = ["BOUNDS", "Cron", "Occurrence", "SessionBound", "Trigger", "next_due", "parse_trigger"]

BOUNDS = ("pre_open", "open", "close", "post_close")
"""Instants of a session. Extended hours end at post_close; sources give a session whole only after that."""

_SESSION_BOUND = re.compile(r"([a-z_]+)(?:([+-])(\d{1,3})([mh]))?")
_FIELDS = 5
_LONGEST_OFFSET = dt.timedelta(hours=12)
_LOOK_BACK = (dt.timedelta(days=1), dt.timedelta(days=10))
"""Where the time before another is looked for. In ten days there is always a session."""

_LOOK_AHEAD = dt.timedelta(days=366 * 2)


@dataclass(frozen=True, order=True)
class Occurrence:
    """One time a trigger is due.

    Parameters
    ----------
    due
        UTC.
    skipped
        Why nothing is to be done then; None where something is.
    """

    due: dt.datetime
    session: dt.date | None = None
    skipped: str | None = None


@dataclass(frozen=True)
class Cron:
    """Times by five cron fields in a zone.

    Parameters
    ----------
    sessions_only
        Skip a time before which, since the time before it, no session has ended: there is nothing new.
    """

    expression: str
    zone: str = "UTC"
    sessions_only: bool = True

    def __post_init__(self) -> None:
        fields = self.expression.split()
        if len(fields) != _FIELDS or not croniter.is_valid(self.expression):
            raise InvalidInputError(
                f"cron {self.expression!r} is not five fields that cron knows: minute, hour, day of month, month, day "
                "of week, as in '30 6 * * 2-6'."
            )
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidInputError(
                f"time zone {self.zone!r} is not known: give one such as UTC or America/New_York."
            ) from error
        try:
            next(self._wall_times(dt.datetime(2024, 1, 1)))  # noqa: DTZ001 - a wall time
        except (StopIteration, CroniterError) as error:
            raise InvalidInputError(f"cron {self.expression!r} never happens: no date has what it asks for.") from error

    def __str__(self) -> str:
        days = "" if self.sessions_only else ", also without a session"
        return f"{self.expression} {self.zone}{days}"

    def between(self, after: dt.datetime, until: dt.datetime, calendar: Calendar) -> Iterator[Occurrence]:
        """Occurrences with after < due <= until, earliest first."""
        before: dt.datetime | None = None
        for due in self._instants(after):
            if due > until:
                return
            if due > after:
                yield self._judged(due, before or self._last_by(after), calendar)
            before = due

    def _last_by(self, instant: dt.datetime) -> dt.datetime:
        """The last time up to an instant, or ten days before it."""
        for back in _LOOK_BACK:
            times = itertools.takewhile(lambda due: due <= instant, self._instants(instant - back))
            if last := collections.deque(times, maxlen=1):
                return last[0]
        return instant - _LOOK_BACK[-1]

    def _judged(self, due: dt.datetime, since: dt.datetime, calendar: Calendar) -> Occurrence:
        closes = calendar.frame["close"]
        ended = int(closes.search_sorted(due, side="right"))
        is_new = ended > 0 and closes[ended - 1] > since
        session = calendar.frame.item(ended - 1, "session") if is_new else None
        if session is None and self.sessions_only:
            return Occurrence(due, None, f"no session has ended since {since:%Y-%m-%d %H:%MZ}")
        return Occurrence(due, session)

    def _instants(self, start: dt.datetime) -> Iterator[dt.datetime]:
        """Instants from `start` on, strictly increasing."""
        zone, last = ZoneInfo(self.zone), None
        for wall in self._wall_times(start.astimezone(zone).replace(tzinfo=None)):
            due = _instant(wall, zone)
            if last is None or due > last:
                yield due
                last = due

    def _wall_times(self, start: dt.datetime) -> Iterator[dt.datetime]:
        times = croniter(self.expression, start - dt.timedelta(minutes=1))
        while True:
            try:
                yield times.get_next(dt.datetime)
            except CroniterError:
                return


@dataclass(frozen=True)
class SessionBound:
    """A while after, or before, an instant of each session; half days close early by themselves."""

    bound: str = "post_close"
    offset: dt.timedelta = dt.timedelta(minutes=20)

    def __post_init__(self) -> None:
        if self.bound not in BOUNDS:
            raise InvalidInputError(
                f"{self.bound!r} is no instant of a session: use {', '.join(BOUNDS)}.{did_you_mean(self.bound, BOUNDS)}"
            )
        if abs(self.offset) > _LONGEST_OFFSET:
            raise InvalidInputError(f"{self} is further from its session than 12 hours: use a time of the clock.")

    def __str__(self) -> str:
        minutes = int(self.offset.total_seconds() // 60)
        return f"{self.bound}{minutes:+d}m"

    def between(self, after: dt.datetime, until: dt.datetime, calendar: Calendar) -> Iterator[Occurrence]:
        """Occurrences with after < due <= until, earliest first."""
        due = pl.col(self.bound) + self.offset
        rows = calendar.frame.select("session", due.alias("due"))
        for session, instant in rows.filter((pl.col("due") > after) & (pl.col("due") <= until)).iter_rows():
            yield Occurrence(instant.astimezone(dt.UTC), session)


Trigger = Cron | SessionBound


def parse_trigger(text: str, *, zone: str = "UTC", sessions_only: bool = True) -> Trigger:
    """Trigger from its text: five cron fields, or an instant of the session with an offset.

    Raises
    ------
    InvalidInputError
        If it is neither.

    Examples
    --------
    >>> str(parse_trigger("30 6 * * 2-6")), str(parse_trigger("close+1h"))
    ('30 6 * * 2-6 UTC', 'close+60m')
    """
    match = _SESSION_BOUND.fullmatch(text.strip())
    if match is None:
        return Cron(" ".join(text.split()), zone, sessions_only)
    bound, sign, number, unit = match.groups()
    minutes = int(number or 0) * (60 if unit == "h" else 1) * (-1 if sign == "-" else 1)
    return SessionBound(bound, dt.timedelta(minutes=minutes))


def next_due(trigger: Trigger, after: dt.datetime, calendar: Calendar) -> Occurrence | None:
    """The first occurrence after an instant that is not skipped; None where there is none in two years."""
    found = trigger.between(after, after + _LOOK_AHEAD, calendar)
    return next((one for one in found if one.skipped is None), None)


def _instant(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The first instant that a wall clock shows a time, or the moment it jumps over it."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # In a gap the two folds count by the offsets before and after it: the jump lies between what they give.
    moment = min(first, second)
    before = moment.astimezone(zone).utcoffset()
    while moment.astimezone(zone).utcoffset() == before:
        moment += dt.timedelta(minutes=1)
    return moment
