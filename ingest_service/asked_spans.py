"""How far a source was asked for the records of each symbol: one stretch of dates, kept beside the rows.

An empty answer is an answer: without this, what a source does not have would be asked for every day.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from barlake.commits import keep_cursor
from barlake.database import writing
from barlake.lake import Lake
from barlake.layout import DAILY
from barlake.records import Cursor
from barlake.sessions import NEW_YORK

__all__ = ["AskedSpans", "first_open_date"]

_DAY = dt.timedelta(days=1)

Span = tuple[dt.date, dt.date]


@dataclass(frozen=True)
class AskedSpans:
    """What was asked for, of one kind of records of one lake; spans leave their end out."""

    lake: Lake
    dataset: str

    def of(self, source: str, name: str) -> Span | None:
        """The dates a source was asked for; None before the first time."""
        cursor = self.lake.manifest.cursor(self._key(source, name))
        if cursor is None or cursor.page_token is None:
            return None
        first, until = cursor.page_token.split("/")
        return dt.date.fromisoformat(first), dt.date.fromisoformat(until)

    def add(self, source: str, name: str, first: dt.date, beyond: dt.date) -> None:
        """Take note that dates in the span or next to it were answered to the last page; an open date is not over."""
        before = self.of(source, name)
        beyond = max(min(beyond, first_open_date(self.lake, self.dataset)), first)
        span = (first, beyond) if before is None else (min(before[0], first), max(before[1], beyond))
        if span != before:
            cursor = Cursor(self._key(source, name), "/".join(map(str, span)), 0, 0)
            with writing(self.lake.manifest.engine) as connection:
                keep_cursor(connection, cursor, self.lake.now())

    def forget(self, source: str, name: str) -> list[Span]:
        """What was asked for until now, to be asked for anew: if that is interrupted, the next run does it."""
        span = self.of(source, name)
        with writing(self.lake.manifest.engine) as connection:
            keep_cursor(connection, Cursor(self._key(source, name), None, 0, 0), self.lake.now())
        return [] if span is None else [span]

    def missing(self, source: str, name: str, start: dt.date, end: dt.date, *, overlap: dt.timedelta) -> list[Span]:
        """What of [start, end) was not asked for, and the newest stretch of what was.

        No hole is left between them, so what was asked for stays one span.
        """
        asked = self.of(source, name)
        if asked is None:
            return [(start, end)]
        first, until = asked
        return [span for span in ((start, first), (max(until - overlap, first), end)) if span[0] < span[1]]

    def _key(self, source: str, name: str) -> str:
        return f"asked/{self.dataset}/{source}/{name}"


def first_open_date(lake: Lake, dataset: str) -> dt.date:
    """The first date of which more may still come: today in New York, or for daily bars tomorrow after the close."""
    now = lake.now()
    today = now.astimezone(NEW_YORK).date()
    if dataset == DAILY:
        closes = lake.calendar.in_range(today, today + _DAY)["close"].to_list()
        if all(close <= now for close in closes):
            return today + _DAY
    return today
