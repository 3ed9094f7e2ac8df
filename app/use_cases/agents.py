"""The agents: what is wanted of each, what its workers do, and a hand on it: start, pause, stop."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from app.jobs.job import Agent, JobState
from app.jobs.names import has_ended
from app.jobs.queue import JobQueue
from app.jobs.starting import start_worker, worker_log
from app.operations import Operations
from app.operations.desired import Desired
from app.operations.heartbeats import ENDING, Heartbeat
from barlake.durable import storage_errors
from barlake.errors import NotFoundError, did_you_mean

__all__ = [
    "ABSENT",
    "STALLED",
    "AgentStanding",
    "WorkerStanding",
    "agent_standing",
    "agent_standings",
    "is_served",
    "pause_agent",
    "resume_agent",
    "start_agent",
    "stop_agent",
]

logger = logging.getLogger(__name__)

ABSENT, STALLED = "absent", "stalled"
"""States of an agent that no worker serves, and of one that gave no sign of life for three beats."""


@dataclass(frozen=True)
class WorkerStanding:
    """What one worker does for an agent, as it last said.

    Parameters
    ----------
    state
        `working`, `waiting`, `idle`, `paused`, `stopped`, `starting`, `ending`, or what the agent's own loop says;
        `stalled` once three beats did not come.
    done, total
        How far its job has come, in units of the job.
    beat_age_s
        How long ago it said so.
    host, pid
        The machine and the process; None where it does not say.
    """

    worker: str
    state: str
    job: str | None
    symbol: str | None
    done: int | None
    total: int | None
    next_step: str | None
    beat_at: dt.datetime
    beat_age_s: float
    host: str | None
    pid: int | None

    @property
    def is_there(self) -> bool:
        """Whether it may take work now or soon."""
        return self.state not in {STALLED, ENDING}


@dataclass(frozen=True)
class AgentStanding:
    """An agent as it stands; instants are machine time, UTC.

    Parameters
    ----------
    desired, since
        What is wanted of it, and since when; None where nobody ever said so.
    state
        That of the first of its workers that is there, else of any; `absent` where there is none.
    queued, running
        How many of its jobs wait, and are being done.
    oldest
        When the oldest of those was asked for.
    log
        The file with what workers print that `start` began on this machine; None where there is none.
    """

    name: str
    desired: Desired
    since: dt.datetime | None
    state: str
    workers: Sequence[WorkerStanding] = ()
    queued: int = 0
    running: int = 0
    oldest: dt.datetime | None = None
    log: Path | None = None

    @property
    def is_served(self) -> bool:
        """Whether a worker takes its jobs now, or will when it is started."""
        return any(one.is_there for one in self.workers)


def agent_standings(operations: Operations, queue: JobQueue) -> list[AgentStanding]:
    """Every agent, in the order of their priorities.

    Raises
    ------
    StorageError
        If the operations database or the queue cannot be read.
    """
    desired, held = operations.desired.all(), queue.paused_agents()
    counts, oldest = queue.counts(), queue.oldest()
    workers = _workers(operations)
    found = []
    for agent in map(str, Agent):
        said, own, log = desired.get(agent), workers.get(agent, []), worker_log(operations, agent)
        unsaid = Desired.PAUSED if agent in held else Desired.RUNNING
        found.append(
            AgentStanding(
                name=agent,
                desired=unsaid if said is None else said.desired,
                since=None if said is None else said.since,
                state=next((one.state for one in own), ABSENT),
                workers=own,
                queued=counts.get((agent, JobState.QUEUED), 0),
                running=counts.get((agent, JobState.RUNNING), 0),
                oldest=min((at for (one, _), at in oldest.items() if one == agent), default=None),
                log=log if log.exists() else None,
            )
        )
    return found


def agent_standing(operations: Operations, queue: JobQueue, name: str) -> AgentStanding:
    """One agent.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    agent = _agent(name)
    return next(one for one in agent_standings(operations, queue) if one.name == agent)


def is_served(operations: Operations, agent: str) -> bool:
    """Whether a worker takes an agent's jobs now, or will when it is started."""
    return any(one.is_there for one in _workers(operations).get(agent, ()))


def start_agent(operations: Operations, queue: JobQueue, name: str) -> AgentStanding:
    """Have an agent run: its workers go on, and where there is none, one is begun on this machine.

    None is begun where `BARLAKE_STARTS_WORKERS` is off, as in a container, where others see to workers; then the
    agent may be `absent` still. A worker that was begun is `starting` until its first beat, some seconds later.

    Raises
    ------
    NotFoundError
        If there is no agent of that name.
    StorageError
        If a database or the log refuses.
    """
    agent = _say(operations, queue, name, Desired.RUNNING)
    lock = worker_log(operations, agent).with_suffix(".lock")
    with storage_errors(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
    # Two who start it at once begin one worker: the second sees the first one's among the heartbeats.
    with FileLock(lock):
        found = agent_standing(operations, queue, agent)
        if found.is_served or not operations.settings.starts_workers:
            return found
        worker = start_worker(operations, agent)
        logger.info("worker %s was begun, process %d", worker.name, worker.pid, extra={"stage": "agents"})
        return agent_standing(operations, queue, agent)


def resume_agent(operations: Operations, queue: JobQueue, name: str) -> AgentStanding:
    """Have an agent run wherever a worker serves it; none is begun.

    Raises
    ------
    NotFoundError
        If there is no agent of that name.
    """
    return agent_standing(operations, queue, _say(operations, queue, name, Desired.RUNNING))


def pause_agent(operations: Operations, queue: JobQueue, name: str) -> AgentStanding:
    """Have an agent rest: its workers stay, what they do for it goes back into the queue within a second.

    Raises
    ------
    NotFoundError
        If there is no agent of that name.
    """
    return agent_standing(operations, queue, _say(operations, queue, name, Desired.PAUSED))


def stop_agent(operations: Operations, queue: JobQueue, name: str) -> AgentStanding:
    """Have an agent end: as if paused, and workers that serve no other agent end by themselves.

    Raises
    ------
    NotFoundError
        If there is no agent of that name.
    """
    return agent_standing(operations, queue, _say(operations, queue, name, Desired.STOPPED))


def _say(operations: Operations, queue: JobQueue, name: str, desired: Desired) -> str:
    """The agent's name, once it is written down what is wanted of it.

    The queue holds jobs back at once, also for workers of an earlier release.
    """
    agent = _agent(name)
    operations.desired.set(agent, desired)
    if desired is Desired.RUNNING:
        queue.resume_agent(agent)
    else:
        queue.pause_agent(agent)
    logger.info("agent %s is to be %s", agent, desired, extra={"stage": "agents"})
    return agent


def _agent(name: str) -> str:
    if name not in set(Agent):
        raise NotFoundError(
            f"agent {name!r} is none: there are {', '.join(Agent)}.{did_you_mean(name, map(str, Agent))}"
        )
    return str(Agent(name))


def _workers(operations: Operations) -> dict[str, list[WorkerStanding]]:
    """Live and stalled workers by agent, those that are there first. Whose process is gone is left out."""
    now = operations.heartbeats.now()
    found: dict[str, list[WorkerStanding]] = {}
    for beat in operations.heartbeats.all():
        if not has_ended(beat.details):
            found.setdefault(beat.agent, []).append(_worker(beat, now))
    return {agent: sorted(own, key=lambda one: not one.is_there) for agent, own in found.items()}


def _worker(beat: Heartbeat, now: dt.datetime) -> WorkerStanding:
    host, pid = beat.details.get("host"), beat.details.get("pid")
    return WorkerStanding(
        worker=beat.worker,
        state=STALLED if beat.is_stalled(now) else beat.state,
        job=beat.job,
        symbol=beat.symbol,
        done=beat.done,
        total=beat.total,
        next_step=beat.next_step,
        beat_at=beat.beat_at,
        beat_age_s=beat.age(now).total_seconds(),
        host=None if host is None else str(host).split("/", maxsplit=1)[0],
        pid=pid if isinstance(pid, int) else None,
    )
