"""Tasks that do as they are told, workers in a thread of this process, and patience."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Self

from app.jobs.context import JobContext
from app.jobs.job import Job, JobRecord
from app.jobs.queue import JobQueue
from app.jobs.worker import Worker, WorkerReport

DEADLINE_S = 90.0


def eventually(what: Callable[[], Any]) -> Any:
    """What a function gives once that is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := what()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)
    return found


class Deeds:
    """What the task `probe` did, and what it is to do."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.errors: list[Exception] = []
        self.go = threading.Event()
        self.go.set()

    def probe(self, context: JobContext, *, rows: int = 0) -> dict[str, Any]:
        self.begun.append(context.job_id)
        if self.errors:
            raise self.errors.pop(0)
        context.progress(1, 4, unit="steps", rows=rows, pages=1, next_step="wait")
        while not self.go.is_set():
            if context.stop.wait(0.01):
                break
        self.ended.append(context.job_id)
        return {"status": "done", "rows": rows}


class InThread:
    """A worker in a thread of this process; a process has one at a time."""

    def __init__(self, worker: Worker) -> None:
        self.stop = threading.Event()
        self.report: WorkerReport | None = None
        self.error: BaseException | None = None
        self._worker = worker
        self.name = worker.name
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.report = self._worker.run(self.stop)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join()

    def wait(self) -> None:
        """Wait until the worker ends by itself."""
        eventually(lambda: not self._thread.is_alive())

    def join(self) -> None:
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error


def probe(key: str = "probe/1", *, priority: int | None = None, **arguments: Any) -> Job:
    return Job(key, "probe", arguments, priority=priority)


def states(jobs: JobQueue) -> dict[str, str]:
    return {one.id: str(one.state) for one in jobs.list()}


def when(jobs: JobQueue, job_id: str, state: str) -> JobRecord:
    """The job, once it is in that state."""
    eventually(lambda: jobs.get(job_id).state == state)
    return jobs.get(job_id)
