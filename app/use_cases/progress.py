"""How far the jobs are: what runs, what comes next, what was over last, and how long asked-for work will take."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from app.jobs.job import JobRecord, JobState
from app.jobs.queue import JobQueue

__all__ = ["AskedWork", "asked_work", "cancel_all", "held_up_jobs", "newest_jobs", "running_jobs"]

_RUNNING = 12
_HELD_UP = 5


@dataclass(frozen=True)
class AskedWork:
    """Jobs that somebody asked for at one time, taken together.

    Parameters
    ----------
    total, done, running, failed, paused
        How many of them; what was cancelled or forgotten since counts as done.
    seconds_left
        At the pace so far; None before there is one, and where nothing runs.
    """

    total: int
    done: int
    running: int
    failed: int
    paused: int
    seconds_left: float | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.done + self.failed + self.paused >= self.total


def asked_work(queue: JobQueue, job_ids: Sequence[str], *, now: dt.datetime) -> AskedWork:
    """How far some jobs are.

    Parameters
    ----------
    now
        Machine time.
    """
    records = queue.records(job_ids)
    counts = {state: sum(one.state is state for one in records) for state in JobState}
    waiting = counts[JobState.QUEUED] + counts[JobState.RUNNING]
    failed, paused = counts[JobState.FAILED], counts[JobState.PAUSED]
    return AskedWork(
        total=len(job_ids),
        done=len(job_ids) - waiting - failed - paused,
        running=counts[JobState.RUNNING],
        failed=failed,
        paused=paused,
        seconds_left=_seconds_left(records, waiting, now) if counts[JobState.RUNNING] else None,
    )


def _seconds_left(records: Sequence[JobRecord], waiting: int, now: dt.datetime) -> float | None:
    """Time for those that wait, at as many a second as were done since the first of them began."""
    done = [one for one in records if one.state is JobState.DONE and one.started_at and one.finished_at]
    if not done:
        return None
    begun = min(one.started_at for one in done if one.started_at)
    return waiting * (now - begun).total_seconds() / len(done)


def running_jobs(queue: JobQueue) -> list[JobRecord]:
    """What is being done, with its progress; the oldest first, at most twelve."""
    return [queue.get(one.id) for one in queue.list(status=JobState.RUNNING, limit=_RUNNING)]


def newest_jobs(queue: JobQueue, *, state: JobState | None = None, limit: int = 20) -> list[JobRecord]:
    """Jobs that were asked for last, newest first, without their progress."""
    return queue.list(status=state, limit=limit, newest=True)


def held_up_jobs(queue: JobQueue) -> list[JobRecord]:
    """What failed or is paused, the newest of each, at most five of each."""
    states = (JobState.FAILED, JobState.PAUSED)
    return [one for state in states for one in queue.list(status=state, limit=_HELD_UP, newest=True)]


def cancel_all(queue: JobQueue, job_ids: Sequence[str]) -> int:
    """Have these jobs not done, as far as they are not over; how many it were."""
    open_ = [one.id for one in queue.records(job_ids) if not one.state.is_over]
    for job_id in open_:
        queue.cancel(job_id)
    return len(open_)
