"""Heartbeats: what every agent of every worker does at this moment. Ages are machine time.

On PostgreSQL the server's clock stamps them and tells their age: a machine whose clock is off is not dead.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, delete, func, select

from app.operations.database import reading, writing
from app.operations.tables import heartbeats
from barlake.database import upsert
from barlake.errors import StorageError
from barlake.records import utc_now

__all__ = ["ENDING", "PERIOD_S", "STARTING", "Heartbeat", "Heartbeats"]

logger = logging.getLogger(__name__)

PERIOD_S = 5.0
"""Seconds between two beats, unless the beat says otherwise."""

STARTING, ENDING = "starting", "ending"
"""States of an agent whose process is not there yet, and of one that takes no more work."""

_MISSED_BEATS = 3


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """The last word of one agent of one worker.

    Parameters
    ----------
    done, total
        How far the job has come, in units of its own.
    """

    worker: str
    agent: str
    state: str
    job: str | None = None
    symbol: str | None = None
    done: int | None = None
    total: int | None = None
    next_step: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    period_s: float = PERIOD_S
    beat_at: dt.datetime

    def age(self, now: dt.datetime) -> dt.timedelta:
        """How long ago it was, never negative."""
        return max(now - self.beat_at, dt.timedelta(0))

    def is_stalled(self, now: dt.datetime) -> bool:
        """Whether three beats in a row did not come."""
        return self.age(now).total_seconds() > _MISSED_BEATS * self.period_s


class Heartbeats:
    """The table of heartbeats."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_refused = False

    def beat(
        self,
        *,
        worker: str,
        agent: str,
        state: str,
        job: str | None = None,
        symbol: str | None = None,
        done: int | None = None,
        total: int | None = None,
        next_step: str | None = None,
        details: Mapping[str, Any] | None = None,
        period_s: float = PERIOD_S,
    ) -> None:
        """Say what this agent does now. A database that refuses is said once in the log; no work ends by it."""
        row = {
            "state": state, "job": job, "symbol": symbol, "done": done, "total": total, "next_step": next_step,
            "details": json.dumps(dict(details or {}), default=str), "period_s": period_s,
            "beat_at": _stamp(self._engine),
        }  # fmt: skip
        try:
            with writing(self._engine) as connection:
                statement = upsert(connection, heartbeats).values(worker=worker, agent=agent, **row)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["worker", "agent"], set_={name: statement.excluded[name] for name in row}
                    )
                )
        except StorageError as error:
            if not self._is_refused:
                logger.warning("no heartbeat could be stored: %s", error, extra={"stage": "heartbeat"})
            self._is_refused = True
        else:
            self._is_refused = False

    def announce(self, *, worker: str, agent: str, details: Mapping[str, Any], period_s: float) -> None:
        """Say that a worker is starting, unless it has beaten by itself already.

        Raises
        ------
        StorageError
            If the database refuses.
        """
        row = {"state": STARTING, "details": json.dumps(dict(details)), "period_s": period_s}
        with writing(self._engine) as connection:
            statement = upsert(connection, heartbeats).values(
                worker=worker, agent=agent, beat_at=_stamp(self._engine), **row
            )
            connection.execute(statement.on_conflict_do_nothing(index_elements=["worker", "agent"]))

    def now(self) -> dt.datetime:
        """The instant by which ages are told: the server's, or this machine's where there is none.

        Raises
        ------
        StorageError
            If the database cannot be read.
        """
        stamp = _stamp(self._engine)
        if isinstance(stamp, dt.datetime):
            return stamp
        with reading(self._engine) as connection:
            found: dt.datetime = connection.execute(select(stamp)).scalar_one()
        return found.astimezone(dt.UTC)

    def all(self) -> list[Heartbeat]:
        """Every agent's last word, by worker and agent.

        Raises
        ------
        StorageError
            If the database cannot be read.
        """
        query = select(heartbeats).order_by(heartbeats.c.worker, heartbeats.c.agent)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [Heartbeat(**{**row, "details": json.loads(row["details"] or "{}")}) for row in rows]

    def forget(self, worker: str, agent: str | None = None) -> None:
        """Take out an agent that ended as it should, or the whole worker: its silence is no stall.

        Raises
        ------
        StorageError
            If the database refuses.
        """
        gone = delete(heartbeats).where(heartbeats.c.worker == worker)
        with writing(self._engine) as connection:
            connection.execute(gone if agent is None else gone.where(heartbeats.c.agent == agent))


def _stamp(engine: Engine) -> Any:
    return func.clock_timestamp() if engine.dialect.name == "postgresql" else utc_now()
