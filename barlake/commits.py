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
from barlake.records import AnswerStatus, Commit, Cursor, FileRecord, RowRank
from barlake.sessions import zone_of

__all__ = ["TICK", "apply_commits", "keep_cursor", "log_commits"]

logger = logging.getLogger(__name__)

TICK = dt.timedelta(microseconds=1)


def apply_commits(connection: Connection, commits: Sequence[Commit], now: dt.datetime) -> None:
    """Make one write count, of one symbol or of several of one feed, within a transaction that writes.

    Parameters
    ----------
    commits
        One for each symbol, all with the same name, source, feed and moment.

    Raises
    ------
    ConflictError
        If a file the write was merged from was replaced meanwhile, or a file appeared in a period it covers.
    """
    _refuse_if_overtaken(connection, commits)
    now = _after_the_last(connection, now)
    first = commits[0]
    connection.execute(
        insert(tables.commits),
        {
            "commit_id": first.commit_id,
            "committed_at": now,
            "source": first.source,
            "feed": first.feed,
            "symbol": first.symbol if len(commits) == 1 else None,
            "moment": first.moment,
            "dataset": first.dataset,
        },
    )
    if removed := [path for commit in commits for path in commit.removed]:
        connection.execute(
            update(tables.files)
            .where(tables.files.c.path.in_(removed))
            .values(removed_at=now, removed_by=first.commit_id)
        )
    if rows := [_file_row(file, commit.commit_id) for commit in commits for file in commit.added]:
        connection.execute(insert(tables.files), rows)
    for commit in commits:
        _forget(connection, commit, now)
    _put_held(connection, commits)
    _put_ranks(connection, commits)
    for commit in commits:
        _put_answers(connection, commit, now)
        _put_cursor(connection, commit, now)
        _put_quarantine(connection, commit, now)


def log_commits(commits: Sequence[Commit], started: float) -> None:
    """Say in the log that a write was committed; `started` is `time.monotonic()` before it."""
    if logger.isEnabledFor(logging.INFO):
        first, is_one = commits[0], len(commits) == 1
        facts: dict[str, Any] = {
            "stage": "commit", "dataset": first.dataset,
            "symbol": first.symbol if is_one else None, "feed": first.feed, "source": first.source,
            "commit": first.commit_id, "files": sum(len(commit.added) for commit in commits),
            "replaced": sum(len(commit.removed) for commit in commits),
            "sessions": sum(len(commit.held) for commit in commits), **first.counts,
            "duration_ms": round((time.monotonic() - started) * 1000.0, 1),
        }  # fmt: skip
        whose = first.symbol if is_one else f"{len(commits)} symbols"
        logger.info("committed %s %s", first.feed, whose, extra=facts)


def _after_the_last(connection: Connection, now: dt.datetime) -> dt.datetime:
    """The present instant, moved behind the last commit's: commits have an order, clocks may not."""
    last = connection.execute(select(func.max(tables.commits.c.committed_at))).scalar()
    return now if last is None else max(now, last + TICK)


def _refuse_if_overtaken(connection: Connection, commits: Sequence[Commit]) -> None:
    """A write was merged from the files that counted when it was planned: they must still be all there are."""
    table = tables.files
    counting: dict[str, list[Any]] = {}
    if periods := [period for commit in commits for period in commit.periods]:
        query = select(table.c.symbol, table.c.path, table.c.period_start, table.c.period_end).where(
            table.c.dataset == commits[0].dataset,
            table.c.feed == commits[0].feed,
            table.c.symbol.in_([commit.symbol for commit in commits]),
            table.c.removed_at.is_(None),
            table.c.period_start < max(period.end for period in periods),
            table.c.period_end > min(period.start for period in periods),
        )
        for row in connection.execute(query):
            counting.setdefault(row.symbol, []).append(row)
    for commit in commits:
        replaced = set(commit.removed)
        for row in counting.get(commit.symbol, []):
            overlaps = any(row.period_start < one.end and row.period_end > one.start for one in commit.periods)
            if overlaps and row.path not in replaced:
                raise ConflictError(
                    f"{commit.feed}/{commit.symbol} was changed by another writer meanwhile: merge again."
                )
    removed = [path for commit in commits for path in commit.removed]
    still = select(func.count()).where(table.c.path.in_(removed), table.c.removed_at.is_(None))
    if removed and connection.execute(still).scalar_one() != len(removed):
        raise ConflictError(f"a file of {commits[0].feed} was replaced by another writer meanwhile: merge again.")


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


def _put_held(connection: Connection, commits: Sequence[Commit]) -> None:
    table = tables.held_sessions
    for commit in commits:
        if commit.emptied:
            mine = (table.c.feed == commit.feed) & (table.c.symbol == commit.symbol)
            connection.execute(delete(table).where(mine & table.c.session.in_(commit.emptied)))
    rows = [vars(session) | _owner(commit) for commit in commits for session in commit.held]
    if not rows:
        return
    statement = upsert(connection, tables.held_sessions)
    columns = ("rows", "regular_rows", "first_timestamp", "last_timestamp", "content_hash", "commit_id")
    statement = statement.on_conflict_do_update(
        index_elements=["feed", "symbol", "session"],
        set_={name: statement.excluded[name] for name in columns},
    )
    connection.execute(statement, rows)


def _owner(commit: Commit) -> dict[str, str]:
    return {"feed": commit.feed, "symbol": commit.symbol, "commit_id": commit.commit_id}


def _put_ranks(connection: Connection, commits: Sequence[Commit]) -> None:
    table = tables.provisional_rows
    settled = [
        {
            "feed": commit.feed,
            "symbol": commit.symbol,
            "timestamp": stamp,
            "session": stamp.astimezone(zone_of(commit.feed)).date(),
            "rank": int(rank),
        }
        for commit in commits
        for stamp, rank in commit.ranks.items()
    ]
    provisional = [row for row in settled if row["rank"] != RowRank.FINAL]
    final = [{"of_symbol": row["symbol"], "gone": row["timestamp"]} for row in settled if row["rank"] == RowRank.FINAL]
    if provisional:
        statement = upsert(connection, table)
        statement = statement.on_conflict_do_update(
            index_elements=["feed", "symbol", "timestamp"], set_={"rank": statement.excluded.rank}
        )
        connection.execute(statement, provisional)
    if final:
        mine = (table.c.feed == commits[0].feed) & (table.c.symbol == bindparam("of_symbol"))
        connection.execute(delete(table).where(mine & (table.c.timestamp == bindparam("gone"))), final)


def _put_answers(connection: Connection, commit: Commit, now: dt.datetime) -> None:
    if not commit.answers:
        return
    final = [answer.session for answer in commit.answers if answer.status != AnswerStatus.IMPORTED]
    _keep_answers(connection, commit, final, now)
    statement = upsert(connection, tables.answers)
    statement = statement.on_conflict_do_update(
        index_elements=["feed", "symbol", "session"],
        set_={name: statement.excluded[name] for name in ("status", "attempts", "answered_at", "source")},
        # What a source answered says more than that a file was imported.
        where=statement.excluded.status != AnswerStatus.IMPORTED,
    )
    own = {"feed": commit.feed, "symbol": commit.symbol, "answered_at": now, "source": commit.source}
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


def keep_cursor(connection: Connection, cursor: Cursor, now: dt.datetime) -> None:
    """Write down how far a request has come; it counts by itself where the rows were committed before."""
    statement = upsert(connection, tables.cursors)
    statement = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={name: statement.excluded[name] for name in ("page_token", "pages", "rows", "updated_at")},
    )
    connection.execute(statement, vars(cursor) | {"updated_at": now})


def _put_cursor(connection: Connection, commit: Commit, now: dt.datetime) -> None:
    if commit.cursor is not None:
        keep_cursor(connection, commit.cursor, now)
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
