"""Log records in the database: appended in batches, read by what they are about, pruned by count and age."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, delete, func, insert, or_, select

from app.operations.database import reading, take_turn, writing
from app.operations.tables import log_records
from barlake.errors import InvalidInputError
from barlake.records import utc_now

__all__ = ["LogRecord", "LogRecords", "level_number"]


@dataclass(frozen=True, kw_only=True)
class LogRecord:
    """One line of the log.

    Parameters
    ----------
    logged_at
        Machine time, UTC.
    fields
        What has no column of its own.
    """

    record_id: int
    logged_at: dt.datetime
    level: str
    agent: str | None
    symbol: str | None
    stage: str | None
    job: str | None
    message: str
    fields: Mapping[str, Any]


def level_number(level: str) -> int:
    """Number of a level's name, in any case.

    Raises
    ------
    InvalidInputError
        If there is no such level.

    Examples
    --------
    >>> level_number("warning")
    30
    """
    number = logging.getLevelNamesMapping().get(level.strip().upper())
    if number is None:
        raise InvalidInputError(f"level {level!r} is none: use debug, info, warning, error or critical.")
    return number


class LogRecords:
    """The table of log records."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tail(
        self,
        agent: str | None = None,
        symbol: str | None = None,
        level: str | None = None,
        job: str | None = None,
        since_id: int | None = None,
        limit: int = 100,
        *,
        since: dt.datetime | None = None,
        before_id: int | None = None,
    ) -> list[LogRecord]:
        """The newest records that fit, oldest of them first; after a number, the first ones behind it.

        Parameters
        ----------
        level
            The least one, such as `warning`.
        job
            A job's id, or the beginning of ids up to a slash.
        before_id
            Only records with a smaller number.

        Raises
        ------
        StorageError
            If the database cannot be read.
        """
        table = log_records
        query = select(table)
        if agent is not None:
            query = query.where(table.c.agent == agent)
        if symbol is not None:
            query = query.where(table.c.symbol == symbol)
        if level is not None:
            query = query.where(table.c.level >= level_number(level))
        if job is not None:
            below = job.rstrip("/") + "/"
            query = query.where(or_(table.c.job == job, func.substr(table.c.job, 1, len(below)) == below))
        if since is not None:
            query = query.where(table.c.logged_at >= since)
        if since_id is not None:
            query = query.where(table.c.record_id > since_id)
        if before_id is not None:
            query = query.where(table.c.record_id < before_id)
        order = table.c.record_id.desc() if since_id is None else table.c.record_id
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(order).limit(limit)).mappings().all()
        found = [_record(row) for row in rows]
        return found[::-1] if since_id is None else found

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store a batch; each row has the columns of the table, but its number.

        Raises
        ------
        StorageError
            If the database refuses; none of the batch is stored then.
        """
        with writing(self._engine) as connection:
            take_turn(connection)
            connection.execute(insert(log_records), [dict(row) for row in rows])

    def prune(self, *, keep_rows: int, keep_days: int) -> int:
        """Delete all but the newest so many, and all that is older; how many went.

        Raises
        ------
        StorageError
            If the database refuses.
        """
        oldest = utc_now() - dt.timedelta(days=keep_days)
        with writing(self._engine) as connection:
            newest = connection.execute(select(func.max(log_records.c.record_id))).scalar() or 0
            gone = or_(log_records.c.record_id <= newest - keep_rows, log_records.c.logged_at < oldest)
            return connection.execute(delete(log_records).where(gone)).rowcount


def _record(row: Any) -> LogRecord:
    facts = {name: row[name] for name in ("record_id", "logged_at", "agent", "symbol", "stage", "job", "message")}
    return LogRecord(**facts, level=logging.getLevelName(row["level"]), fields=json.loads(row["fields"]))
