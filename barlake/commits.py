"""A commit as SQL: everything one write changes, inside the one transaction that makes it count."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, literal, select, update

from barlake import tables
from barlake.database import upsert
from barlake.errors import ConflictError
from barlake.records import AnswerStatus, Commit, FileRecord, RowRank
from barlake.sessions import NEW_YORK

__all__ = ["TICK", "apply_commit", "log_commit"]

logger = logging.getLogger(__name__)

TICK = dt.timedelta(microseconds=1)


def apply_commit(connection: Connection, commit: Commit, now: dt.datetime) -> None:
    """Make one write count, within a transaction that writes.

    Raises
    ------
    ConflictError
        If a file the write was merged from was replaced meanwhile, or a file appeared in a period it covers.
    """
    _refuse_if_overtaken(connection, commit)
    now = _after_the_last(connection, now)
    connection.execute(
        insert(tables.commits),
        {
            "commit_id": commit.commit_id,
            "committed_at": now,
            "source": commit.source,
            "feed": commit.feed,
            "symbol": commit.symbol,
            "moment": commit.moment,
            "dataset": commit.dataset,
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
    _forget(connection, commit, now)
    _put_held(connection, commit)
    _put_ranks(connection, commit)
    _put_answers(connection, commit, now)
    _put_cursor(connection, commit, now)
    _put_quarantine(connection, commit, now)


def log_commit(commit: Commit, started: float) -> None:
    """Say in the log that a commit was made; `started` is `time.monotonic()` before it."""
    if logger.isEnabledFor(logging.INFO):
        facts = {
            "stage": "commit", "symbol": commit.symbol, "feed": commit.feed, "source": commit.source,
            "commit": commit.commit_id, "files": len(commit.added), "replaced": len(commit.removed),
            "sessions": len(commit.held), **commit.counts,
            "duration_ms": round((time.monotonic() - started) * 1000.0, 1),
        }  # fmt: skip
        logger.info("committed %s %s", commit.feed, commit.symbol, extra=facts)


def _after_the_last(connection: Connection, now: dt.datetime) -> dt.datetime:
    """The present instant, moved behind the last commit's: commits have an order, clocks may not."""
    last = connection.execute(select(func.max(tables.commits.c.committed_at))).scalar()
    return now if last is None else max(now, last + TICK)


def _refuse_if_overtaken(connection: Connection, commit: Commit) -> None:
    """A write was merged from the files that counted when it was planned: they must still be all there are."""
    table = tables.files
    for period in commit.periods:
        query = select(table.c.path).where(
            table.c.dataset == commit.dataset,
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


def _forget(connection: Connection, commit: Commit, now: dt.datetime) -> None:
    """Drop sessions with all that was said about them, and half-finished requests that may have stored some."""
    if not commit.forgotten:
        return
    _keep_answers(connection, commit, commit.forgotten, now)
    own = {"of_feed": commit.feed, "of_symbol": commit.symbol}
    for table in (tables.held_sessions, tables.answers, tables.provisional_rows):
        gone = (
            table.c.feed == bindparam("of_feed"),
            table.c.symbol == bindparam("of_symbol"),
            table.c.session == bindparam("gone"),
        )
        connection.execute(delete(table).where(*gone), [own | {"gone": day} for day in commit.forgotten])
    requests = f"/{commit.feed}/{commit.symbol}/"
    connection.execute(delete(tables.cursors).where(tables.cursors.c.key.contains(requests, autoescape=True)))


def _put_held(connection: Connection, commit: Commit) -> None:
    table = tables.held_sessions
    mine = (table.c.feed == commit.feed) & (table.c.symbol == commit.symbol)
    if commit.emptied:
        connection.execute(delete(table).where(mine & table.c.session.in_(commit.emptied)))
    if not commit.held:
        return
    statement = upsert(connection, tables.held_sessions)
    columns = ("rows", "regular_rows", "first_timestamp", "last_timestamp", "content_hash", "commit_id")
    statement = statement.on_conflict_do_update(
        index_elements=["feed", "symbol", "session"],
        set_={name: statement.excluded[name] for name in columns},
    )
    own = {"feed": commit.feed, "symbol": commit.symbol, "commit_id": commit.commit_id}
    connection.execute(statement, [vars(session) | own for session in commit.held])


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
        statement = upsert(connection, table)
        statement = statement.on_conflict_do_update(
            index_elements=["feed", "symbol", "timestamp"], set_={"rank": statement.excluded.rank}
        )
        connection.execute(statement, provisional)
    if final:
        mine = (table.c.feed == commit.feed) & (table.c.symbol == commit.symbol)
        connection.execute(delete(table).where(mine & (table.c.timestamp == bindparam("gone"))), final)


def _put_answers(connection: Connection, commit: Commit, now: dt.datetime) -> None:
    if not commit.answers:
        return
    final = [answer.session for answer in commit.answers if answer.status != AnswerStatus.IMPORTED]
    _keep_answers(connection, commit, final, now)
    statement = upsert(connection, tables.answers)
    statement = statement.on_conflict_do_update(
        index_elements=["feed", "symbol", "session"],
        set_={name: statement.excluded[name] for name in ("status", "attempts", "answered_at")},
        # What a source answered says more than that a file was imported.
        where=statement.excluded.status != AnswerStatus.IMPORTED,
    )
    own = {"feed": commit.feed, "symbol": commit.symbol, "answered_at": now}
    connection.execute(statement, [vars(answer) | own for answer in commit.answers])


def _keep_answers(connection: Connection, commit: Commit, sessions: Sequence[dt.date], now: dt.datetime) -> None:
    """Keep what was said about sessions until now, for whoever asks how the lake was before."""
    if not sessions:
        return
    said, kept = tables.answers, tables.superseded_answers
    until = literal(now, tables.UtcDateTime()).label("superseded_at")
    standing = select(*said.columns, until).where(
        said.c.feed == commit.feed, said.c.symbol == commit.symbol, said.c.session == bindparam("of_session")
    )
    statement = insert(kept).from_select([*said.columns.keys(), "superseded_at"], standing)
    connection.execute(statement, [{"of_session": day} for day in sessions])


def _put_cursor(connection: Connection, commit: Commit, now: dt.datetime) -> None:
    if commit.cursor is not None:
        statement = upsert(connection, tables.cursors)
        statement = statement.on_conflict_do_update(
            index_elements=["key"],
            set_={name: statement.excluded[name] for name in ("page_token", "pages", "rows", "updated_at")},
        )
        connection.execute(statement, vars(commit.cursor) | {"updated_at": now})
    if commit.cursor_done is not None:
        connection.execute(delete(tables.cursors).where(tables.cursors.c.key == commit.cursor_done))


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
    connection.execute(upsert(connection, tables.quarantine).on_conflict_do_nothing(), rows)


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
