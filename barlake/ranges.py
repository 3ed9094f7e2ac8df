"""Half-open ranges of time [start, end), from what people write.

A date means a session and stands for its midnight, in New York or, where a market never closes, in UTC; an
instant must carry its zone.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TypeVar

from barlake.errors import InvalidInputError
from barlake.sessions import NEW_YORK, XNYS_FEED, session_bounds, zone_of

__all__ = ["Boundary", "TimeRange", "parse_boundary", "parse_instant", "parse_session_range", "time_range"]

Boundary = dt.date | dt.datetime | str | None

_Day = TypeVar("_Day", dt.date, dt.datetime)
_FIRST_YEAR, _END_YEAR = 1900, 2200
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class TimeRange:
    """Half-open range of instants, UTC; None leaves that side open. Dates in `zone` are sessions."""

    start: dt.datetime | None
    end: dt.datetime | None
    zone: dt.tzinfo = NEW_YORK

    @property
    def first_session(self) -> dt.date | None:
        """Earliest session date that can hold an instant of the range."""
        return None if self.start is None else self.start.astimezone(self.zone).date()

    @property
    def end_session(self) -> dt.date | None:
        """First session date that holds no instant of the range any more."""
        if self.end is None:
            return None
        last = (self.end - dt.timedelta(microseconds=1)).astimezone(self.zone).date()
        return last + dt.timedelta(days=1)


def parse_boundary(value: Boundary, name: str) -> dt.date | dt.datetime | None:
    """A session date, or an aware instant in UTC.

    Raises
    ------
    InvalidInputError
        If the text is neither, or the instant has no time zone.

    Examples
    --------
    >>> parse_boundary("2024-01-02", "start")
    datetime.date(2024, 1, 2)
    >>> parse_boundary("2024-01-02T09:30:00-05:00", "start").isoformat()
    '2024-01-02T14:30:00+00:00'
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            parsed = dt.date.fromisoformat(text) if _DATE.fullmatch(text) else dt.datetime.fromisoformat(text)
        except ValueError as error:
            raise InvalidInputError(
                f"{name} {value!r} is not a date: write a session such as 2024-01-02, or an instant with its "
                "zone such as 2024-01-02T14:30:00Z."
            ) from error
        return parse_boundary(parsed, name)
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise InvalidInputError(
                f"{name} {value.isoformat()!r} has no time zone: write 2024-01-02T14:30:00Z, or only the date to "
                "mean the whole session."
            )
        return _in_reach(value, name).astimezone(dt.UTC)
    if isinstance(value, dt.date):
        return _in_reach(value, name)
    if value is None:
        return None
    raise InvalidInputError(f"{name} {value!r} is not a date: write a session such as '2024-01-02'.")


def _in_reach(value: _Day, name: str) -> _Day:
    if not _FIRST_YEAR <= value.year < _END_YEAR:
        raise InvalidInputError(
            f"{name} {value.isoformat()!r} is outside the years {_FIRST_YEAR} to {_END_YEAR - 1}: leave it out to "
            "leave that side open."
        )
    return value


def parse_instant(value: dt.datetime | str | None, name: str) -> dt.datetime | None:
    """An aware instant in UTC, or None where none was given; a date is none.

    Raises
    ------
    InvalidInputError
        If it is a date, cannot be read, or has no time zone.
    """
    parsed = parse_boundary(value, name)
    if parsed is None or isinstance(parsed, dt.datetime):
        return parsed
    raise InvalidInputError(
        f"{name} {str(value)!r} is a date: give an instant with its zone, such as {parsed}T21:00:00Z."
    )


def _instant(value: Boundary, name: str, feed: str) -> dt.datetime | None:
    parsed = parse_boundary(value, name)
    if parsed is None or isinstance(parsed, dt.datetime):
        return parsed
    return session_bounds(parsed, parsed, feed)[0]


def time_range(start: Boundary, end: Boundary, feed: str = XNYS_FEED) -> TimeRange:
    """The instants from `start` up to, not including, `end`; dates are sessions of a feed.

    Raises
    ------
    InvalidInputError
        If a side cannot be read, or `start` is not before `end`.
    """
    found = TimeRange(_instant(start, "start", feed), _instant(end, "end", feed), zone_of(feed))
    if found.start is not None and found.end is not None and found.start >= found.end:
        raise _reversed(start, end)
    return found


def parse_session_range(start: Boundary, end: Boundary) -> tuple[dt.date, dt.date]:
    """The session dates from `start` up to, not including, `end`; both must be dates.

    Raises
    ------
    InvalidInputError
        If a side is missing, is an instant, or `start` is not before `end`.
    """
    sides = []
    for value, name in ((start, "start"), (end, "end")):
        parsed = parse_boundary(value, name)
        if parsed is None or isinstance(parsed, dt.datetime):
            raise InvalidInputError(f"{name} {value!r} is not a session: write a date such as 2024-01-02.")
        sides.append(parsed)
    if sides[0] >= sides[1]:
        raise _reversed(start, end)
    return sides[0], sides[1]


def _reversed(start: Boundary, end: Boundary) -> InvalidInputError:
    return InvalidInputError(
        f"start {str(start)!r} is not before end {str(end)!r}: ranges run from start up to, not including, end."
    )
