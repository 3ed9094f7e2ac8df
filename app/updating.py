"""The lake brought up to date in this process: what is due is planned, done job by job, and counted by symbol.

The same planning and the same tasks as the workers have, without a queue: for cron, Airflow, Kubernetes and hands.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import polars as pl
from filelock import FileLock, Timeout

from app.jobs.context import JobContext, Kept
from app.jobs.job import Job
from app.jobs.planning import Due, Note, Part, plan, plan_features
from app.jobs.registry import Task, find_task
from app.operations import Operations
from app.operations.logs import log_context
from barlake.clock import clock_of
from barlake.coverage import finished_sessions
from barlake.errors import BarlakeError, ConflictError, CredentialsError, SourceError, StorageError
from barlake.lake import Lake
from ingest_service.watch_list import Security, WatchList

__all__ = ["ExitCode", "SymbolOutcome", "UpdateReport", "only_one_update", "update_lake"]

logger = logging.getLogger(__name__)

MOST_FAILURES = 3
"""So many jobs in a row that a source left unanswered are enough: it is asked for nothing more in this run."""

LAKE_WIDE = "(all)"
"""Stands in the place of a symbol for work that concerns all of them."""

OnJob = Callable[[Due, int, int], None]


class ExitCode(IntEnum):
    """What a run amounts to."""

    DONE = 0  # everything that was due is done, or nothing was due
    FAILED = 1  # nothing of it is
    PARTIAL = 3  # some of it is


@dataclass
class SymbolOutcome:
    """What became of the work for one symbol; `bars` are held of it now."""

    symbol: str
    done: int = 0
    failed: int = 0
    skipped: int = 0
    bars: int = 0
    why: str = ""

    @property
    def status(self) -> str:
        """`done`, `partial`, or `failed`."""
        if not self.failed and not self.skipped and not self.why:
            return "done"
        return "partial" if self.done else "failed"


@dataclass
class UpdateReport:
    """What a run did, by symbol in the order of the watch list."""

    feed: str
    symbols: dict[str, SymbolOutcome] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    was_stopped: bool = False

    def of(self, symbol: str | None) -> SymbolOutcome:
        """The line of a symbol, made when missing."""
        name = symbol or LAKE_WIDE
        return self.symbols.setdefault(name, SymbolOutcome(name))

    @property
    def exit_code(self) -> ExitCode:
        """How the process should end."""
        statuses = {one.status for one in self.symbols.values()}
        if statuses <= {"done"} and not self.was_stopped:
            return ExitCode.DONE
        broke = any(one.failed or one.skipped for one in self.symbols.values())
        some = any(one.done if broke else one.status == "done" for one in self.symbols.values())
        return ExitCode.PARTIAL if some else ExitCode.FAILED


@contextlib.contextmanager
def only_one_update(lake: Lake) -> Iterator[None]:
    """No second update of the lake on this machine while the block runs.

    Raises
    ------
    ConflictError
        If there is one already.
    """
    path = lake.root / "operations" / ".update.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConflictError(
            f"another update of {lake.root} is running: it does the work, or run this again when it has ended."
        ) from error
    try:
        yield
    finally:
        lock.release()


def update_lake(
    lake: Lake,
    operations: Operations,
    watch_list: WatchList,
    securities: Sequence[Security],
    *,
    parts: Collection[Part],
    feed: str | None = None,
    stop: threading.Event | None = None,
    on_job: OnJob = lambda _due, _done, _total: None,
) -> UpdateReport:
    """Do what is due for some securities, features last; a job that fails does not keep the others from being done.

    Parameters
    ----------
    stop
        Ends the run between two steps of a job.
    on_job
        Told as each job begins: the job, how many are done, how many there are.
    """
    clock, stop = clock_of(lake.settings), stop or threading.Event()
    raw = [one for one in parts if one is not Part.FEATURES]
    found = plan(lake, watch_list, clock.now(), securities=securities, parts=raw, feed=feed)
    report = UpdateReport(found.feed, {one.symbol: SymbolOutcome(one.symbol) for one in securities}, found.notes)
    for note in found.notes:
        report.symbols.pop(note.symbol, None)
    run = _Run(lake, operations, report, stop, on_job)
    run.perform(found.due)
    run.tidy()
    if Part.FEATURES in parts and not stop.is_set():
        run.perform(
            plan_features(lake, watch_list.features, [one.symbol for one in securities], feed=report.feed),
        )
    report.was_stopped = stop.is_set()
    _count_bars(lake, report, securities)
    if Part.BARS in parts:
        _tell_missing(lake, report, securities, clock.now())
    return report


class _Run:
    """The jobs of one run, one after another."""

    def __init__(
        self, lake: Lake, operations: Operations, report: UpdateReport, stop: threading.Event, on_job: OnJob
    ) -> None:
        self._lake = lake
        self._operations = operations
        self._report = report
        self._stop = stop
        self._on_job = on_job
        self._kept: Kept = {}
        self._wrote = False
        self._given_up: dict[str, str] = {}
        self._failures: dict[str, int] = {}

    def perform(self, due: Sequence[Due]) -> None:
        """Do these jobs, but for those whose source was given up."""
        for number, one in enumerate(due):
            if self._stop.is_set():
                self._leave(one)
                continue
            self._on_job(one, number, len(due))
            task = find_task(one.job.task)
            outcome = self._report.of(one.symbol)
            reason = self._given_up.get(task.account) or self._given_up.get("*")
            if reason is not None:
                outcome.skipped += 1
                outcome.why = outcome.why or reason
                continue
            self._one(one, task, outcome)

    def tidy(self) -> None:
        """Merge files, check bars and publish, once, if any bars came."""
        if self._wrote and not self._stop.is_set():
            work = Due(Job("tidy/update", "tidy"), "bars have come")
            self._one(work, find_task("tidy"), self._report.of(None))

    def _one(self, due: Due, task: Task, outcome: SymbolOutcome) -> None:
        context = JobContext(
            job_id=due.job.key, agent=due.job.agent, lake=self._lake, settings=self._lake.settings,
            clock=clock_of(self._lake.settings), operations=self._operations, stop=self._stop, kept=self._kept,
        )  # fmt: skip
        with log_context(job=due.job.key, agent=due.job.agent):
            try:
                result = task(context, dict(due.job.arguments))
            except BarlakeError as error:
                if self._stop.is_set():
                    self._leave(due)
                    return
                self._tell_failure(due, error)
                outcome.failed += 1
                outcome.why = outcome.why or str(error)
                self._give_up_where_hopeless(task.account, error)
                return
            logger.info("job done", extra={"stage": "job", "symbol": due.symbol, "result": result})
        self._failures[task.account] = 0
        if result.get("status") == "partial" and not self._stop.is_set():
            outcome.why = outcome.why or f"{due.job.key} is done in part"
        outcome.done += 1
        self._wrote = self._wrote or (due.job.task in {"bars", "session"} and result.get("status") != "nothing")

    def _leave(self, due: Due) -> None:
        """Count a job that the end of the run came before: its symbol is not complete."""
        outcome = self._report.of(due.symbol)
        outcome.skipped += 1
        outcome.why = outcome.why or "not done: the run was stopped"

    def _tell_failure(self, due: Due, error: BarlakeError) -> None:
        logger.error("job failed: %s", error, extra={"stage": "job", "symbol": due.symbol})

    def _give_up_where_hopeless(self, account: str, error: BarlakeError) -> None:
        if isinstance(error, StorageError):
            self._given_up["*"] = f"not begun: {error}"
        elif isinstance(error, CredentialsError):
            self._given_up[account] = "not begun: the key was refused"
        elif isinstance(error, SourceError):
            self._failures[account] = self._failures.get(account, 0) + 1
            if self._failures[account] >= MOST_FAILURES:
                self._given_up[account] = "not begun: the source does not answer"


def _count_bars(lake: Lake, report: UpdateReport, securities: Sequence[Security]) -> None:
    """Put the bars held beside each symbol."""
    held = dict(lake.symbols().sort(pl.col("feed") == report.feed).select("symbol", "bars").iter_rows())
    for one in securities:
        if one.symbol in report.symbols:
            report.symbols[one.symbol].bars = held.get(one.symbol, 0)


def _tell_missing(lake: Lake, report: UpdateReport, securities: Sequence[Security], now: dt.datetime) -> None:
    """Say of a symbol that should have bars and has none that it did not succeed."""
    finished = finished_sessions(lake.calendar.frame, now)["session"]
    for one in securities:
        outcome = report.symbols.get(one.symbol)
        first = one.first_session(now.date())
        if (
            outcome is None
            or one.category == "indices"
            or outcome.bars
            or outcome.why
            or report.was_stopped
            or not (finished >= first).any()
        ):
            continue
        outcome.why = f"the source has no bars of it since {first}: check the spelling and its start"
