"""How fresh the lake is and how its sources answer: small questions to the manifest, cheap enough to ask often."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl
from sqlalchemy import Engine, Table, false, func, or_, select, text

from barlake import tables
from barlake.database import reading
from barlake.layout import BARS

__all__ = [
    "FeedHeld", "LastRequest", "RequestCounts", "SymbolHeld", "answered", "expected_through", "feeds_held", "lag_of",
    "last_requests", "provisional_sessions", "symbols_held",
]  # fmt: skip

_MINUTE = dt.timedelta(minutes=1)
_LOOKED_AT = 500

_FEEDS = """
    WITH RECURSIVE feeds (feed) AS (
        SELECT min(feed) FROM {table}
        UNION ALL
        SELECT (SELECT min(feed) FROM {table} WHERE feed > feeds.feed) FROM feeds WHERE feeds.feed IS NOT NULL
    )
    SELECT feed FROM feeds WHERE feed IS NOT NULL
"""


@dataclass(frozen=True)
class FeedHeld:
    """What the lake holds of one feed: bars, and the opening instant of the newest one."""

    feed: str
    bars: int
    newest: dt.datetime


@dataclass(frozen=True)
class SymbolHeld:
    """What the lake holds of one symbol: session dates, and the opening instant of the newest bar."""

    feed: str
    symbol: str
    sessions: int
    bars: int
    first: dt.date
    last: dt.date
    newest: dt.datetime


@dataclass(frozen=True)
class LastRequest:
    """The last word of a source, and how many requests in a row up to it failed."""

    source: str
    requested_at: dt.datetime
    status: int | None
    error: str | None
    failures_in_a_row: int
    rate_limit_remaining: int | None


def feeds_held(engine: Engine) -> list[FeedHeld]:
    """Each feed of minute bars, by name."""
    table = tables.files
    query = (
        select(table.c.feed, func.sum(table.c.rows), func.max(table.c.last_timestamp))
        .where(table.c.dataset == BARS, table.c.removed_at.is_(None))
        .group_by(table.c.feed)
        .order_by(table.c.feed)
    )
    with reading(engine) as connection:
        return [FeedHeld(feed, int(rows), newest) for feed, rows, newest in connection.execute(query)]


def symbols_held(engine: Engine, pairs: Collection[tuple[str, str]] | None = None) -> list[SymbolHeld]:
    """Each symbol of minute bars, by feed and name; of these pairs of both, or of all."""
    held = tables.held_sessions.c
    query = (
        select(
            held.feed, held.symbol, func.count(), func.sum(held.rows), func.min(held.session), func.max(held.session),
            func.max(held.last_timestamp),
        )
        .group_by(held.feed, held.symbol)
        .order_by(held.feed, held.symbol)
    )  # fmt: skip
    if pairs is not None:
        query = query.where(or_(false(), *((held.feed == feed) & (held.symbol == symbol) for feed, symbol in pairs)))
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return [SymbolHeld(row[0], row[1], row[2], int(row[3]), *row[4:]) for row in rows]


def expected_through(sessions: pl.DataFrame, now: dt.datetime) -> dt.datetime | None:
    """End of the last regular minute there can be a bar of; None before the first session.

    Parameters
    ----------
    sessions
        `Calendar.frame`.
    now
        Market time.
    """
    begun = sessions.filter(pl.col("open") <= now)
    if begun.is_empty():
        return None
    close: dt.datetime = begun.item(-1, "close")
    return min(close, now.replace(second=0, microsecond=0))


def lag_of(newest: dt.datetime, expected: dt.datetime | None) -> dt.timedelta:
    """How far the newest bar's end is behind what could be there; never negative."""
    return dt.timedelta(0) if expected is None else max(expected - newest - _MINUTE, dt.timedelta(0))


def last_requests(engine: Engine) -> list[LastRequest]:
    """Each source's last request among the newest ones, by source."""
    table = tables.receipts
    query = select(table.c.source, table.c.requested_at, table.c.status, table.c.error, table.c.rate_limit_remaining)
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(table.c.receipt_id.desc()).limit(_LOOKED_AT)).all()
    found = []
    for source in sorted({row.source for row in rows}):
        own = [row for row in rows if row.source == source]
        failures = next((number for number, row in enumerate(own) if row.error is None), len(own))
        remaining = next((row.rate_limit_remaining for row in own if row.rate_limit_remaining is not None), None)
        last = own[0]
        found.append(LastRequest(source, last.requested_at, last.status, last.error, failures, remaining))
    return found


class RequestCounts:
    """Requests ever made by source and status, and rows that came; each look reads only what is new."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen = 0
        self.requests: dict[tuple[str, str], int] = {}
        self.rows: dict[str, int] = {}

    def refresh(self) -> None:
        """Count what came since the last look."""
        table = tables.receipts
        with reading(self._engine) as connection:
            newest = connection.execute(select(func.max(table.c.receipt_id))).scalar() or 0
            query = (
                select(table.c.source, table.c.status, func.count(), func.sum(table.c.rows))
                .where(table.c.receipt_id > self._seen, table.c.receipt_id <= newest)
                .group_by(table.c.source, table.c.status)
            )
            for source, status, count, rows in connection.execute(query):
                key = (source, "none" if status is None else str(status))
                self.requests[key] = self.requests.get(key, 0) + count
                self.rows[source] = self.rows.get(source, 0) + int(rows)
        self._seen = newest


def answered(engine: Engine, symbols: Sequence[str], sessions: Collection[dt.date]) -> set[tuple[str, dt.date]]:
    """Symbols and sessions that a source, of whatever feed, answered for to the last page."""
    table = tables.answers
    return {(symbol, day) for _, symbol, day in _pairs(engine, table, symbols, sessions)}


def provisional_sessions(
    engine: Engine, symbols: Sequence[str], sessions: Collection[dt.date]
) -> set[tuple[str, str, dt.date]]:
    """Feeds, symbols and sessions with a bar that is not final."""
    return set(_pairs(engine, tables.provisional_rows, symbols, sessions))


def _pairs(
    engine: Engine, table: Table, symbols: Sequence[str], sessions: Collection[dt.date]
) -> list[tuple[str, str, dt.date]]:
    """Feed, symbol and session of rows; by steps in the key, however much history there is."""
    if not symbols or not sessions:
        return []
    with reading(engine) as connection:
        feeds = connection.execute(text(_FEEDS.format(table=table.name))).scalars().all()
        query = (
            select(table.c.feed, table.c.symbol, table.c.session)
            .where(table.c.feed.in_(feeds), table.c.session.between(min(sessions), max(sessions)))
            .distinct()
        )
        found = [
            (row.feed, row.symbol, row.session)
            for part in (symbols[at : at + _LOOKED_AT] for at in range(0, len(symbols), _LOOKED_AT))
            for row in connection.execute(query.where(table.c.symbol.in_(part)))
        ]
    return [one for one in found if one[2] in set(sessions)]
