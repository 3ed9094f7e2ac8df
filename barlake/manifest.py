"""Which file holds which rows, since when, and what every request was answered.

The manifest is the truth: a file that it does not count does not exist for any reader. All changes of
one write are one transaction, so files, sessions, answers and page tokens always agree.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import polars as pl
from sqlalchemy import CompoundSelect, Engine, Select, bindparam, delete, func, insert, select, text, update

from barlake import tables
from barlake.action_records import ActionRecords
from barlake.artifact_records import ArtifactRecords
from barlake.commits import TICK, apply_commits, log_commits
from barlake.database import Place, make_engine, reading, upgrade, writing
from barlake.keys import PartitionKey, Period
from barlake.layout import BARS, REVISIONS
from barlake.quality_records import QualityRecords
from barlake.receipts import Receipt
from barlake.records import Commit, Cursor, FileRecord, FileView, utc_now

__all__ = ["COMMITS", "HELD", "Manifest", "late_moments"]

_STAMP = pl.Datetime("us", "UTC")
HELD: dict[str, pl.DataType] = {
    "feed": pl.String(), "symbol": pl.String(), "session": pl.Date(), "rows": pl.Int64(),
    "regular_rows": pl.Int64(), "first": _STAMP, "last": _STAMP, "content_hash": pl.String(),
}  # fmt: skip
"""Columns of sessions held."""

COMMITS: dict[str, pl.DataType] = {
    "dataset": pl.String(), "feed": pl.String(), "symbol": pl.String(), "moment": _STAMP,
    "committed_at": _STAMP, "source": pl.String(),
}  # fmt: skip
"""Columns of commits."""

_FEEDS = text("""
    WITH RECURSIVE feeds (feed) AS (
        SELECT min(feed) FROM held_sessions
        UNION ALL
        SELECT (SELECT min(feed) FROM held_sessions WHERE feed > feeds.feed) FROM feeds WHERE feeds.feed IS NOT NULL
    )
    SELECT feed FROM feeds WHERE EXISTS (
        SELECT 1 FROM held_sessions AS held WHERE held.feed = feeds.feed AND held.symbol = :one
    )
""")
"""Feeds that hold a symbol, by steps from feed to feed in the key: as quick for a million sessions as for one."""


class Manifest:
    """The manifest of one lake, in a SQLite file that is made when missing, or in a PostgreSQL database."""

    def __init__(self, place: Place, *, now: Callable[[], dt.datetime] = utc_now) -> None:
        self.place = place
        self._now = now
        self._engine = make_engine(place)
        try:
            upgrade(self._engine)
        except BaseException:
            self._engine.dispose()
            raise
        self.quality = QualityRecords(self._engine)
        self.artifacts = ArtifactRecords(self._engine)
        self.actions = ActionRecords(self._engine)

    @property
    def engine(self) -> Engine:
        """The database, for tables that have a module of their own."""
        return self._engine

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    # --- reading -------------------------------------------------------------------------------

    def files(
        self,
        *,
        dataset: str = BARS,
        feed: str | None = None,
        symbol: str | None = None,
        start: dt.date | None = None,
        end: dt.date | None = None,
    ) -> list[FileRecord]:
        """Files that count and may hold sessions in [start, end), by feed, symbol and period."""
        query = _counting(dataset, feed, symbol, start, end)
        with reading(self._engine) as connection:
            return [_file_record(row) for row in connection.execute(query).mappings()]

    def removed_files(self, *, before: dt.datetime, by: dt.datetime | None = None) -> list[str]:
        """Paths that stopped counting before an instant, and by that commit, earliest first."""
        table = tables.files
        query = select(table.c.path).where(table.c.removed_at < before).order_by(table.c.removed_at)
        if by is not None:
            query = query.where(table.c.removed_by.not_in(_commits_after(by)))
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def known_paths(self) -> set[str]:
        """Every path the manifest has a record of, counting or not."""
        with reading(self._engine) as connection:
            return set(connection.execute(select(tables.files.c.path)).scalars())

    def replaced_by(self, commit_id: str) -> list[FileRecord]:
        """Files that counted until a commit put others in their place."""
        table = tables.files
        query = select(table).where(table.c.removed_by == commit_id).order_by(table.c.path)
        with reading(self._engine) as connection:
            return [_file_record(row) for row in connection.execute(query).mappings()]

    def feeds(self, symbols: Iterable[str] | None = None) -> dict[str, set[str]]:
        """Symbols held, by feed; of these symbols or of all."""
        table = tables.held_sessions
        every = select(table.c.feed, table.c.symbol).distinct()
        found: dict[str, set[str]] = {}
        with reading(self._engine) as connection:
            if symbols is None:
                pairs = [(feed, symbol) for feed, symbol in connection.execute(every)]
            else:
                pairs = [(feed, one) for one in symbols for feed in connection.execute(_FEEDS, {"one": one}).scalars()]
        for feed, symbol in pairs:
            found.setdefault(feed, set()).add(symbol)
        return found

    def symbols(self, *, feed: str | None = None) -> pl.DataFrame:
        """One row per feed and symbol: feed, symbol, sessions, bars, first, last (session dates)."""
        table = tables.held_sessions
        query = (
            select(
                table.c.feed,
                table.c.symbol,
                func.count().label("sessions"),
                func.sum(table.c.rows).label("bars"),
                func.min(table.c.session).label("first"),
                func.max(table.c.session).label("last"),
            )
            .group_by(table.c.feed, table.c.symbol)
            .order_by(table.c.feed, table.c.symbol)
        )
        if feed is not None:
            query = query.where(table.c.feed == feed)
        schema = {
            "feed": pl.String(), "symbol": pl.String(), "sessions": pl.Int64(),
            "bars": pl.Int64(), "first": pl.Date(), "last": pl.Date(),
        }  # fmt: skip
        return self._frame(query, schema)

    def held(
        self,
        *,
        feed: str | None = None,
        symbol: str | None = None,
        start: dt.date | None = None,
        end: dt.date | None = None,
    ) -> pl.DataFrame:
        """One row per session held: feed, symbol, session, rows, regular_rows, first, last, content_hash."""
        query = _restrict(_held(), tables.held_sessions, feed, symbol, start, end)
        return self._frame(query, HELD)

    def held_with_commits(
        self, *, feed: str | None = None, start: dt.date | None = None, end: dt.date | None = None
    ) -> pl.DataFrame:
        """What `held` gives, and committed_at: since when each session is as it is."""
        held, commits = tables.held_sessions, tables.commits
        query = _held().add_columns(commits.c.committed_at).join(commits, commits.c.commit_id == held.c.commit_id)
        return self._frame(_restrict(query, held, feed, None, start, end), HELD | {"committed_at": _STAMP})

    def pairs_changed_after(self, instant: dt.datetime) -> list[tuple[str, str]]:
        """Feed and symbol of every commit of bars since an instant; all of a feed where one was of several symbols."""
        table, held = tables.commits, tables.held_sessions
        query = select(table.c.feed, table.c.symbol).where(table.c.committed_at > instant, table.c.dataset == BARS)
        query = query.distinct()
        with reading(self._engine) as connection:
            found = {(row.feed, row.symbol) for row in connection.execute(query)}
            for feed in [feed for feed, symbol in found if symbol is None]:
                every = select(held.c.symbol).where(held.c.feed == feed).distinct()
                found |= {(feed, symbol) for symbol in connection.execute(every).scalars()}
        return sorted(pair for pair in found if pair[1] is not None)

    def commits(self) -> pl.DataFrame:
        """One row per commit of rows: dataset, feed, symbol, moment (their `ingested_at`), committed_at, source.

        The symbol is null where one commit brought rows of several.
        """
        table = tables.commits
        query = select(*(table.c[name] for name in COMMITS))
        return self._frame(query.where(table.c.moment.is_not(None)).order_by(table.c.committed_at), COMMITS)

    def held_now(
        self, *, feed: str | None = None, start: dt.date | None = None, end: dt.date | None = None
    ) -> tuple[pl.DataFrame, dt.datetime | None]:
        """What `held` gives, and the last commit that it reflects; None when there was none yet."""
        while True:
            before = self.last_commit_at()
            held = self.held(feed=feed, start=start, end=end)
            if self.last_commit_at() == before:
                return held, before

    def answers(
        self,
        *,
        feed: str | None = None,
        symbol: str | None = None,
        start: dt.date | None = None,
        end: dt.date | None = None,
        as_of: dt.datetime | None = None,
    ) -> pl.DataFrame:
        """One row per session answered for: feed, symbol, session, status, attempts, answered_at, source (or null).

        Parameters
        ----------
        as_of
            The answers that stood at that instant; None means now.
        """
        schema = {
            "feed": pl.String(), "symbol": pl.String(), "session": pl.Date(), "status": pl.String(),
            "attempts": pl.Int64(), "answered_at": _STAMP, "source": pl.String(),
        }  # fmt: skip
        table, old = tables.answers, tables.superseded_answers
        now = _restrict(select(*(table.c[name] for name in schema)), table, feed, symbol, start, end)
        query: Select[Any] | CompoundSelect[Any] = now
        if as_of is not None:
            before = _restrict(select(*(old.c[name] for name in schema)), old, feed, symbol, start, end)
            before = before.where(old.c.answered_at <= as_of, old.c.superseded_at > as_of)
            query = now.where(table.c.answered_at <= as_of).union_all(before)
        return self._frame(query, schema).sort("feed", "symbol", "session")

    def provisional(
        self, *, feed: str, symbol: str, start: dt.date | None = None, end: dt.date | None = None
    ) -> pl.DataFrame:
        """One row per bar that is not final: timestamp, rank."""
        table = tables.provisional_rows
        query: Select[Any] = select(table.c.timestamp, table.c.rank).order_by(table.c.timestamp)
        query = _restrict(query, table, feed, symbol, start, end)
        return self._frame(query, {"timestamp": pl.Datetime("us", "UTC"), "rank": pl.Int64()})

    def provisional_sessions(self, *, feed: str) -> list[tuple[str, dt.date]]:
        """Symbol and session of every session that has a bar which is not final."""
        table = tables.provisional_rows
        query = select(table.c.symbol, table.c.session).where(table.c.feed == feed).distinct()
        with reading(self._engine) as connection:
            return [(row.symbol, row.session) for row in connection.execute(query)]

    def next_moment(self, feed: str, symbol: str | None, now: dt.datetime) -> dt.datetime:
        """The present instant, moved behind the last moment of this symbol's commits; None: of the whole feed's."""
        moment = tables.commits.c.moment
        last = select(func.max(moment)).where(tables.commits.c.feed == feed)
        whose = [last] if symbol is None else [last.where(tables.commits.c.symbol == one) for one in (symbol, None)]
        with reading(self._engine) as connection:
            moments: list[dt.datetime | None] = [connection.execute(query).scalar() for query in whose]
        return max([now, *(one + TICK for one in moments if one is not None)])

    def last_commit_at(self, *, by: dt.datetime | None = None) -> dt.datetime | None:
        """When the newest commit happened, of all or of those up to an instant; None when there is none.

        `as_of` this instant is what is held now, or was held then.
        """
        query = select(func.max(tables.commits.c.committed_at))
        if by is not None:
            query = query.where(tables.commits.c.committed_at <= by)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar()

    def view(
        self, *, feed: str, symbol: str, start: dt.date | None, end: dt.date | None, as_of: dt.datetime | None
    ) -> FileView:
        """The files that hold a symbol's bars and old values now, in one consistent look at the manifest.

        Parameters
        ----------
        as_of
            An earlier instant; None asks for the present, which needs no old values.
        """
        datasets = [BARS] if as_of is None else [BARS, REVISIONS]
        with reading(self._engine) as connection:
            found = [
                _file_record(row)
                for dataset in datasets
                for row in connection.execute(_counting(dataset, feed, symbol, start, end)).mappings()
            ]
            late = [] if as_of is None else list(connection.execute(late_moments(feed, symbol, as_of)).scalars())
        return FileView(
            bars=tuple(file.path for file in found if file.dataset == BARS),
            revisions=tuple(file.path for file in found if file.dataset == REVISIONS),
            late=tuple(late),
        )

    def bar_paths(self, *, feed: str, symbols: Sequence[str], start: dt.date | None, end: dt.date | None) -> list[str]:
        """Files of bars that count now and may hold sessions in [start, end): by symbol as given, then by period."""
        table = tables.files
        query = _counting(BARS, feed, None, start, end).where(table.c.symbol.in_(symbols))
        with reading(self._engine) as connection:
            found = connection.execute(query.with_only_columns(table.c.symbol, table.c.path)).all()
        place = {symbol: number for number, symbol in enumerate(symbols)}
        return [path for _, path in sorted(found, key=lambda row: place[row.symbol])]

    def last_files(self, *, feed: str, symbol: str, rows: int) -> list[tuple[str, int]]:
        """Path and rows of the last files of bars that hold so many rows, or of all there are; oldest first."""
        table = tables.files
        query = _counting(BARS, feed, symbol, None, None).order_by(None).order_by(table.c.period_start.desc())
        found: list[tuple[str, int]] = []
        with reading(self._engine) as connection:
            for path, held in connection.execute(query.with_only_columns(table.c.path, table.c.rows)):
                found.insert(0, (path, held))
                rows -= held
                if rows <= 0:
                    break
        return found

    def cursor(self, key: str) -> Cursor | None:
        """How far the request of that name has come, or None when it has not begun or is finished."""
        table = tables.cursors
        with reading(self._engine) as connection:
            row = connection.execute(select(table).where(table.c.key == key)).mappings().first()
        if row is None:
            return None
        return Cursor(row["key"], row["page_token"], row["pages"], row["rows"])

    def receipts(self) -> pl.DataFrame:
        """One row per request ever sent, oldest first."""
        table = tables.receipts
        stamps = dict.fromkeys(("requested_at", "start", "end"), pl.Datetime("us", "UTC"))
        query: Select[Any] = select(table).order_by(table.c.receipt_id)
        return self._frame(query, _schema_of(table) | stamps)

    def asked(self, endpoint: str) -> dict[str, tuple[dt.datetime, dt.datetime]]:
        """The outermost instants that requests to an endpoint covered, by symbol; only those whose last page came."""
        table = tables.receipts
        span = func.min(table.c.start), func.max(table.c.end)
        query = select(table.c.symbol, *span).where(table.c.endpoint == endpoint, table.c.complete)
        with reading(self._engine) as connection:
            return {symbol: (first, last) for symbol, first, last in connection.execute(query.group_by(table.c.symbol))}

    def quarantine(self) -> pl.DataFrame:
        """One row per refused row, with its reason."""
        table = tables.quarantine
        query = select(table).order_by(table.c.seen_at, table.c.origin, table.c.row_number)
        return self._frame(query, _schema_of(table) | {"seen_at": pl.Datetime("us", "UTC")})

    def _frame(self, query: Select[Any] | CompoundSelect[Any], schema: dict[str, pl.DataType]) -> pl.DataFrame:
        with reading(self._engine) as connection:
            rows = [tuple(row) for row in connection.execute(query).all()]
        return pl.DataFrame(rows, schema=schema, orient="row")

    # --- writing -------------------------------------------------------------------------------

    def commit(self, commit: Commit) -> None:
        """Make one write count.

        Raises
        ------
        ConflictError
            If a file the write was merged from was replaced meanwhile, or a file appeared in a period
            it covers; nothing changed.
        StorageError
            If the database refused.
        """
        self.commit_together([commit])

    def commit_together(self, commits: Sequence[Commit]) -> None:
        """Make a write of several symbols count, all of it or nothing; see `commit` and `apply_commits`."""
        started = time.monotonic()
        with writing(self._engine) as connection:
            apply_commits(connection, commits, self._now())
        log_commits(commits, started)

    def add_receipts(self, receipts: Iterable[Receipt]) -> None:
        """Keep what became of requests; they are facts of the past and stand alone."""
        rows = [dataclasses.asdict(receipt) for receipt in receipts]
        if rows:
            with writing(self._engine) as connection:
                connection.execute(insert(tables.receipts), rows)

    def never_counted(self, paths: Sequence[str]) -> list[str]:
        """Which of these paths no commit has named, once every commit under way has ended.

        A server may still be at work on a commit whose writer lost the connection to it.
        """
        with writing(self._engine) as connection:
            known = set(connection.execute(select(tables.files.c.path).where(tables.files.c.path.in_(paths))).scalars())
        return [path for path in paths if path not in known]

    def forget_files(self, paths: Sequence[str]) -> None:
        """Drop the records of files that no longer count and were deleted."""
        if paths:
            # One parameter a row: a list of all of them can be longer than a statement may be.
            statement = delete(tables.files).where(tables.files.c.path == bindparam("gone"))
            with writing(self._engine) as connection:
                connection.execute(statement, [{"gone": path} for path in paths])

    def retire_files(self, *, after: dt.datetime, now: dt.datetime) -> None:
        """Let files that commits after an instant replaced count as replaced at `now`."""
        table = tables.files
        statement = update(table).where(table.c.removed_by.in_(_commits_after(after))).values(removed_at=now)
        with writing(self._engine) as connection:
            connection.execute(statement)


def _held() -> Select[Any]:
    table = tables.held_sessions
    columns = {"first": "first_timestamp", "last": "last_timestamp"}
    chosen = (table.c[columns.get(name, name)].label(name) for name in HELD)
    return select(*chosen).order_by(table.c.feed, table.c.symbol, table.c.session)


def _counting(
    dataset: str, feed: str | None, symbol: str | None, start: dt.date | None, end: dt.date | None
) -> Select[Any]:
    """Files that count and may hold sessions in [start, end)."""
    table = tables.files
    query: Select[Any] = select(table).where(table.c.dataset == dataset, table.c.removed_at.is_(None))
    if feed is not None:
        query = query.where(table.c.feed == feed)
    if symbol is not None:
        query = query.where(table.c.symbol == symbol)
    if start is not None:
        query = query.where(table.c.period_end > start)
    if end is not None:
        query = query.where(table.c.period_start < end)
    return query.order_by(table.c.feed, table.c.symbol, table.c.period_start, table.c.path)


def _commits_after(instant: dt.datetime) -> Select[Any]:
    return select(tables.commits.c.commit_id).where(tables.commits.c.committed_at > instant)


def late_moments(feed: str, symbol: str, as_of: dt.datetime) -> Select[Any]:
    """Moments before an instant whose commits came after it: the question, for a transaction of one's own."""
    table = tables.commits
    return select(table.c.moment).where(
        table.c.dataset == BARS,
        table.c.feed == feed,
        (table.c.symbol == symbol) | table.c.symbol.is_(None),
        table.c.moment <= as_of,
        table.c.committed_at > as_of,
    )


def _restrict(
    query: Select[Any],
    table: Any,
    feed: str | None,
    symbol: str | None,
    start: dt.date | None,
    end: dt.date | None,
) -> Select[Any]:
    if feed is not None:
        query = query.where(table.c.feed == feed)
    if symbol is not None:
        query = query.where(table.c.symbol == symbol)
    if start is not None:
        query = query.where(table.c.session >= start)
    if end is not None:
        query = query.where(table.c.session < end)
    return query


def _file_record(row: Any) -> FileRecord:
    key = PartitionKey(row["feed"], row["symbol"], Period.parse(row["period"]))
    return FileRecord(
        row["path"],
        row["dataset"],
        key,
        row["rows"],
        row["bytes"],
        row["first_timestamp"],
        row["last_timestamp"],
    )


def _schema_of(table: Any) -> dict[str, pl.DataType]:
    kinds: dict[type, pl.DataType] = {int: pl.Int64(), float: pl.Float64(), str: pl.String(), bool: pl.Boolean()}
    return {column.name: kinds.get(column.type.python_type, pl.Datetime("us", "UTC")) for column in table.columns}
