"""Schedules as every face shows them: when each goes next, and what became of its last job."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.jobs.job import JobState
from app.jobs.queue import JobQueue
from app.operations import Operations
from app.schedules.schedules import Schedule, Schedules
from app.schedules.triggers import next_due
from barlake.errors import NotFoundError
from barlake.lake import Lake

__all__ = ["ScheduleStanding", "schedules_of", "schedules_standing"]


@dataclass(frozen=True, kw_only=True)
class ScheduleStanding:
    """One schedule. Instants are UTC, by market time.

    Parameters
    ----------
    when
        Its trigger in words.
    next_due
        None while it is paused, or for one that waits for no time.
    last_job, last_state
        None where it never fired; the state also when the job was forgotten.
    work
        What the `update` task is told; empty means everything.
    """

    name: str
    when: str
    paused: bool
    next_due: dt.datetime | None
    last_due: dt.datetime | None
    last_job: str | None
    last_state: JobState | None
    work: Mapping[str, Any]


def schedules_of(lake: Lake, operations: Operations) -> Schedules:
    """The schedules of a lake, those that every lake begins with among them."""
    schedules = Schedules(operations.engine)
    schedules.begin(lake.now())
    return schedules


def schedules_standing(lake: Lake, schedules: Schedules, queue: JobQueue) -> list[ScheduleStanding]:
    """Every schedule, by name."""
    return [_standing(lake, one, queue) for one in schedules.all()]


def _standing(lake: Lake, one: Schedule, queue: JobQueue) -> ScheduleStanding:
    is_timed = one.trigger is not None and not one.paused
    coming = next_due(one.trigger, lake.now(), lake.calendar) if one.trigger is not None and is_timed else None
    return ScheduleStanding(
        name=one.name,
        when=one.when,
        paused=one.paused,
        next_due=None if coming is None else coming.due,
        last_due=one.last_due,
        last_job=one.last_job,
        last_state=_state(queue, one.last_job),
        work=one.work,
    )


def _state(queue: JobQueue, job: str | None) -> JobState | None:
    if job is not None:
        with contextlib.suppress(NotFoundError):
            return queue.get(job).state
    return None
