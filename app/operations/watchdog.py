"""The watchdog: holds the rules against the state of things, and fires and clears what they say.

Any number of processes may run it; the database lets one of them speak.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import polars as pl
from sqlalchemy import select

from app.jobs.job import JobRecord, JobState
from app.jobs.queue import JobQueue
from app.operations import rules
from app.operations.database import reading, writing
from app.operations.heartbeats import Heartbeat
from app.operations.operations import Operations
from app.operations.rules import Finding, Rule
from app.operations.tables import watched
from barlake.clock import Clock
from barlake.database import upsert
from barlake.errors import BarlakeError, StorageError
from barlake.freshness import answered, last_requests, provisional_sessions
from barlake.lake import Lake
from ingest_service.alpaca import resolve_feed
from ingest_service.watch_list import WatchList, find_watch_list, load_watch_list

__all__ = ["Watched", "check", "watched_securities"]

logger = logging.getLogger(__name__)

_LOOKS_BACK = dt.timedelta(days=10)
_FAILED_JOBS = 200
_SOURCE = "alpaca"
_SCHEDULED = "schedule/"
_FORGOTTEN_AFTER = dt.timedelta(days=1)
_REPLACED_AFTER = dt.timedelta(minutes=1)
"""A worker that was started anew has another name: its silent forerunner is no news for longer than that."""


class Watched(Protocol):
    """A security of the watch list, as far as the watchdog cares."""

    @property
    def symbol(self) -> str:
        """What it is stored as."""
        ...

    @property
    def start(self) -> dt.date | None:
        """First session wanted."""
        ...


def check(
    operations: Operations,
    lake: Lake,
    queue: JobQueue | None,
    clock: Clock,
    watch_list: Iterable[Watched] | None = None,
) -> None:
    """Fire what the rules find, clear what is over, and send what is due; for a thread that nobody waits for.

    A rule whose facts cannot be had is skipped: its alerts stay as they are.

    Parameters
    ----------
    queue
        None skips the rule on failed jobs.
    watch_list
        The securities whose minute bars are to be complete, as `watched_securities` gives them; None skips the rule
        on late sessions.
    """
    active = {alert.key for alert in operations.alerts.active()}
    passes: list[tuple[str, Callable[[], list[Finding]]]] = [
        (Rule.STALLED, lambda: rules.stalled(_living(operations), operations.heartbeats.now())),
        (Rule.SOURCE, lambda: rules.failing_sources(last_requests(lake.manifest.engine))),
        (Rule.DISK, lambda: _disk(lake, is_active=Rule.DISK in active)),
    ]
    if queue is not None:
        passes.append((Rule.JOBS, lambda: rules.failed_jobs(_failed(queue))))
    if watch_list is not None:
        wanted = {one.symbol: one.start for one in watch_list}
        passes.append((Rule.LATE, lambda: _late(operations, lake, clock.now(), wanted)))
    for prefix, find in passes:
        try:
            _apply(operations, find(), {key for key in active if key.startswith(prefix)})
        except BarlakeError as error:
            logger.warning("a rule could not be checked: %s", error, extra={"stage": "watchdog", "rule": prefix})
    operations.alerts.deliver()


def _apply(operations: Operations, found: Sequence[Finding], active: set[str]) -> None:
    for one in found:
        operations.alerts.fire(one.key, level=one.level, message=one.message, details=one.details)
    for key in sorted(active - {one.key for one in found}):
        operations.alerts.clear(key)


def watched_securities(lake: Lake) -> list[Watched] | None:
    """The enabled securities of the watch list that have sessions of minute bars; None when there is no list.

    Nor while there is a fault in it. Coins never close, and an index has bars where `names` gives it some.
    """
    try:
        path = find_watch_list(lake.settings, lake.root).resolve()
        facts = path.stat()
        watch_list = _read(path, facts.st_mtime_ns, facts.st_size)
    except (BarlakeError, OSError):
        return None
    enabled = (one for one in watch_list.securities if one.enabled)
    return [one for one in enabled if one.category != "crypto" and one.name_at(_SOURCE) is not None]


@functools.lru_cache(maxsize=4)
def _read(path: Path, _changed: int, _size: int) -> WatchList:
    """The watch list, read again when its file changes."""
    return load_watch_list(path)


def _living(operations: Operations) -> list[Heartbeat]:
    """Heartbeats; those of workers that have been gone for long, or whose place was taken, are forgotten."""
    now = operations.heartbeats.now()
    found = operations.heartbeats.all()
    beating = {one.agent for one in found if not one.is_stalled(now)}
    gone = [one for one in found if one.age(now) > (_REPLACED_AFTER if one.agent in beating else _FORGOTTEN_AFTER)]
    for one in gone:
        operations.heartbeats.forget(one.worker, one.agent)
    return [one for one in found if one not in gone]


def _failed(queue: JobQueue) -> list[JobRecord]:
    """Jobs that failed, but for a look at what is due that the same schedule has made since."""
    failed = queue.list(status=JobState.FAILED, limit=_FAILED_JOBS, newest=True)
    names = {one.id.rpartition("/")[0] for one in failed if one.id.startswith(_SCHEDULED)}
    done = {name: queue.list(prefix=f"{name}/", status=JobState.DONE, limit=1, newest=True) for name in names}
    seen_to = {name: found[0].created_at for name, found in done.items() if found}
    return [one for one in failed if not seen_to.get(one.id.rpartition("/")[0], one.created_at) > one.created_at]


def _disk(lake: Lake, *, is_active: bool) -> list[Finding]:
    try:
        found = shutil.disk_usage(lake.root)
    except OSError as error:
        raise StorageError(f"the disk of {lake.root} does not say how full it is: {error.strerror}.") from error
    return rules.disk_fills(found.total, found.free, is_active=is_active)


def _late(operations: Operations, lake: Lake, now: dt.datetime, wanted: Mapping[str, dt.date | None]) -> list[Finding]:
    symbols = sorted(wanted)
    recent = lake.calendar.frame.filter(pl.col("post_close").is_between(now - _LOOKS_BACK, now))
    days, engine = recent["session"].to_list(), lake.manifest.engine
    return rules.late_sessions(
        recent,
        now,
        watched={
            symbol: max(since, _begins(wanted[symbol])) for symbol, since in _since(operations, now, symbols).items()
        },
        feed=resolve_feed(lake.settings.alpaca_feed),
        answered=answered(engine, symbols, days),
        provisional=provisional_sessions(engine, symbols, days),
    )


def _since(operations: Operations, now: dt.datetime, symbols: Sequence[str]) -> dict[str, dt.datetime]:
    """Since when each symbol is watched, in market time; one that is new is watched from now on."""
    with reading(operations.engine) as connection:
        rows = connection.execute(select(watched.c.symbol, watched.c.since)).all()
    known = {row.symbol: row.since for row in rows}
    new = [symbol for symbol in symbols if symbol not in known]
    if new:
        with writing(operations.engine) as connection:
            statement = upsert(connection, watched).on_conflict_do_nothing(index_elements=["symbol"])
            connection.execute(statement, [{"symbol": symbol, "since": now} for symbol in new])
    return {symbol: known.get(symbol, now) for symbol in symbols}


def _begins(day: dt.date | None) -> dt.datetime:
    """An instant after the session before that date was due, and before its own is."""
    return dt.datetime.combine(day or dt.date.min, dt.time(6), tzinfo=dt.UTC)
