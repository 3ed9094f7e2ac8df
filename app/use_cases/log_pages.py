"""The log, page by page: the newest records first, or those that came since."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.operations.durations import since_instant
from app.operations.log_records import LogRecord, LogRecords
from barlake.errors import InvalidInputError

__all__ = ["LogFilter", "LogPage", "log_page"]

_CURSOR = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, kw_only=True)
class LogFilter:
    """Which records are wanted; as in `LogRecords.tail`. `since` may be a span, such as `15m`."""

    agent: str | None = None
    symbol: str | None = None
    level: str | None = None
    job: str | None = None
    since: str | None = None


@dataclass(frozen=True)
class LogPage:
    """Some records, and where their next page begins; None after the last."""

    items: Sequence[LogRecord]
    next_cursor: str | None


def log_page(
    logs: LogRecords, wanted: LogFilter, *, limit: int = 100, cursor: str | None = None, after: int | None = None
) -> LogPage:
    """A page of the records that fit.

    Parameters
    ----------
    cursor
        `next_cursor` of the page before; None begins with the newest.
    after
        Number of a record: what came since, oldest first. Then the next cursor is none; the last number is it.

    Raises
    ------
    InvalidInputError
        If a cursor, a level or `since` cannot be read, or both `cursor` and `after` are given.
    StorageError
        If the database cannot be read.
    """
    if cursor is not None and after is not None:
        raise InvalidInputError(
            "cursor and after are both given: cursor goes back in time, after goes on from a record."
        )
    since = None if wanted.since is None else since_instant(wanted.since, dt.datetime.now(dt.UTC))
    found = logs.tail(
        wanted.agent,
        None if wanted.symbol is None else wanted.symbol.upper(),
        wanted.level,
        wanted.job,
        after,
        limit + 1,
        since=since,
        before_id=None if cursor is None else _number(cursor),
    )
    if after is not None:
        return LogPage(found[:limit], None)
    newest_first = found[::-1]
    is_more = len(newest_first) > limit
    page = newest_first[:limit]
    return LogPage(page, str(page[-1].record_id) if is_more else None)


def _number(cursor: str) -> int:
    if not _CURSOR.fullmatch(cursor):
        raise InvalidInputError(f"cursor {cursor!r} is none: take next_cursor of the page before, or leave it out.")
    return int(cursor)
