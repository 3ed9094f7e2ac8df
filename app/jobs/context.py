"""What a task is given: the lake, the clock, a way to say how far it is, and the event that tells it to stop."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from app.jobs.job import JobProgress
from barlake.clock import Clock
from barlake.lake import Lake
from barlake.settings import Settings

if TYPE_CHECKING:
    from app.operations import Operations

__all__ = ["JobContext", "Kept"]

Kept = dict[str, Any]
"""What a run leaves for the next one in its place."""

KeptT = TypeVar("KeptT")

SAY_EVERY_S = 1.0
"""How often a job's progress is written down."""


class JobContext:
    """The surroundings of one run of a job; for the thread that runs it.

    Parameters
    ----------
    job_id
        Of the job that runs.
    lake
        Open, and this thread's own while the job runs.
    clock
        Market time.
    stop
        Set when the job is cancelled or paused, its agent is paused, or the worker ends: stop between two steps and
        return, or raise anything; what the task returns or raises then counts for nothing.
    publish_progress
        Told at most about once a second.
    """

    def __init__(
        self,
        *,
        job_id: str,
        agent: str,
        lake: Lake,
        settings: Settings,
        clock: Clock,
        operations: Operations,
        stop: threading.Event,
        kept: Kept | None = None,
        shared: Kept | None = None,
        publish_progress: Callable[[JobProgress], None] = lambda _progress: None,
    ) -> None:
        self.job_id = job_id
        self.agent = agent
        self.lake = lake
        self.settings = settings
        self.clock = clock
        self.operations = operations
        self.stop = stop
        self._kept = {} if kept is None else kept
        self._shared = {} if shared is None else shared
        self._publish_progress = publish_progress
        self._started = time.monotonic()
        self._first_done: int | None = None
        self._said = float("-inf")
        self._latest: JobProgress | None = None

    def keep(self, name: str, make: Callable[[], KeptT]) -> KeptT:
        """What is made once and serves the later runs in this place too, such as a connection.

        They come one after another, with this very `stop`, which is clear again when they begin.
        """
        found: KeptT = self._kept.setdefault(name, None) or make()
        self._kept[name] = found
        return found

    def share(self, name: str, make: Callable[[], KeptT]) -> KeptT:
        """What is made once and serves all runs of this process at the same time."""
        # A dictionary's `setdefault` lets one of several win, and all get the winner's.
        found: KeptT = self._shared.get(name) or self._shared.setdefault(name, make())
        return found

    def progress(
        self,
        done: int | None = None,
        total: int | None = None,
        *,
        unit: str = "",
        rows: int = 0,
        pages: int = 0,
        next_step: str | None = None,
    ) -> None:
        """Say how far the job has come: all counts are since it began."""
        now = time.monotonic()
        self._latest = JobProgress(
            done=done,
            total=total,
            unit=unit,
            rows=rows,
            pages=pages,
            next_step=next_step,
            seconds_left=self._seconds_left(done, total, now),
            at=dt.datetime.now(dt.UTC),
        )
        if now - self._said >= SAY_EVERY_S:
            self.say_latest()

    def say_latest(self) -> None:
        """Write down what was said last, if that did not happen yet."""
        if self._latest is not None:
            self._said = time.monotonic()
            latest, self._latest = self._latest, None
            self._publish_progress(latest)

    def _seconds_left(self, done: int | None, total: int | None, now: float) -> float | None:
        if done is None or total is None:
            return None
        if self._first_done is None:
            self._first_done, self._started = done, now
        made = done - self._first_done
        return (now - self._started) / made * (total - done) if made > 0 else None

    def __repr__(self) -> str:
        return f"JobContext({self.job_id!r})"
