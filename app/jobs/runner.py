"""One job being done: its task is called, again after a transient failure, until it is done, hopeless or unwanted.

DBOS records what `_job` returns or raises as what became of the job. A run that is to end without that, because the
job was cancelled, paused or given back, raises `Parked`, which DBOS lets pass: the row stays as whoever ended the run
has left it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dbos import DBOS
from dbos import error as dbos_errors

from app.jobs.context import JobContext, Kept
from app.jobs.job import JobProgress, JobState
from app.jobs.queue import PROGRESS, WORKFLOW, Claim, JobQueue
from app.jobs.registry import Task, find_task
from app.operations import Operations
from app.operations.logs import log_context
from app.operations.telemetry import span
from barlake.clock import clock_of
from barlake.errors import BarlakeError, ConflictError, CredentialsError, SourceError, StorageError
from barlake.lake import Lake, open_lake
from barlake.settings import Settings

__all__ = ["End", "JobError", "Parked", "Run", "Runner", "serve_with"]

logger = logging.getLogger(__name__)

ATTEMPTS = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 60.0
"""Mean waits after a failure that may pass: 2, 8, 32, 60 seconds. The sources have waited before by themselves."""

MOST_DEATHS = 20
"""A job in the middle of which so many workers ended is what ends them: it is not taken up again."""


class Parked(BaseException):
    """The run ends, and its job is somebody else's business."""


class JobError(Exception):
    """What DBOS records of a job that cannot be done."""


class End(StrEnum):
    """Why a run is ended from outside."""

    UNWANTED = "cancelled, paused, or taken over"
    AGENT_PAUSED = "its agent is paused"
    SHUTDOWN = "the worker ends"


@dataclass
class Run:
    """A job that a thread of this process is doing.

    Parameters
    ----------
    claim
        What tells this run from a later one of the same job.
    """

    job_id: str
    task: str
    agent: str
    stop: threading.Event
    claim: Claim | None = None
    progress: JobProgress | None = None
    end: End | None = None
    symbol: str | None = None
    waits_for: str | None = None

    def end_for(self, reason: End) -> None:
        """Have the run stop between two of its steps."""
        self.end = self.end or reason
        self.stop.set()


@dataclass
class _Slot:
    """What a run needs and the next one takes over: a lake, connections, the event that ends waits on them."""

    stop: threading.Event = field(default_factory=threading.Event)
    lake: Lake | None = None
    kept: Kept = field(default_factory=dict)


class Runner:
    """Does the jobs that DBOS hands to this process.

    Parameters
    ----------
    on_end
        Told of each run: why it ended without a result, as the state its job is in then, or what its task returned.
    """

    def __init__(
        self,
        settings: Settings,
        queue: JobQueue,
        operations: Operations,
        *,
        on_end: Callable[[Run, JobState | dict[str, Any]], None] = lambda _run, _what: None,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._operations = operations
        self._on_end = on_end
        self._clock = clock_of(settings)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._busy: set[str] = set()
        self._runs: dict[str, Run] = {}
        self._slots: list[_Slot] = []
        self._shared: Kept = {}
        self._refused: dict[str, str] = {}
        self._proved: set[str] = set()
        self._is_ending = False

    def runs(self) -> list[Run]:
        """What is being done now."""
        with self._lock:
            return list(self._runs.values())

    def end_all(self) -> None:
        """End every run, and each that is still handed out."""
        self._is_ending = True
        for run in self.runs():
            run.end_for(End.SHUTDOWN)

    def close(self) -> None:
        """Let go of the lakes."""
        with self._lock:
            for slot in self._slots:
                if slot.lake is not None:
                    slot.lake.close()
            self._slots.clear()

    # --- one job -------------------------------------------------------------------------------

    def run(self, job_id: str, name: str, arguments: dict[str, Any], agent: str) -> dict[str, Any]:
        """What the job's task returns; raises `JobError`, or `Parked`."""
        # A job that was paused and resumed may come back before its earlier run has seen that it was to end.
        with self._alone(job_id), self._slot() as slot, log_context(job=job_id, agent=agent), span(name, job=job_id):
            run = Run(job_id, name, agent, slot.stop, claim=self._queue.claim(job_id), symbol=arguments.get("symbol"))
            if run.claim is None:
                raise Parked
            with self._lock:
                self._runs[job_id] = run
            if self._is_ending:
                run.end_for(End.SHUTDOWN)
            try:
                return self._outcome(run, slot, arguments)
            finally:
                with self._lock:
                    del self._runs[job_id]

    def _outcome(self, run: Run, slot: _Slot, arguments: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        try:
            task = find_task(run.task)
            account = str(arguments.get("source", task.account))
            self._refuse_at_once(run, account)
            result = self._attempts(run, slot, task, arguments, account)
        except JobError as failure:
            self._park_if_ended(run)
            self._tell_failure(run, failure)
            raise
        except BarlakeError as error:
            self._park_if_ended(run)
            self._tell_failure(run, error)
            raise JobError(str(error)) from None
        self._park_if_ended(run)
        logger.info(
            "job done",
            extra={
                "stage": "job",
                "symbol": run.symbol,
                "seconds": round(time.monotonic() - began, 3),
                "result": result,
            },
        )
        self._on_end(run, result)
        return result

    def _attempts(self, run: Run, slot: _Slot, task: Task, arguments: dict[str, Any], account: str) -> dict[str, Any]:
        attempt = 0
        while True:
            attempt += 1
            self._park_if_ended(run)
            try:
                context = self._context(run, slot)
                result = task(context, arguments)
                context.say_latest()
            except CredentialsError as error:
                self._park_if_ended(run)
                self._refused[account] = str(error)
                self._refuse_at_once(run, account)
            except (SourceError, StorageError, ConflictError) as error:
                self._park_if_ended(run)
                # A disk that is full fills no sooner by failing every job: the work waits for it.
                if attempt >= ATTEMPTS and not isinstance(error, StorageError):
                    raise
                self._wait(run, attempt, error)
            except BarlakeError:
                raise
            except Exception as error:
                self._park_if_ended(run)
                logger.exception("a task failed in a way nobody foresaw", extra={"stage": "job", "symbol": run.symbol})
                raise JobError(f"{type(error).__name__}: {error}") from None
            else:
                self._accepted(account)
                return result

    def _tell_failure(self, run: Run, error: Exception) -> None:
        self._on_end(run, JobState.FAILED)
        logger.error("job failed: %s", error, extra={"stage": "job", "symbol": run.symbol})

    def _wait(self, run: Run, attempt: int, error: BarlakeError) -> None:
        wait = min(FIRST_WAIT_S * 4.0 ** min(attempt - 1, 10), LONGEST_WAIT_S) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        logger.warning(
            "again in %.0f s: %s", wait, error, extra={"stage": "job", "symbol": run.symbol, "attempt": attempt}
        )
        run.waits_for = str(error)
        run.stop.wait(wait)
        run.waits_for = None

    def _park_if_ended(self, run: Run) -> None:
        """End the run here if somebody wants it no more."""
        if run.end is None:
            return
        logger.info("job given up: %s", run.end, extra={"stage": "job", "symbol": run.symbol})
        if run.end is End.AGENT_PAUSED:
            self._queue.requeue(run.job_id, run.agent)
        raise Parked

    def _refuse_at_once(self, run: Run, account: str) -> None:
        """Set the job aside, if the key it needs was refused: one request is enough to know."""
        if (error := self._refused.get(account)) is None:
            return
        self._queue.pause(run.job_id, reason=error, needs_key=True)
        is_news = self._operations.alerts.fire(
            f"credentials/{account}",
            level="error",
            message=f"{error} The jobs that need it are paused; start the worker again, and they go on.",
        )
        logger.log(
            logging.ERROR if is_news else logging.INFO, "job paused: %s", error,
            extra={"stage": "job", "symbol": run.symbol},
        )  # fmt: skip
        self._on_end(run, JobState.PAUSED)
        raise Parked

    def _accepted(self, account: str) -> None:
        if account not in self._proved:
            self._proved.add(account)
            self._operations.alerts.clear(f"credentials/{account}")

    def _context(self, run: Run, slot: _Slot) -> JobContext:
        if slot.lake is None:
            slot.lake = open_lake(settings=self._settings)

        def publish(progress: JobProgress) -> None:
            run.progress = progress
            try:
                DBOS.set_event(
                    PROGRESS, {**vars(progress), "at": None if progress.at is None else progress.at.isoformat()}
                )
            except dbos_errors.DBOSWorkflowConflictIDError:
                run.end_for(End.UNWANTED)

        return JobContext(
            job_id=run.job_id, agent=run.agent, lake=slot.lake, settings=self._settings, clock=self._clock,
            operations=self._operations, stop=run.stop, kept=slot.kept, shared=self._shared,
            publish_progress=publish,
        )  # fmt: skip

    @contextmanager
    def _alone(self, job_id: str) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: job_id not in self._busy)
            self._busy.add(job_id)
        try:
            yield
        finally:
            with self._changed:
                self._busy.remove(job_id)
                self._changed.notify_all()

    @contextmanager
    def _slot(self) -> Iterator[_Slot]:
        with self._lock:
            slot = self._slots.pop() if self._slots else _Slot()
        slot.stop.clear()
        try:
            yield slot
        finally:
            with self._lock:
                self._slots.append(slot)


_serving: list[Runner] = []


@contextmanager
def serve_with(runner: Runner) -> Iterator[None]:
    """Hand the jobs of this process to a runner; DBOS knows one application a process."""
    _serving.append(runner)
    try:
        yield
    finally:
        _serving.remove(runner)


@DBOS.workflow(name=WORKFLOW, max_recovery_attempts=MOST_DEATHS)
def _job(task: str, arguments: dict[str, Any], agent: str) -> dict[str, Any]:
    return _work(task, arguments, agent)


@DBOS.step(name="work")
def _work(task: str, arguments: dict[str, Any], agent: str) -> dict[str, Any]:
    """The one step of every job: an event that is set within a step may be set again and again."""
    job_id = DBOS.workflow_id
    if not _serving or job_id is None:
        raise Parked
    return _serving[-1].run(job_id, task, arguments, agent)
