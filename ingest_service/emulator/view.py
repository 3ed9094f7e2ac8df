"""Bars as one request sees them: at its instant, in its terms, under its names, at its length."""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import operator
from collections.abc import Callable

from barlake.sessions import NEW_YORK, Calendar
from ingest_service.emulator.adjusting import AdjustedBars, RenamedBars
from ingest_service.emulator.corporate_actions import ActionBook
from ingest_service.emulator.query import BarsQuery
from ingest_service.emulator.resampled import DailyBars, ResampledBars, SessionHours, hours_of
from ingest_service.emulator.revisions import RevisedBars, RevisionBook
from ingest_service.emulator.source import BarSource

__all__ = ["Views"]


class Views:
    """Makes the view of a request from what the emulator has.

    Parameters
    ----------
    stocks, crypto, made_up
        Bars as they end up; the last ones are those of the test stream.
    actions, revisions
        What changes them.
    calendar
        Called when days are first asked for.
    """

    def __init__(
        self,
        stocks: BarSource,
        crypto: BarSource,
        made_up: BarSource,
        *,
        actions: ActionBook,
        revisions: RevisionBook,
        calendar: Callable[[], Calendar],
    ) -> None:
        self._stocks = stocks
        self._crypto = crypto
        self._made_up = made_up
        self._actions = actions
        self._revisions = revisions
        self.hours = functools.cache(lambda: hours_of(calendar()))

    def minutes(self, now: dt.datetime) -> BarSource:
        """Raw minute bars of stocks at an instant."""
        return RevisedBars(self._stocks, self._revisions, now_us=int(now.timestamp() * 1e6))

    def session_at(self, instant_us: int) -> SessionHours | None:
        """The session of the New York day in which an instant lies."""
        hours = self.hours()
        place = bisect.bisect_right(hours, instant_us, key=operator.attrgetter("label_us")) - 1
        return hours[place] if place >= 0 and instant_us < hours[place].end_us else None

    def test(self, now: dt.datetime) -> BarSource:
        """Minute bars of the test stream at an instant."""
        return RevisedBars(self._made_up, self._revisions, now_us=int(now.timestamp() * 1e6))

    def stocks(self, query: BarsQuery, now: dt.datetime) -> BarSource:
        """Bars that answer a request for stocks."""
        source = self.minutes(now)
        today = now.astimezone(NEW_YORK).date()
        if query.asof is not None and self._actions.renames():
            source = RenamedBars(source, self._actions, asof=query.asof, today=today)
        if query.adjustments:
            source = AdjustedBars(source, self._actions, kinds=query.adjustments, today=today)
        if query.minutes == 0:
            return DailyBars(source, self.hours())
        return source if query.minutes == 1 else ResampledBars(source, query.minutes)

    def crypto(self, query: BarsQuery, now: dt.datetime) -> BarSource:
        """Bars that answer a request for crypto pairs."""
        source: BarSource = RevisedBars(self._crypto, self._revisions, now_us=int(now.timestamp() * 1e6))
        return source if query.minutes == 1 else ResampledBars(source, query.minutes)
