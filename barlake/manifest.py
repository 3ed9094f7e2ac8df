"""Which file holds which rows, since when, and what every request was answered.

The manifest is the truth: a file that it does not count does not exist for any reader. All changes of
one write are one transaction, so files, sessions, answers and page tokens always agree.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from barlake import tables
from barlake.database import make_engine, reading, upgrade, writing
from barlake.errors import ConflictError
from barlake.keys import PartitionKey, Period
from barlake.layout import BARS, REVISIONS
from barlake.receipts import Receipt
from barlake.records import AnswerStatus, Commit, Cursor, FileRecord, FileView, RowRank, utc_now
from barlake.sessions import NEW_YORK

__all__ = ["Manifest"]

_TICK = dt.timedelta(microseconds=1)


class Manifest:
    """The manifest of one lake, in a SQLite file that is made when missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = make_engine(path)
        upgrade(self._engine)

    def close(self) -> None:
        """Let go of the database file."""
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

    def removed_files(self, *, before: dt.datetime) -> list[str]:
        """Paths that stopped counting before an instant."""
        table = tables.files
        query = select(table.c.path).where(table.c.removed_at < before)
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def known_paths(self) -> set[str]:
        """Every path the manifest has a record of, counting or not."""
        with reading(self._engine) as connection:
            return set(connection.execute(select(tables.files.c.path)).scalars())

    def feeds(self) -> dict[str, set[str]]:
        """Symbols held, by feed."""
        table = tables.held_sessions
        query = select(table.c.feed, table.c.symbol).distinct()
        found: dict[str, set[str]] = {}
        with reading(self._engine) as connection:
            for feed, symbol in connection.execute(query):
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
        table = tables.held_sessions
        query: Select[Any] = select(
            table.c.feed,
            table.c.symbol,
            table.c.session,
            table.c.rows,
            table.c.regular_rows,
            table.c.first_timestamp.label("first"),
            table.c.last_timestamp.label("last"),
            table.c.content_hash,
        ).order_by(table.c.feed, table.c.symbol, table.c.session)
        query = _restrict(query, table, feed, symbol, start, end)
        stamp = pl.Datetime("us", "UTC")
        schema = {
            "feed": pl.String(), "symbol": pl.String(), "session": pl.Date(), "rows": pl.Int64(),
            "regular_rows": pl.Int64(), "first": stamp, "last": stamp, "content_hash": pl.String(),
        }  # fmt: skip
        return self._frame(query, schema)

    def answers(
        self,
        *,
        feed: str | None = None,
        symbol: str | None = None,
        start: dt.date | None = None,
        end: dt.date | None = None,
    ) -> pl.DataFrame:
        """One row per session a source answered for: feed, symbol, session, status, attempts, answered_at."""
        table = tables.answers
        query = select(table).order_by(table.c.feed, table.c.symbol, table.c.session)
        query = _restrict(query, table, feed, symbol, start, end)
        schema = {
            "feed": pl.String(), "symbol": pl.String(), "session": pl.Date(), "status": pl.String(),
            "attempts": pl.Int64(), "answered_at": pl.Datetime("us", "UTC"),
        }  # fmt: skip
        return self._frame(query, schema)

    def provisional(
        self, *, feed: str, symbol: str, start: dt.date | None = None, end: dt.date | None = None
    ) -> pl.DataFrame:
        """One row per bar that is not final: timestamp, rank."""
        table = tables.provisional_rows
        query: Select[Any] = select(table.c.timestamp, table.c.rank).order_by(table.c.timestamp)
        query = _restrict(query, table, feed, symbol, start, end)
        return self._frame(query, {"timestamp": pl.Datetime("us", "UTC"), "rank": pl.Int64()})

    def next_moment(self, feed: str, symbol: str, now: dt.datetime) -> dt.datetime:
        """The present instant, moved behind the last moment of this symbol's commits."""
        table = tables.commits
        query = select(func.max(table.c.moment)).where(table.c.feed == feed, table.c.symbol == symbol)
        with reading(self._engine) as connection:
            last = connection.execute(query).scalar()
        return now if last is None else max(now, last + _TICK)

    def last_commit_at(self) -> dt.datetime | None:
        """When the newest commit happened; None when there is none. `as_of` this instant is what is held now."""
        with reading(self._engine) as connection:
            return connection.execute(select(func.max(tables.commits.c.committed_at))).scalar()

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
        commits = tables.commits
        late = select(commits.c.moment).where(
            commits.c.feed == feed,
            commits.c.symbol == symbol,
            commits.c.moment <= as_of,
            commits.c.committed_at > as_of,
        )
        with reading(self._engine) as connection:
            found = [
                _file_record(row)
                for dataset in datasets
                for row in connection.execute(_counting(dataset, feed, symbol, start, end)).mappings()
            ]
            moments = [] if as_of is None else list(connection.execute(late).scalars())
        return FileView(
            bars=tuple(file.path for file in found if file.dataset == BARS),
            revisions=tuple(file.path for file in found if file.dataset == REVISIONS),
            late=tuple(moment for moment in moments if moment is not None),
        )

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

    def quarantine(self) -> pl.DataFrame:
        """One row per refused row, with its reason."""
        table = tables.quarantine
        query = select(table).order_by(table.c.seen_at, table.c.origin, table.c.row_number)
        return self._frame(query, _schema_of(table) | {"seen_at": pl.Datetime("us", "UTC")})

    def _frame(self, query: Select[Any], schema: dict[str, pl.DataType]) -> pl.DataFrame:
        with reading(self._engine) as connection:
            rows = [tuple(row) for row in connection.execute(query)]
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
        with writing(self._engine) as connection:
            _refuse_if_overtaken(connection, commit)
            now = _after_the_last(connection)
            connection.execute(
                insert(tables.commits),
                {
                    "commit_id": commit.commit_id,
                    "committed_at": now,
                    "source": commit.source,
                    "feed": commit.feed,
                    "symbol": commit.symbol,
                    "moment": commit.moment,
                },
            )
            if commit.removed:
                connection.execute(
                    update(tables.files)
                    .where(tables.files.c.path.in_(commit.removed))
                    .values(removed_at=now, removed_by=commit.commit_id)
                )
            if commit.added:
                rows = [_file_row(file, commit.commit_id) for file in commit.added]
                connection.execute(insert(tables.files), rows)
            self._put_held(connection, commit)
            self._put_ranks(connection, commit)
            self._put_answers(connection, commit, now)
            self._put_cursor(connection, commit, now)
            self._put_quarantine(connection, commit, now)

    def add_receipts(self, receipts: Iterable[Receipt]) -> None:
        """Keep what became of requests; they are facts of the past and stand alone."""
        rows = [dataclasses.asdict(receipt) for receipt in receipts]
        if rows:
            with writing(self._engine) as connection:
                connection.execute(insert(tables.receipts), rows)

    def forget_files(self, paths: Sequence[str]) -> None:
        """Drop the records of files that no longer count and were deleted."""
        if paths:
            # One parameter a row: a list of all of them can be longer than a statement may be.
            statement = delete(tables.files).where(tables.files.c.path == bindparam("gone"))
            with writing(self._engine) as connection:
                connection.execute(statement, [{"gone": path} for path in paths])

    def put_artifact(self, kind: str, artifact_id: str, created_at: dt.datetime, manifest: str) -> None:
        """Register a finished artifact folder with the text of its manifest, in place of an earlier one."""
        row = {"kind": kind, "artifact_id": artifact_id, "created_at": created_at, "manifest": manifest}
        statement = upsert(tables.artifacts)
        statement = statement.on_conflict_do_update(
            index_elements=["kind", "artifact_id"],
            set_={name: statement.excluded[name] for name in ("created_at", "manifest")},
        )
        with writing(self._engine) as connection:
            connection.execute(statement, row)

    def artifacts(self, kind: str) -> list[tuple[str, str]]:
        """Id and manifest text of every registered artifact of a kind, oldest first."""
        table = tables.artifacts
        query = select(table.c.artifact_id, table.c.manifest).where(table.c.kind == kind)
        with reading(self._engine) as connection:
            return [
                (row.artifact_id, row.manifest)
                for row in connection.execute(query.order_by(table.c.created_at, table.c.artifact_id))
            ]

    @staticmethod
    def _put_held(connection: Connection, commit: Commit) -> None:
        table = tables.held_sessions
        mine = (table.c.feed == commit.feed) & (table.c.symbol == commit.symbol)
        if commit.emptied:
            connection.execute(delete(table).where(mine & table.c.session.in_(commit.emptied)))
        if not commit.held:
            return
        statement = upsert(tables.held_sessions)
        columns = ("rows", "regular_rows", "first_timestamp", "last_timestamp", "content_hash", "commit_id")
        statement = statement.on_conflict_do_update(
            index_elements=["feed", "symbol", "session"],
            set_={name: statement.excluded[name] for name in columns},
        )
        own = {"feed": commit.feed, "symbol": commit.symbol, "commit_id": commit.commit_id}
        connection.execute(statement, [dataclasses.asdict(session) | own for session in commit.held])

    @staticmethod
    def _put_ranks(connection: Connection, commit: Commit) -> None:
        table = tables.provisional_rows
        own = {"feed": commit.feed, "symbol": commit.symbol}
        settled = [
            own | {"timestamp": stamp, "session": stamp.astimezone(NEW_YORK).date(), "rank": int(rank)}
            for stamp, rank in commit.ranks.items()
        ]
        provisional = [row for row in settled if row["rank"] != RowRank.FINAL]
        final = [{"gone": row["timestamp"]} for row in settled if row["rank"] == RowRank.FINAL]
        if provisional:
            statement = upsert(table)
            statement = statement.on_conflict_do_update(
                index_elements=["feed", "symbol", "timestamp"], set_={"rank": statement.excluded.rank}
            )
            connection.execute(statement, provisional)
        if final:
            mine = (table.c.feed == commit.feed) & (table.c.symbol == commit.symbol)
            connection.execute(delete(table).where(mine & (table.c.timestamp == bindparam("gone"))), final)

    @staticmethod
    def _put_answers(connection: Connection, commit: Commit, now: dt.datetime) -> None:
        if not commit.answers:
            return
        statement = upsert(tables.answers)
        statement = statement.on_conflict_do_update(
            index_elements=["feed", "symbol", "session"],
            set_={name: statement.excluded[name] for name in ("status", "attempts", "answered_at")},
            # What a source answered says more than that a file was imported.
            where=statement.excluded.status != AnswerStatus.IMPORTED,
        )
        own = {"feed": commit.feed, "symbol": commit.symbol, "answered_at": now}
        connection.execute(statement, [dataclasses.asdict(answer) | own for answer in commit.answers])

    @staticmethod
    def _put_cursor(connection: Connection, commit: Commit, now: dt.datetime) -> None:
        if commit.cursor is not None:
            statement = upsert(tables.cursors)
            statement = statement.on_conflict_do_update(
                index_elements=["key"],
                set_={name: statement.excluded[name] for name in ("page_token", "pages", "rows", "updated_at")},
            )
            connection.execute(statement, dataclasses.asdict(commit.cursor) | {"updated_at": now})
        if commit.cursor_done is not None:
            connection.execute(delete(tables.cursors).where(tables.cursors.c.key == commit.cursor_done))

    @staticmethod
    def _put_quarantine(connection: Connection, commit: Commit, now: dt.datetime) -> None:
        if commit.quarantined is None or commit.quarantined.is_empty():
            return
        rows = [
            {
                "quarantine_id": _quarantine_id(commit, row),
                "feed": commit.feed,
                "symbol": commit.symbol,
                "origin": commit.origin,
                "seen_at": now,
                **row,
            }
            for row in commit.quarantined.iter_rows(named=True)
        ]
        connection.execute(upsert(tables.quarantine).on_conflict_do_nothing(), rows)


def _after_the_last(connection: Connection) -> dt.datetime:
    """The present instant, moved behind the last commit's: commits have an order, clocks may not."""
    last = connection.execute(select(func.max(tables.commits.c.committed_at))).scalar()
    now = utc_now()
    return now if last is None else max(now, last + _TICK)


def _refuse_if_overtaken(connection: Connection, commit: Commit) -> None:
    """A write was merged from the files that counted when it was planned: they must still be all there are."""
    table = tables.files
    for period in commit.periods:
        query = select(table.c.path).where(
            table.c.dataset == BARS,
            table.c.feed == commit.feed,
            table.c.symbol == commit.symbol,
            table.c.removed_at.is_(None),
            table.c.period_start < period.end,
            table.c.period_end > period.start,
        )
        now_counting = set(connection.execute(query).scalars())
        if not now_counting <= set(commit.removed):
            raise ConflictError(
                f"{commit.feed}/{commit.symbol} {period.label} was changed by another writer meanwhile: merge again."
            )
    still = select(func.count()).where(table.c.path.in_(commit.removed), table.c.removed_at.is_(None))
    if commit.removed and connection.execute(still).scalar_one() != len(commit.removed):
        raise ConflictError(
            f"a file of {commit.feed}/{commit.symbol} was replaced by another writer meanwhile: merge again."
        )


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


def _file_row(file: FileRecord, commit_id: str) -> dict[str, Any]:
    return {
        "path": file.path,
        "dataset": file.dataset,
        "feed": file.key.feed,
        "symbol": file.key.symbol,
        "period": file.key.period.label,
        "period_start": file.key.period.start,
        "period_end": file.key.period.end,
        "rows": file.rows,
        "bytes": file.bytes,
        "first_timestamp": file.first_timestamp,
        "last_timestamp": file.last_timestamp,
        "commit_id": commit_id,
        "removed_at": None,
        "removed_by": None,
    }


def _quarantine_id(commit: Commit, row: dict[str, Any]) -> str:
    text = "\x1f".join([commit.feed, commit.symbol, commit.origin, str(row["row_number"]), row["reason"], row["raw"]])
    return hashlib.sha256(text.encode()).hexdigest()


def _schema_of(table: Any) -> dict[str, pl.DataType]:
    kinds: dict[type, pl.DataType] = {int: pl.Int64(), float: pl.Float64(), str: pl.String(), bool: pl.Boolean()}
    return {column.name: kinds.get(column.type.python_type, pl.Datetime("us", "UTC")) for column in table.columns}
