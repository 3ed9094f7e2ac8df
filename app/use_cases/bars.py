"""Bars for those who ask over a wire: all of a range in frames of bounded size, or the newest of it page by page.

Every answer is of one state of the lake, and all pages of one question are of the same state.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from barlake.bars import BarOptions
from barlake.errors import InvalidInputError
from barlake.keys import Adjustment, SessionFilter, Timeframe
from barlake.lake import Lake
from barlake.pinned_bars import PinnedBars, pin_bars

__all__ = ["BarPage", "BarQuestion", "PagePlace", "bars_of", "newest_page", "whole_range"]

TEXT_ROWS = 16_384
"""Bars of a range in memory at a time, of each who reads it as text: 2 MB, beside 8 MB of JSON."""

BINARY_ROWS = 65_536
"""The same of Arrow and Parquet: 6 MB, and half the time, for files are opened a quarter as often."""

_BARS_A_SESSION = {
    Timeframe.MINUTE: 300, Timeframe.MINUTE_5: 70, Timeframe.MINUTE_15: 24, Timeframe.HOUR: 6, Timeframe.DAY: 1,
}  # fmt: skip
"""How many bars a session surely has, of a symbol that trades often; of others more sessions are looked at."""


@dataclass(frozen=True)
class BarQuestion:
    """Which bars of one symbol, in the words of `Lake.bars`."""

    symbol: str
    start: str | None = None
    end: str | None = None
    timeframe: Timeframe = Timeframe.MINUTE
    session: SessionFilter = SessionFilter.ALL
    adjustment: Adjustment = Adjustment.RAW
    feed: str | None = None
    as_of: str | None = None

    @property
    def options(self) -> BarOptions:
        """What `Lake.bars` takes beside symbol and range."""
        return BarOptions(
            timeframe=self.timeframe,
            session=self.session,
            adjustment=self.adjustment,
            feed=self.feed,
            as_of=self.as_of,
        )


@dataclass(frozen=True)
class PagePlace:
    """Where a page of a question begins.

    Parameters
    ----------
    before
        The page ends before this instant.
    moment
        The state of the lake that the first page was of; None: the question itself names one.
    """

    before: dt.datetime
    moment: dt.datetime | None


@dataclass(frozen=True)
class BarPage:
    """Some bars, oldest first, the state they are of, and where the page of earlier ones begins, if there is one.

    Parameters
    ----------
    rows
        None when who asks holds them already.
    """

    pinned: PinnedBars
    rows: pl.DataFrame | None = None
    following: PagePlace | None = None


def whole_range(lake: Lake, question: BarQuestion) -> PinnedBars:
    """All bars asked for, to be read in batches."""
    return pin_bars(lake, question.symbol, question.start, question.end, **question.options)


def bars_of(pinned: PinnedBars, *, as_text: bool) -> pl.DataFrame | Iterator[pl.DataFrame]:
    """The bars of a whole range: in one frame where they are few, else frame by frame."""
    frames = pinned.batches(TEXT_ROWS if as_text else BINARY_ROWS)
    return next(frames) if pinned.sessions["rows"].sum() <= TEXT_ROWS else frames


def newest_page(
    lake: Lake,
    question: BarQuestion,
    limit: int,
    *,
    place: PagePlace | None = None,
    is_known: Callable[[PinnedBars], bool] = lambda _pinned: False,
) -> BarPage:
    """The last `limit` bars asked for, or of those before a page's place.

    Parameters
    ----------
    is_known
        Whether who asks holds the answer of such a state already; then nothing is read.

    Raises
    ------
    InvalidInputError
        If `limit` is below 1.
    """
    if limit < 1:
        raise InvalidInputError(f"limit {limit} asks for no bar: give 1 or more.")
    sessions = limit // _BARS_A_SESSION[question.timeframe] + 2
    while True:
        pinned = _pin(lake, question, place, sessions)
        if is_known(pinned):
            return BarPage(pinned)
        # One more than asked for says whether there is an earlier page.
        rows = pinned.newest(limit + 1)
        if rows.height > limit or pinned.is_all:
            return _page(pinned, rows, limit, question)
        sessions *= 4


def _pin(lake: Lake, question: BarQuestion, place: PagePlace | None, sessions: int) -> PinnedBars:
    if place is None:
        return pin_bars(
            lake, question.symbol, question.start, question.end, newest_sessions=sessions, **question.options
        )
    end = place.before.isoformat()
    now = pin_bars(lake, question.symbol, question.start, end, newest_sessions=sessions, **question.options)
    if place.moment is None or now.moment == place.moment:
        return now
    options = BarOptions(**{**question.options, "as_of": place.moment})
    return pin_bars(lake, question.symbol, question.start, end, newest_sessions=sessions, **options)


def _page(pinned: PinnedBars, rows: pl.DataFrame, limit: int, question: BarQuestion) -> BarPage:
    page = rows.tail(limit)
    if rows.height <= limit:
        return BarPage(pinned, page)
    first = page["timestamp"][0]
    moment = None if question.as_of is not None else pinned.query.as_of or pinned.moment
    return BarPage(pinned, page, PagePlace(first, moment))
