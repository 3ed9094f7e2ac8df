"""A job: what is to be done, under a key that names it, and what became of it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from barlake.errors import InvalidInputError

__all__ = ["Agent", "Job", "JobProgress", "JobRecord", "JobState", "revision_of"]

REVISION = "#"
"""Between a key and the number of its repetition: `bars/sip/SPY/2024-01#2`."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9/._:^=@+-]{0,199}")


class Agent(StrEnum):
    """Who does the work. Each has a queue of its own, so none waits behind another's."""

    LIVE = "live"
    BACKFILL = "backfill"
    FEATURES = "features"
    RESEARCH = "research"


PRIORITIES = {Agent.LIVE: 10, Agent.BACKFILL: 20, Agent.FEATURES: 30, Agent.RESEARCH: 40}
"""What a job's priority is when it has none of its own; lower goes first."""


ONE_AT_A_TIME = frozenset({Agent.FEATURES, Agent.RESEARCH})
"""Agents whose jobs keep a core busy; the others mostly wait for a source."""


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens unless somebody asks for it."""
        return self in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True)
class Job:
    """Work to be done.

    Parameters
    ----------
    key
        Names the work: two jobs with one key are the same work, which is done once.
    task
        Name of a registered task.
    arguments
        Its keyword arguments, as JSON can hold them.
    agent
        Whose queue it waits in.
    priority
        Lower goes first within a queue; None is the agent's own.

    Raises
    ------
    InvalidInputError
        If the key is no key.

    Examples
    --------
    >>> Job("bars/sip/SPY/2024-01", "bars", {"feed": "sip", "symbol": "SPY"}, "backfill").priority
    20
    """

    key: str
    task: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    agent: str = Agent.BACKFILL
    priority: int | None = None

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise InvalidInputError(
                f"job key {self.key!r} is not one: letters, digits and . _ : ^ = @ + - / may be, at most 200 of them, "
                "as in 'bars/sip/SPY/2024-01'."
            )
        if self.agent not in set(Agent):
            raise InvalidInputError(f"agent {self.agent!r} is none: there are {', '.join(Agent)}.")
        if self.priority is None:
            object.__setattr__(self, "priority", PRIORITIES[Agent(self.agent)])


@dataclass(frozen=True)
class JobProgress:
    """How far a job has come, as its task last said.

    Parameters
    ----------
    done, total
        In `unit`; None while the task does not know.
    seconds_left
        At the pace so far; None before there is one.
    at
        When that was said, machine time.
    """

    done: int | None = None
    total: int | None = None
    unit: str = ""
    rows: int = 0
    pages: int = 0
    next_step: str | None = None
    seconds_left: float | None = None
    at: dt.datetime | None = None


@dataclass(frozen=True)
class JobRecord:
    """A job and what became of it; instants are machine time, UTC.

    Parameters
    ----------
    id
        The key, or the key and the number of its repetition.
    worker
        Who runs it, or ran it last.
    attempts
        How often a worker took it up since it was last asked for.
    result
        What the task returned, once it is done.
    error
        Why it failed, or why it is paused.
    """

    id: str
    task: str
    arguments: Mapping[str, Any]
    agent: str
    priority: int
    state: JobState
    worker: str | None
    attempts: int
    created_at: dt.datetime
    updated_at: dt.datetime
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    progress: JobProgress | None
    result: Mapping[str, Any] | None
    error: str | None

    @property
    def key(self) -> str:
        """The key it was asked for by."""
        return self.id.split(REVISION, maxsplit=1)[0]


def revision_of(job_id: str) -> int:
    """How many times the work had been asked for when it was asked for by this id, 1 at first.

    Examples
    --------
    >>> revision_of("bars/sip/SPY/2024-01"), revision_of("bars/sip/SPY/2024-01#2")
    (1, 2)
    """
    _, _, number = job_id.partition(REVISION)
    return int(number) if number else 1
