"""The exchange's hours as Alpaca tells them, compared with the lake's own table, which stays as it is.

The lake's sessions come from the exchange's published rules. Where Alpaca says otherwise, one of the two is wrong
and somebody should look: the difference is reported, and nothing is changed by it. Facts about the endpoint:
https://docs.alpaca.markets/reference/getcalendar-1.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from barlake.receipts import Receipt
from barlake.sessions import NEW_YORK, Calendar
from ingest_service.alpaca import AlpacaSource
from ingest_service.refusals import TransientError

__all__ = ["CALENDAR_ENDPOINT", "CalendarPage", "CalendarRequest", "Difference", "compare_calendar"]

CALENDAR_ENDPOINT = "/v2/calendar"
_WALL_TIME = re.compile(r"(\d\d):?(\d\d)")


@dataclass(frozen=True)
class CalendarPage:
    """One answer: opening and closing instant of each session."""

    hours: dict[dt.date, tuple[dt.datetime, dt.datetime]]
    next_page_token: str | None = None

    @property
    def rows(self) -> list[dt.date]:
        """The sessions."""
        return list(self.hours)


@dataclass(frozen=True)
class CalendarRequest:
    """The sessions in [first, beyond)."""

    first: dt.date
    beyond: dt.date
    endpoint = CALENDAR_ENDPOINT
    symbol = "*"
    feed = "-"
    page_token: str | None = None

    @property
    def start(self) -> dt.datetime:
        """UTC midnight of the first date."""
        return dt.datetime.combine(self.first, dt.time(), tzinfo=dt.UTC)

    @property
    def end(self) -> dt.datetime:
        """UTC midnight of the first date left out."""
        return dt.datetime.combine(self.beyond, dt.time(), tzinfo=dt.UTC)

    def params(self) -> dict[str, str | int]:
        """Query of the request; Alpaca's end is inclusive."""
        return {"start": self.first.isoformat(), "end": (self.beyond - dt.timedelta(days=1)).isoformat()}

    def read(self, body: Any) -> CalendarPage:
        """Hours out of an answer's body. Raises `TransientError` if it is none of this endpoint."""
        if not isinstance(body, list):
            raise TransientError("the body is not a calendar")
        return CalendarPage(dict(map(_hours, body)))

    def __str__(self) -> str:
        return f"the exchange's calendar of [{self.first}, {self.beyond})"


@dataclass(frozen=True)
class Difference:
    """A date on which the two calendars do not say the same."""

    session: dt.date
    said: str

    def __str__(self) -> str:
        return f"{self.session}: {self.said}"


def compare_calendar(
    source: AlpacaSource,
    calendar: Calendar,
    start: dt.date,
    end: dt.date,
    *,
    on_receipt: Callable[[Receipt], None],
) -> list[Difference]:
    """Dates in [start, end) on which Alpaca's hours are not those of the lake's calendar, oldest first.

    Parameters
    ----------
    source
        On the trading API.

    Raises
    ------
    CredentialsError, SourceError
        As `AlpacaSource.fetch`.
    """
    theirs = source.fetch(CalendarRequest(start, end), on_receipt=on_receipt).hours
    rows = calendar.in_range(start, end).select("session", "open", "close").iter_rows()
    ours = {session: (opens, closes) for session, opens, closes in rows}
    found = []
    for day in sorted({*ours, *(day for day in theirs if start <= day < end)}):
        own, other = ours.get(day), theirs.get(day)
        if own == other:
            continue
        if other is None:
            said = f"the lake has a session, {_shown(own)}, and Alpaca has none"
        elif own is None:
            said = f"Alpaca has a session, {_shown(other)}, and the lake has none"
        else:
            said = f"the lake has {_shown(own)}, Alpaca {_shown(other)}"
        found.append(Difference(day, said))
    return found


def _hours(row: Any) -> tuple[dt.date, tuple[dt.datetime, dt.datetime]]:
    try:
        day = dt.date.fromisoformat(row["date"])
        return day, (_instant(day, row["open"]), _instant(day, row["close"]))
    except (KeyError, TypeError, ValueError) as error:
        raise TransientError(f"a day of the calendar cannot be read: {str(row)[:100]}") from error


def _instant(day: dt.date, wall_time: str) -> dt.datetime:
    """Instant of a New York time such as `09:30`; Alpaca also writes `0930`."""
    match = _WALL_TIME.fullmatch(wall_time)
    if match is None:
        raise ValueError(wall_time)
    local = dt.datetime.combine(day, dt.time(int(match[1]), int(match[2])), tzinfo=NEW_YORK)
    return local.astimezone(dt.UTC)


def _shown(hours: tuple[dt.datetime, dt.datetime] | None) -> str:
    assert hours is not None  # noqa: S101 - one of the two calendars has it
    return "-".join(f"{instant.astimezone(NEW_YORK):%H:%M}" for instant in hours)
