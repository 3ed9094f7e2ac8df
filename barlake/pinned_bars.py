"""Bars of one symbol out of one state of the lake, in frames of bounded size, however long somebody reads them.

A file never changes once it is written. So who has looked once at which files count reads the bars of that look,
whatever is written, corrected or rolled up meanwhile; replaced files are kept for `vacuum.GRACE`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Unpack

import polars as pl
from sqlalchemy import Connection, Integer, Select, bindparam, func, select

from barlake import tables
from barlake.bars import BarOptions, BarQuery
from barlake.database import reading
from barlake.errors import ConflictError, InvalidInputError
from barlake.keys import Adjustment
from barlake.layout import BARS, REVISIONS, parse_partition_path
from barlake.manifest import Manifest, late_moments
from barlake.partitions import collect
from barlake.ranges import Boundary, TimeRange
from barlake.reader import read_paths, read_view
from barlake.records import FileView
from barlake.sessions import session_bounds
from barlake.snapshots import symbol_root

if TYPE_CHECKING:
    from barlake.lake import Lake

__all__ = ["BATCH_ROWS", "PinnedBars", "moment_of", "pin_bars"]

BATCH_ROWS = 65_536
"""Minute bars in memory at a time: about 6 MB."""

_STEP_ROWS = 16_384
"""Minute bars that are read at a time on the way back to the newest ones: one group of rows of a file."""

_ROUNDS = 20
_SESSIONS = {"session": pl.Date(), "rows": pl.Int64(), "content_hash": pl.String()}


@dataclass(frozen=True)
class _Look:
    """What one transaction found in the manifest."""

    moment: dt.datetime | None
    sessions: pl.DataFrame
    view: FileView
    old_rows: int


@dataclass(frozen=True)
class PinnedBars:
    """What a query of one symbol answers in one state of the lake.

    Parameters
    ----------
    moment
        When that state came to be: reading `as_of` this instant gives the same bars for ever. None: the lake is empty.
    sessions
        Those held in the range, or the newest of them: session, rows, content_hash; oldest first.
    is_all
        Whether the range holds no earlier session than these.
    old_rows
        How many values bars of these sessions had before: one more with each that changes.
    factors
        By what the bars are adjusted; None: by nothing.
    """

    query: BarQuery
    moment: dt.datetime | None
    sessions: pl.DataFrame
    is_all: bool
    old_rows: int
    factors: pl.DataFrame | None
    view: FileView

    @property
    def root_hash(self) -> str:
        """Root over the sessions, as `snapshots.symbol_root` reckons it: equal roots, equal values of raw bars."""
        return symbol_root(self.query.feed, self.query.symbols[0], self.sessions)

    @property
    def state(self) -> tuple[object, ...]:
        """Everything the bars of this query depend on: equal states of equal queries give equal rows."""
        factors = None if self.factors is None else self.factors.rows()
        return self.root_hash, self.old_rows, self.is_all, factors

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pl.DataFrame]:
        """The bars in frames that are made of at most so many minute bars, or of one session; oldest first.

        One frame at least is given, with the columns of `Lake.bars`.

        Raises
        ------
        FormatError
            If a file is damaged, or was replaced longer ago than replaced files are kept.
        """
        for span in self._spans(rows):
            yield self._read(span)

    def newest(self, count: int) -> pl.DataFrame:
        """The last `count` bars, or all there are of these sessions; oldest first. No more is read than that takes."""
        found: list[pl.DataFrame] = []
        for span in reversed(list(self._spans(_STEP_ROWS))):
            found.insert(0, self._read(span))
            if sum(frame.height for frame in found) >= count:
                break
        return pl.concat(found).tail(count)

    def _spans(self, rows: int) -> Iterator[TimeRange]:
        """The range cut between sessions."""
        counts = self.sessions["rows"].to_list()
        begin = held = 0
        for place, count in enumerate(counts):
            if place > begin and held + count > rows:
                yield self._span(begin, place)
                begin, held = place, 0
            held += count
        yield self._span(begin, len(counts))

    def _span(self, begin: int, end: int) -> TimeRange:
        """From the session of one place up to that of another; the first and the last reach as far as the query."""
        days, whole, feed = self.sessions["session"], self.query.span, self.query.feed
        start = session_bounds(days[begin], days[begin], feed)[0] if begin or not self.is_all else whole.start
        stop = session_bounds(days[end], days[end], feed)[0] if end < days.len() else whole.end
        if start is not None and whole.start is not None:
            start = max(start, whole.start)
        return replace(whole, start=start, end=stop)

    def _read(self, span: TimeRange) -> pl.DataFrame:
        query, symbol = self.query, self.query.symbols[0]
        view = replace(self.view, bars=_within(self.view.bars, span), revisions=_within(self.view.revisions, span))
        if query.as_of is None:
            rows = read_paths(query.lake.store, view.bars, feed=query.feed, span=span)
        else:
            rows = collect(read_view(query.lake.store, view, feed=query.feed, span=span, as_of=query.as_of))
        return query.in_terms(symbol, rows, self.factors)


def pin_bars(
    lake: Lake,
    symbol: str,
    start: Boundary = None,
    end: Boundary = None,
    *,
    newest_sessions: int | None = None,
    **options: Unpack[BarOptions],
) -> PinnedBars:
    """The bars of one symbol with start <= timestamp < end, as the lake holds them at this moment.

    Parameters
    ----------
    newest_sessions
        Only the last so many sessions held in the range; None takes all of it.
    options
        As at `Lake.bars`.

    Raises
    ------
    NotFoundError, InvalidInputError
        As `Lake.bars` raises them.
    ConflictError
        If others wrote without a pause while adjustment factors were reckoned.
    """
    if newest_sessions is not None and newest_sessions < 1:
        raise InvalidInputError(f"newest_sessions {newest_sessions} asks for no session: give 1 or more.")
    query = BarQuery.parse(lake, symbol, start, end, **options)
    for _ in range(_ROUNDS):
        look = _look(query, newest_sessions)
        if query.adjustment is Adjustment.RAW:
            return _pinned(query, look, None, newest_sessions)
        factors = query.factors(query.symbols[0])
        if moment_of(lake.manifest) == look.moment:
            return _pinned(query, look, factors, newest_sessions)
    raise ConflictError(f"the lake changed each of {_ROUNDS} times that {symbol!r} was looked at: ask again.")


def moment_of(manifest: Manifest) -> dt.datetime | None:
    """When the lake last changed what it answers about bars: its newest commit or corporate action."""
    with reading(manifest.engine) as connection:
        return _moment(connection)


def _pinned(query: BarQuery, look: _Look, factors: pl.DataFrame | None, newest: int | None) -> PinnedBars:
    is_all = newest is None or look.sessions.height < newest
    return PinnedBars(query, look.moment, look.sessions, is_all, look.old_rows, factors, look.view)


def _look(query: BarQuery, newest: int | None) -> _Look:
    """All that has to be of one state, in one consistent look at the manifest."""
    span = query.span
    asked: dict[str, Any] = {
        "feed": query.feed,
        "symbol": query.symbols[0],
        "start": span.first_session or dt.date.min,
        "end": span.end_session or dt.date.max,
        "newest": newest or _EVERY,
    }
    with reading(query.lake.manifest.engine) as connection:
        rows = [tuple(row) for row in connection.execute(_HELD, asked)]
        sessions = pl.DataFrame(rows[::-1], schema=_SESSIONS, orient="row")
        if len(rows) == newest:
            asked["start"] = sessions["session"][0]
        files = connection.execute(_FILES, asked).all()
        late = _late(connection, query)
        moment = _moment(connection)
    view = FileView(
        bars=tuple(path for dataset, path, _ in files if dataset == BARS),
        revisions=tuple(path for dataset, path, _ in files if dataset == REVISIONS and query.as_of is not None),
        late=late,
    )
    return _Look(moment, sessions, view, sum(rows for dataset, _, rows in files if dataset == REVISIONS))


def _late(connection: Connection, query: BarQuery) -> tuple[dt.datetime, ...]:
    if query.as_of is None:
        return ()
    return tuple(connection.execute(late_moments(query.feed, query.symbols[0], query.as_of)).scalars())


def _moment(connection: Connection) -> dt.datetime | None:
    found = connection.execute(_MOMENTS).one()
    return max((instant for instant in found if instant is not None), default=None)


def _held_query() -> Select[Any]:
    """The newest sessions of a symbol in [start, end), newest first."""
    table = tables.held_sessions
    return (
        select(*(table.c[name] for name in _SESSIONS))
        .where(
            table.c.feed == bindparam("feed"),
            table.c.symbol == bindparam("symbol"),
            table.c.session >= bindparam("start"),
            table.c.session < bindparam("end"),
        )
        .order_by(table.c.session.desc())
        .limit(bindparam("newest", type_=Integer))
    )


def _files_query() -> Select[Any]:
    """Files of bars and of old values that count and may hold sessions in [start, end)."""
    table = tables.files
    return (
        select(table.c.dataset, table.c.path, table.c.rows)
        .where(
            table.c.dataset.in_((BARS, REVISIONS)),
            table.c.feed == bindparam("feed"),
            table.c.symbol == bindparam("symbol"),
            table.c.removed_at.is_(None),
            table.c.period_end > bindparam("start"),
            table.c.period_start < bindparam("end"),
        )
        .order_by(table.c.period_start, table.c.path)
    )


# Made once: to put a question together costs more than to have it answered.
_EVERY = 2**31 - 1
_HELD, _FILES = _held_query(), _files_query()
_MOMENTS = select(
    select(func.max(tables.commits.c.committed_at)).scalar_subquery(),
    select(func.max(tables.corporate_actions.c.known_at)).scalar_subquery(),
)


def _within(paths: tuple[str, ...], span: TimeRange) -> tuple[str, ...]:
    """Files whose period has a session of the range."""
    first, end = span.first_session, span.end_session
    if len(paths) == 1 or (first is None and end is None):
        return paths
    found = []
    for path in paths:
        period = parse_partition_path(PurePosixPath(path).parent)[1].period
        if (first is None or period.end > first) and (end is None or period.start < end):
            found.append(path)
    return tuple(found)
