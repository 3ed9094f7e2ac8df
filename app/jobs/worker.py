"""The worker: a process that takes jobs from the queue until it is told to end, and lets go of them when it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from app.jobs.application import PARTING_S, launched, recover
from app.jobs.job import Agent, JobState
from app.jobs.keeper import Keeper
from app.jobs.loops import Loop, LoopContext, Loops, loops_of
from app.jobs.names import Identity, Roster
from app.jobs.queue import JobQueue, open_queue
from app.jobs.registry import load_tasks
from app.jobs.runner import Run, Runner, serve_with
from app.operations import Operations
from barlake.catalogue import is_current
from barlake.clock import clock_of
from barlake.errors import BarlakeError
from barlake.lake import Lake, open_lake
from barlake.settings import Settings

__all__ = ["Worker", "WorkerReport"]

logger = logging.getLogger(__name__)


@dataclass
class WorkerReport:
    """How many jobs a worker did, wholly or in part, could not do, and set aside for want of a key."""

    done: int = 0
    partial: int = 0
    failed: int = 0
    paused: int = 0


class Worker:
    """Takes the jobs of some agents, and runs their loops.

    Parameters
    ----------
    agents
        Whose jobs; empty means all of them.
    name
        Unique among the live workers; None takes one that is.
    concurrency
        How many jobs of each agent every worker does at a time from now on; None leaves it as it is.
    drain
        End when nothing waits for these agents, and run no loop.
    ends_when_stopped
        End, too, if every one of these agents was stopped before; otherwise the worker stands by then.

    Raises
    ------
    InvalidInputError
        From `run`, if a live worker has that name.
    """

    def __init__(
        self,
        settings: Settings,
        operations: Operations,
        *,
        agents: Collection[str] = (),
        name: str | None = None,
        concurrency: int | None = None,
        drain: bool = False,
        ends_when_stopped: bool = False,
    ) -> None:
        self._settings = settings
        self._operations = operations
        self._agents = frozenset(Agent(one) for one in agents or Agent)
        self._me = Identity.here(name)
        self._concurrency = concurrency
        self._drain = drain
        self._ends_when_stopped = ends_when_stopped
        self._fatal: BarlakeError | None = None
        self._report = WorkerReport()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """What it is called in the queue and by its heartbeats."""
        return self._me.name

    def run(self, stop: threading.Event) -> WorkerReport:
        """Work until `stop` is set, or in a drain until nothing is left.

        What is being done then goes back into the queue, with every page kept that was stored.
        """
        load_tasks()
        period_s = self._settings.heartbeat_s
        roster = Roster(self._operations.heartbeats, self._me, period_s=period_s)
        roster.claim(stop, self._agents)
        try:
            self._serve(roster, stop)
        finally:
            self._operations.heartbeats.forget(self._me.name)
        if self._fatal is not None:
            raise self._fatal
        return self._report

    def _serve(self, roster: Roster, stop: threading.Event) -> None:
        period_s = self._settings.heartbeat_s
        with open_queue(self._settings) as queue, open_lake(settings=self._settings) as lake:
            resumed = queue.resume_needing_key()
            if resumed:
                logger.info("%d jobs that a refused key had paused go on", resumed, extra={"stage": "worker"})
            runner = Runner(self._settings, queue, self._operations, on_end=self._note)
            loops = [] if self._drain else loops_of(self._agents)
            threads = Loops(loops, lambda one, stop: self._loop_context(one, queue, stop))
            keeper = Keeper(
                queue, self._operations, runner, self._me, roster,
                agents=self._agents,
                beaten_elsewhere=frozenset(one.name for one in loops),
                period_s=period_s,
                recover=recover,
                newest_commit=lambda: _commit_of(lake),
                is_untidy=not is_current(lake),
                on_end=lambda error: self._end(stop, error),
                obey=threads.obey,
                drain=self._drain,
                ends_when_stopped=self._ends_when_stopped,
            )  # fmt: skip
            self._keeper = keeper
            self._work(queue, runner, keeper, threads, stop)

    def _work(self, queue: JobQueue, runner: Runner, keeper: Keeper, threads: Loops, stop: threading.Event) -> None:
        for agent in self._agents:
            queue.register(agent)
            if self._concurrency is not None:
                queue.set_concurrency(agent, self._concurrency)
        keeper.start()
        try:
            with serve_with(runner), launched(self._settings, self._me.name, self._agents):
                logger.info(
                    "worker %s begins: %s", self.name, ", ".join(sorted(self._agents)), extra={"stage": "worker"}
                )
                threads.start()
                stop.wait()
                logger.info("worker %s ends", self.name, extra={"stage": "worker"})
                keeper.say_ending()
                threads.end()
                runner.end_all()
        finally:
            stop.set()
            threads.end()
            threads.join(PARTING_S)
            for job_id, claim in queue.claims().items():
                if claim.worker == self.name:
                    queue.requeue(job_id, claim.agent)
            runner.close()
            keeper.close()

    def _loop_context(self, one: Loop, queue: JobQueue, stop: threading.Event) -> LoopContext:
        return LoopContext(
            one.name, self._settings, clock_of(self._settings), self._operations, queue, stop, self._me,
            self._settings.heartbeat_s,
        )  # fmt: skip

    def _note(self, run: Run, what: JobState | dict[str, Any]) -> None:
        with self._lock:
            self._report.failed += what is JobState.FAILED
            self._report.paused += what is JobState.PAUSED
            if isinstance(what, dict):
                self._report.done += 1
                self._report.partial += what.get("status") == "partial"
        if isinstance(what, dict):
            self._keeper.finished(run, what)

    def _end(self, stop: threading.Event, error: BarlakeError | None) -> None:
        self._fatal = self._fatal or error
        stop.set()


def _commit_of(lake: Lake) -> str | None:
    newest = lake.manifest.last_commit_at()
    return None if newest is None else newest.isoformat()
