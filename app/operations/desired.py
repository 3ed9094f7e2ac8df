"""What is wanted of each agent: that it runs, rests, or ends. Workers look at it twice a second and obey."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine, select

from app.operations.database import reading, writing
from app.operations.tables import agents
from barlake.database import upsert
from barlake.records import utc_now

__all__ = ["Desired", "DesiredState", "DesiredStates"]


class Desired(StrEnum):
    """What is wanted of an agent in every worker that serves it."""

    RUNNING = "running"
    PAUSED = "paused"  # its workers stay and do nothing for it
    STOPPED = "stopped"  # and those that serve nobody else end


@dataclass(frozen=True)
class DesiredState:
    """What is wanted of one agent, and since when, machine time."""

    desired: Desired
    since: dt.datetime


class DesiredStates:
    """The table of what is wanted; an agent that nobody spoke of is not in it, and runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> dict[str, DesiredState]:
        """What is wanted, by agent.

        Raises
        ------
        StorageError
            If the database cannot be read.
        """
        with reading(self._engine) as connection:
            rows = connection.execute(select(agents)).mappings().all()
        return {row["agent"]: DesiredState(Desired(row["desired"]), row["since"]) for row in rows}

    def set(self, agent: str, desired: Desired) -> None:
        """Say what is wanted of an agent from now on; saying the same again keeps its `since`.

        Raises
        ------
        StorageError
            If the database refuses.
        """
        known = self.all().get(agent)
        if known is not None and known.desired is desired:
            return
        row = {"desired": str(desired), "since": utc_now()}
        with writing(self._engine) as connection:
            statement = upsert(connection, agents).values(agent=agent, **row)
            connection.execute(statement.on_conflict_do_update(index_elements=["agent"], set_=row))
