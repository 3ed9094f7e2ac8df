"""The price of one symbol at one moment, as it was traded: at a session's open or close, or the last one known."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import polars as pl

from barlake import Lake
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import SessionFilter, parse_member
from barlake.ranges import Boundary, parse_boundary
from barlake.sessions import Calendar, session_bounds, session_dates

__all__ = ["PricePoint", "SessionPrice", "price_point"]

_MINUTE = dt.timedelta(minutes=1)


class SessionPrice(StrEnum):
    """Which price of a session is meant by its date."""

    OPEN = "open"
    CLOSE = "close"

    @classmethod
    def parse(cls, value: str) -> SessionPrice:
        """Price of that name, in any case; `InvalidInputError` lists the names there are."""
        return parse_member(cls, "price of a session", value)


@dataclass(frozen=True)
class PricePoint:
    """A raw price and the instant from which it was known.

    Parameters
    ----------
    instant
        UTC: the opening of the bar for its open, one minute later for its close.
    price_usd
        Exact decimal of the stored price.
    """

    session: dt.date
    instant: dt.datetime
    price_usd: Decimal


def price_point(
    lake: Lake, symbol: str, when: Boundary, *, name: str, feed: str, at: str = SessionPrice.CLOSE
) -> PricePoint:
    """Price of a symbol at a session's open or close, or the last one known at an instant.

    Parameters
    ----------
    when
        A session date: the open of its first or the close of its last regular bar. An aware instant: the close
        of the last bar of its session, extended hours too, that had closed by then.
    name
        What `when` is called in messages.
    at
        For a date: `open` or `close`.

    Raises
    ------
    InvalidInputError
        If `when` is missing, or its date is no session of the feed.
    NotFoundError
        If no bar tells the price.
    """
    parsed, which = parse_boundary(when, name), SessionPrice.parse(at)
    if parsed is None:
        raise InvalidInputError(f"{name} is missing: give a session such as 2024-04-01, or an instant with its zone.")
    if isinstance(parsed, dt.datetime):
        return _at_instant(lake, symbol, parsed, name, feed)
    return _at_session(lake, symbol, parsed, name, feed, which)


def _at_session(lake: Lake, symbol: str, session: dt.date, name: str, feed: str, which: SessionPrice) -> PricePoint:
    _require_session(lake.calendar.of(feed), session, name)
    bars = _bars_of(lake, symbol, session, feed, SessionFilter.REGULAR)
    if bars.is_empty():
        raise _no_bars(lake, symbol, feed, f"{name} {session}: no regular bar of {symbol!r} is held for that session")
    if which is SessionPrice.OPEN:
        return _point(session, bars["timestamp"][0], bars["open"][0])
    return _point(session, bars["timestamp"][-1] + _MINUTE, bars["close"][-1])


def _at_instant(lake: Lake, symbol: str, instant: dt.datetime, name: str, feed: str) -> PricePoint:
    session = session_dates(pl.Series([instant], dtype=pl.Datetime("us", "UTC")), feed)[0]
    bars = _bars_of(lake, symbol, session, feed, SessionFilter.ALL)
    known = bars.filter(pl.col("timestamp") + _MINUTE <= instant)
    if known.is_empty():
        raise _no_bars(lake, symbol, feed, f"{name} {instant}: no bar of {symbol!r} had closed by then that session")
    return _point(session, known["timestamp"][-1] + _MINUTE, known["close"][-1])


def _bars_of(lake: Lake, symbol: str, session: dt.date, feed: str, hours: SessionFilter) -> pl.DataFrame:
    start, end = session_bounds(session, session + dt.timedelta(days=1), feed)
    return lake.bars(symbol, start, end, session=hours, feed=feed)


def _point(session: dt.date, instant: dt.datetime, price: float) -> PricePoint:
    return PricePoint(session, instant, Decimal(str(price)))


def _require_session(calendar: Calendar, session: dt.date, name: str) -> None:
    sessions = calendar.frame["session"]
    place = int(sessions.search_sorted(session))
    if place < sessions.len() and sessions[place] == session:
        return
    near = [str(day) for day in sessions[max(place - 1, 0) : place + 1]]
    raise InvalidInputError(f"{name} {session} is not a session: the nearest ones are {' and '.join(near)}.")


def _no_bars(lake: Lake, symbol: str, feed: str, what: str) -> NotFoundError:
    held = lake.symbols(feed).filter(pl.col("symbol") == symbol).row(0, named=True)
    return NotFoundError(
        f"{what}; feed {feed!r} holds {held['first']} to {held['last']}. Ask for a moment with bars, or ingest it."
    )
