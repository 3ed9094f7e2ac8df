"""The schedule, kept by every worker, and what it puts into the queue: a look at what is due."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from app.jobs.context import JobContext
from app.jobs.loops import LoopContext, loop
from app.jobs.planning import Part, Plan, plan
from app.jobs.queue import open_queue
from app.jobs.registry import task
from app.schedules.scheduler import TASK, Scheduler
from app.schedules.schedules import Schedules
from barlake.errors import BarlakeError, InvalidInputError, NotFoundError
from barlake.lake import Lake, open_lake
from ingest_service.watch_list import WatchList, find_watch_list, load_watch_list

__all__ = ["keep_schedule", "update"]

logger = logging.getLogger(__name__)

LONGEST_NAP_S, SHORTEST_NAP_S = 1.0, 0.2
"""How often, machine time, a worker looks whether something is due: made-up time may run."""

_PLANNED = tuple(one for one in Part if one is not Part.FEATURES)
"""Features are built when their bars have landed, by whoever watches for that."""


@loop("schedule")
def keep_schedule(context: LoopContext) -> None:
    """Fire what is due until the worker ends."""
    schedules = Schedules(context.operations.engine)
    with open_lake(settings=context.settings) as lake:
        schedules.begin(context.clock.now())
        scheduler = Scheduler(schedules, context.queue, lake.calendar, context.settings, lake.root)
        while not context.stop.is_set():
            now = context.clock.now()
            scheduler.tick(now)
            coming = scheduler.next(now)
            said = None if coming is None else f"{coming[0]} at {coming[1]:%Y-%m-%d %H:%MZ}"
            context.beat("waiting", next_step=said)
            context.stop.wait(LONGEST_NAP_S if context.clock.speed <= 1 else SHORTEST_NAP_S)


@task(TASK, agent="backfill")
def update(
    context: JobContext,
    *,
    parts: Sequence[str] = (),
    categories: Sequence[str] = (),
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> dict[str, Any]:
    """Whatever is due, put into the queue; what waits there already stays as it is."""
    watched = _watch_list(context)
    if watched is None:
        return {"status": "nothing", "jobs": 0}
    chosen = watched.select(categories=categories, only=only, skip=skip)
    wanted = [Part(one) for one in parts] or list(_PLANNED)
    found = plan(context.lake, watched, context.clock.now(), securities=chosen, parts=wanted)
    queue = context.keep("queue", lambda: open_queue(context.settings))
    queue.put_all(found.jobs, force=True)
    logger.info("%d jobs are due", len(found.due), extra={"stage": "plan", **_counted(found)})
    for note in found.notes:
        logger.info("%s: %s", note.symbol, note.text, extra={"stage": "plan", "symbol": note.symbol})
    return {"status": "done" if found.due else "nothing", "jobs": len(found.due), **_counted(found)}


def _counted(found: Plan) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for one in found.due:
        counts[one.job.task] = counts.get(one.job.task, 0) + 1
    return {"due": counts} if counts else {}


def _watch_list(context: JobContext) -> WatchList | None:
    """The watch list as it is now; None where there is none. One that is wrong is an alert until it is right."""
    lake: Lake = context.lake
    try:
        path = find_watch_list(context.settings, lake.root)
    except NotFoundError as error:
        if context.settings.securities_file is None:
            logger.info("nothing is kept up to date: %s", error, extra={"stage": "plan"})
            return None
        raise _alarmed(context, error) from error
    try:
        watched = load_watch_list(path)
    except BarlakeError as error:
        raise _alarmed(context, error) from error
    context.operations.alerts.clear("watch-list")
    for warning in watched.warnings:
        logger.warning("%s", warning, extra={"stage": "plan"})
    return watched


def _alarmed(context: JobContext, error: BarlakeError) -> InvalidInputError:
    """The error to raise, after somebody was told."""
    context.operations.alerts.fire("watch-list", level="error", message=f"nothing is kept up to date: {error}")
    return InvalidInputError(str(error))
