"""What a worker sees to beside its jobs: who wants them no more, who has died, what remains to be tidied.

It also obeys what is wanted of its agents. A worker of whose agents every one is stopped while it runs ends; one that
finds them stopped when it begins stands by, for whoever keeps workers alive would begin it for ever.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from app.jobs.job import Agent, Job
from app.jobs.names import Identity, Roster
from app.jobs.queue import Claim, JobQueue
from app.jobs.runner import End, Run, Runner
from app.operations import Operations
from app.operations.desired import Desired
from app.operations.heartbeats import ENDING
from barlake.errors import BarlakeError, InvalidInputError, StorageError

__all__ = ["Keeper"]

logger = logging.getLogger(__name__)

LOOK_S = 0.5
"""How soon a run learns that it is cancelled or paused."""

STRAY_S = 10.0
"""How long a job may be this worker's without a thread that does it: one may be about to begin or to end."""

PRUNE_EVERY_S = 24 * 3600.0
KEEP_JOBS = dt.timedelta(days=30)
"""How long a worker leaves what became of a job to be looked at."""

TIDY, TIDY_PRIORITY = "tidy", 1000

_WRITE_BARS = {Agent.LIVE, Agent.BACKFILL}


class Keeper:
    """The thread that keeps a worker and its queue in order.

    Parameters
    ----------
    agents
        Whose queues the worker listens to.
    beaten_elsewhere
        Agents whose loop beats in their place.
    recover
        Makes the jobs that a dead worker was doing wait for a live one. Several workers may ask for the same.
    newest_commit
        Text that changes with every commit of the lake; None before the first.
    is_untidy
        Whether a worker may have ended before it had seen to that.
    on_end
        Told when the worker must not go on: the error, or None when nothing is left to do.
    obey
        Has the loops of agents rest: told by agent the state in which they are to be, without those that work.
    drain
        Whether the worker ends when nothing waits for its agents.
    ends_when_stopped
        Whether it ends, too, if its agents were stopped before it began.
    """

    def __init__(
        self,
        queue: JobQueue,
        operations: Operations,
        runner: Runner,
        me: Identity,
        roster: Roster,
        *,
        agents: frozenset[Agent],
        beaten_elsewhere: frozenset[str],
        period_s: float,
        recover: Callable[[str], None],
        newest_commit: Callable[[], str | None],
        is_untidy: bool,
        on_end: Callable[[BarlakeError | None], None],
        obey: Callable[[Mapping[str, str]], None],
        drain: bool,
        ends_when_stopped: bool = False,
    ) -> None:
        self._queue = queue
        self._operations = operations
        self._runner = runner
        self._me = me
        self._roster = roster
        self._agents = agents
        self._beaten = sorted(agents - beaten_elsewhere)
        self._period_s = period_s
        self._recover = recover
        self._newest_commit = newest_commit
        self._on_end = on_end
        self._obey = obey
        self._drain = drain
        self._may_end = ends_when_stopped
        self._is_ending = False
        self._desired: dict[str, Desired] | None = None
        self._rests: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._next_beat = float("-inf")
        self._next_prune = float("-inf")
        self._strays: dict[tuple[str, Claim], float] = {}
        self._is_untidy = is_untidy
        self._was_idle = False

    def start(self) -> None:
        """Begin, with a first look at what is wanted, and a first beat."""
        self._heed()
        self.beat()
        self._thread.start()

    def close(self) -> None:
        """End, and take the beats out: silence from here on is no stall."""
        self._stop.set()
        self._thread.join()
        self._operations.heartbeats.forget(self._me.name)

    def finished(self, run: Run, result: dict[str, Any]) -> None:
        """Take note of what a run came to."""
        if run.task != TIDY and run.agent in _WRITE_BARS and result.get("status") != "nothing":
            self._is_untidy = True

    def beat(self) -> None:
        """Say what each agent does."""
        runs = self._runner.runs()
        paused = () if self._is_ending else self._queue.paused_agents()
        for agent in sorted(self._agents) if self._is_ending else self._beaten:
            own = [run for run in runs if run.agent == agent]
            first = own[0] if own else None
            progress = first.progress if first is not None else None
            rests = self._rests.get(agent, str(Desired.PAUSED) if agent in paused else "idle")
            waits = next((run.waits_for for run in own if run.waits_for), None)
            state = rests if self._is_ending or not own else "waiting" if waits else "working"
            self._operations.heartbeats.beat(
                worker=self._me.name, agent=agent, state=state,
                job=None if first is None else first.job_id,
                symbol=None if first is None else first.symbol,
                done=None if progress is None else progress.done,
                total=None if progress is None else progress.total,
                next_step=waits or (None if progress is None else progress.next_step),
                details={"jobs": [run.job_id for run in own], **self._me.details()},
                period_s=self._period_s,
            )  # fmt: skip

    def say_ending(self) -> None:
        """Beat that this worker takes no more work: whoever starts one of its agents needs another."""
        self._is_ending = True
        self._rests = dict.fromkeys(map(str, self._agents), ENDING)
        self._obey(self._rests)
        self.beat()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                self._look()
            except BarlakeError as error:
                logger.warning("the queue could not be looked after: %s", error, extra={"stage": "worker"})
            except Exception:
                logger.exception("the queue could not be looked after", extra={"stage": "worker"})

    def _look(self) -> None:
        now = time.monotonic()
        if self._heed() or now >= self._next_beat:
            self._next_beat = now + self._period_s
            self.beat()
        self._end_unwanted()
        self._see_to_the_dead()
        self._tidy()
        if now >= self._next_prune:
            self._next_prune = now + PRUNE_EVERY_S
            self._queue.prune(older_than=KEEP_JOBS)
        if self._drain:
            self._end_when_idle()

    def _heed(self) -> bool:
        """Do as is wanted of this worker's agents; whether anything changed. What cannot be read stays as it was."""
        if self._is_ending:
            return False
        try:
            found = self._operations.desired.all()
        except StorageError:
            return False  # a beat that cannot be stored says so
        desired = {str(agent): found[agent].desired for agent in self._agents if agent in found}
        if desired == self._desired:
            return False
        self._hold(desired)
        self._desired = desired
        self._rests = {agent: str(one) for agent, one in desired.items() if one is not Desired.RUNNING}
        self._obey(self._rests)
        self._end_if_stopped(desired)
        return True

    def _hold(self, desired: Mapping[str, Desired]) -> None:
        """Have the queue hold back the jobs of agents that are to rest, and give those of the others out."""
        held = self._queue.paused_agents()
        for agent, one in desired.items():
            if one is Desired.RUNNING and agent in held:
                self._queue.resume_agent(agent)
            elif one is not Desired.RUNNING and agent not in held:
                self._queue.pause_agent(agent)

    def _end_if_stopped(self, desired: Mapping[str, Desired]) -> None:
        if any(desired.get(agent) is not Desired.STOPPED for agent in self._agents):
            self._may_end = True
        elif self._may_end:
            self.say_ending()
            # Who starts an agent says so first and looks at the beats then: one of the two sees the other.
            found = self._operations.desired.all()
            if all(found[agent].desired is Desired.STOPPED for agent in self._agents):
                logger.info("every agent of this worker is stopped: it ends", extra={"stage": "worker"})
                self._on_end(None)
            else:
                self._is_ending, self._desired = False, None

    def _end_unwanted(self) -> None:
        """Stop the runs of jobs that somebody cancelled, paused or took over, or whose agent is paused."""
        runs = self._runner.runs()
        if not runs:
            return
        claims = self._queue.claims([run.job_id for run in runs])
        paused = self._queue.paused_agents()
        for run in runs:
            if claims.get(run.job_id) != run.claim:
                run.end_for(End.UNWANTED)
            elif run.agent in paused:
                run.end_for(End.AGENT_PAUSED)

    def _see_to_the_dead(self) -> None:
        """Give the jobs of dead workers back to the queue, and those of this one that no thread does."""
        self._roster.look()
        if not self._roster.is_mine():
            self._on_end(InvalidInputError(f"another worker has taken the name {self._me.name!r}: this one ends."))
            return
        claims = self._queue.claims()
        for worker in {claim.worker for claim in claims.values()} - {self._me.name}:
            if self._roster.is_dead(worker):
                logger.warning("worker %s is dead: its jobs wait for another", worker, extra={"stage": "worker"})
                self._recover(worker)
        self._take_back_strays(claims)

    def _take_back_strays(self, claims: dict[str, Claim]) -> None:
        """A job that could not be begun, or whose outcome could not be written down, would run for ever."""
        now = time.monotonic()
        busy = {run.job_id for run in self._runner.runs()}
        own = {job_id: claim for job_id, claim in claims.items() if claim.worker == self._me.name}
        strays = {job_id: claim for job_id, claim in own.items() if job_id not in busy}
        self._strays = {one: self._strays.get(one, now) for one in strays.items()}
        for (job_id, claim), since in self._strays.items():
            if now - since > STRAY_S:
                self._queue.requeue(job_id, claim.agent)

    def _tidy(self) -> None:
        """Once no job writes bars any more, let one job merge files, check and publish."""
        if not self._is_untidy or Agent.BACKFILL not in self._agents or self._runner.runs():
            return
        waiting = self._queue.waiting([Agent.BACKFILL, Agent.LIVE], limit=2)
        if all(job_id.startswith(f"{TIDY}/") for job_id in waiting):
            self._is_untidy = False
            try:
                if (commit := self._newest_commit()) is not None:
                    self._queue.put(Job(f"{TIDY}/{commit}", TIDY, {}, Agent.BACKFILL, priority=TIDY_PRIORITY))
            except BarlakeError:
                self._is_untidy = True
                raise

    def _end_when_idle(self) -> None:
        agents = [agent for agent in self._agents if agent not in self._queue.paused_agents()]
        is_idle = not self._runner.runs() and not self._queue.waiting(agents, limit=1)
        to_tidy = self._is_untidy and Agent.BACKFILL in agents
        # Twice, for between two looks a job may have put another.
        if is_idle and self._was_idle and not to_tidy:
            self._on_end(None)
        self._was_idle = is_idle
