"""What fires schedules: any worker, several at once, each time of a schedule once.

A time that is due becomes a job whose key names the schedule and the instant. The queue takes a key once, whoever
puts it there, and keeps it through a kill; only then is the time recorded as seen to. A worker that dies in between
leaves a time that the next one puts again, under the same key.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from pathlib import Path

from app.jobs.job import Agent, Job
from app.jobs.queue import JobQueue
from app.schedules.schedules import Schedule, Schedules
from app.schedules.triggers import Occurrence, Trigger, next_due
from barlake.errors import NotFoundError
from barlake.sessions import Calendar
from barlake.settings import Settings
from ingest_service.watch_list import find_watch_list

__all__ = ["TASK", "Scheduler", "fire_now"]

logger = logging.getLogger(__name__)

TASK = "update"
PRIORITY = 5
"""Planning goes before the work that is planned."""

LATE = dt.timedelta(minutes=10)
"""A time that is met later than that, market time, is said to be caught up."""


class Scheduler:
    """Puts a job into the queue for every time that comes due.

    Parameters
    ----------
    root
        The lake's local folder, where a watch list may lie.
    """

    def __init__(
        self, schedules: Schedules, queue: JobQueue, calendar: Calendar, settings: Settings, root: Path
    ) -> None:
        self._schedules = schedules
        self._queue = queue
        self._calendar = calendar
        self._settings = settings
        self._root = root

    def tick(self, now: dt.datetime) -> list[str]:
        """Ids of the jobs that the times up to now, market time, amount to."""
        fired = []
        for schedule in self._schedules.all():
            if schedule.paused:
                continue
            if schedule.trigger is None:
                found = self._look(schedule, now)
            else:
                found = self._fire(schedule, schedule.trigger, now)
            fired += [] if found is None else [found]
        return fired

    def next(self, now: dt.datetime) -> tuple[str, dt.datetime] | None:
        """Name and time of the schedule that is due next."""
        coming = [
            (found.due, one.name)
            for one in self._schedules.all()
            if not one.paused and one.trigger is not None and (found := next_due(one.trigger, now, self._calendar))
        ]
        return (min(coming)[1], min(coming)[0]) if coming else None

    def _fire(self, schedule: Schedule, trigger: Trigger, now: dt.datetime) -> str | None:
        """The job of the last time that passed; earlier ones that were missed are done by it, too."""
        assert schedule.seen_until is not None  # noqa: S101 - every kept schedule has one
        passed = list(trigger.between(schedule.seen_until, now, self._calendar))
        if not passed:
            return None
        due = [one.due for one in passed if one.skipped is None]
        # First the job, under a key that names the time, then the record of it: a kill in between loses nothing.
        job = self._queue.put(_job(schedule, f"{due[-1]:%Y-%m-%dT%H:%M}Z")) if due else None
        if self._schedules.judged(schedule, now, due=due[-1] if due else None, job=job):
            _say(schedule, passed, now)
        return job

    def _look(self, schedule: Schedule, now: dt.datetime) -> str | None:
        """The job of a watch list that is another than when it was last seen."""
        try:
            text = find_watch_list(self._settings, self._root).read_bytes()
        except (NotFoundError, OSError):
            return None
        mark = hashlib.sha256(text).hexdigest()
        if mark == schedule.mark:
            return None
        job = self._queue.put(_job(schedule, f"{schedule.changes}-{mark[:12]}"))
        if self._schedules.changed(schedule, mark, now, job):
            logger.info("the watch list is new", extra={"stage": "schedule", "schedule": schedule.name})
        return job


def fire_now(schedules: Schedules, queue: JobQueue, name: str, now: dt.datetime) -> str:
    """Id of a job that does what a schedule does, at once; also of one that is paused."""
    schedule = schedules.get(name)
    job = queue.put(_job(schedule, f"now-{now:%Y-%m-%dT%H:%M:%S.%f}Z"))
    schedules.fired_now(name, now, job)
    return job


def _job(schedule: Schedule, occasion: str) -> Job:
    return Job(f"schedule/{schedule.name}/{occasion}", TASK, dict(schedule.work), Agent.BACKFILL, PRIORITY)


def _say(schedule: Schedule, passed: list[Occurrence], now: dt.datetime) -> None:
    """Log what became of times that passed."""
    facts = {"stage": "schedule", "schedule": schedule.name}
    for one in passed:
        if one.skipped is not None:
            logger.info("schedule %s skips %s: %s", schedule.name, _shown(one.due), one.skipped, extra=facts)
    due = [one.due for one in passed if one.skipped is None]
    if len(due) > 1:
        logger.warning(
            "schedule %s missed %d times since %s: they are caught up at once, as one",
            schedule.name, len(due), _shown(due[0]), extra=facts | {"missed": len(due)},
        )  # fmt: skip
    elif due and now - due[0] > LATE:
        logger.warning("schedule %s was due at %s: it is caught up", schedule.name, _shown(due[0]), extra=facts)
    elif due:
        logger.info("schedule %s is due", schedule.name, extra=facts)


def _shown(instant: dt.datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%MZ}"
