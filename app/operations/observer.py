"""The state of things at one look: for the terminal, for Prometheus, for a collector."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.jobs.job import JobRecord, JobState
from app.jobs.queue import JobQueue
from app.operations.alerts import Alert
from app.operations.heartbeats import Heartbeat
from app.operations.log_records import LogRecord
from app.operations.operations import Operations
from barlake.clock import Clock
from barlake.errors import BarlakeError
from barlake.freshness import FeedHeld, LastRequest, RequestCounts, expected_through, feeds_held, lag_of, last_requests
from barlake.lake import Lake
from barlake.records import utc_now

__all__ = ["FeedStanding", "MarketHours", "Observer", "Standing"]

_RUNNING = 12
_ERRORS = 8


@dataclass(frozen=True)
class FeedStanding:
    """One feed: what is held of it, and how far it is behind the market, in market time."""

    feed: str
    bars: int
    newest: dt.datetime
    lag: dt.timedelta


@dataclass(frozen=True)
class MarketHours:
    """Whether the market is open, and when that changes next."""

    phase: str  # open, pre, post, closed
    until: dt.datetime | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """All that can be seen of a lake and those who work on it.

    Parameters
    ----------
    at, market_now
        Machine time, by the clock that stamps heartbeats, and market time of the look.
    jobs, oldest
        By agent and state: how many, and since when the oldest waits. What is over is of no agent: an empty text.
    running
        With their progress.
    requests, rows
        Ever made, by source and status; rows that came, by source.
    errors
        The newest records of level `warning` and above, oldest first.
    problems
        Parts that could not be looked at, each with a sentence.
    """

    at: dt.datetime
    market_now: dt.datetime
    market: MarketHours = MarketHours("closed", None)
    heartbeats: Sequence[Heartbeat] = ()
    alerts: Sequence[Alert] = ()
    errors: Sequence[LogRecord] = ()
    jobs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    oldest: Mapping[tuple[str, str], dt.datetime] = field(default_factory=dict)
    paused_agents: Sequence[str] = ()
    running: Sequence[JobRecord] = ()
    feeds: Sequence[FeedStanding] = ()
    sources: Sequence[LastRequest] = ()
    requests: Mapping[tuple[str, str], int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    last_commit: dt.datetime | None = None
    disk_total: int = 0
    disk_free: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)


class Observer:
    """Looks at the databases; what is dear to ask is asked less often. May be used by several threads.

    Parameters
    ----------
    operations, queue
        None where there is none, or it cannot be opened.
    slow_s
        Seconds for which what the manifest said is good enough.
    unopened
        Of parts that cannot be opened: why.
    """

    def __init__(
        self,
        lake: Lake,
        operations: Operations | None,
        queue: JobQueue | None,
        clock: Clock,
        *,
        slow_s: float = 2.0,
        unopened: Mapping[str, str] | None = None,
    ) -> None:
        self.lake = lake
        self.clock = clock
        self._operations = operations
        self._queue = queue
        self._slow_s = slow_s
        self._counts = RequestCounts(lake.manifest.engine)
        self._known: dict[str, Any] = {}
        self._looked: float | None = None
        self._problems: dict[str, str] = {}
        self._unopened = dict(unopened or {})
        self._lock = threading.Lock()

    def look(self) -> Standing:
        """The state of things now. A part that cannot be looked at is among the problems, not an error."""
        with self._lock:
            if self._looked is None or time.monotonic() - self._looked >= self._slow_s:
                self._try("manifest", self._look_at_manifest)
                self._looked = time.monotonic()
            self._known.pop("at", None)
            self._try("operations", self._look_at_operations)
            self._try("queue", self._look_at_queue)
            self._try("disk", self._look_at_disk)
            market_now = self.clock.now()
            self._known["market"] = _market_hours(self.lake, market_now)
            return Standing(
                market_now=market_now, problems=self._problems | self._unopened, **{"at": utc_now(), **self._known}
            )

    def _try(self, part: str, look: Callable[[], Mapping[str, Any]]) -> None:
        try:
            self._known.update(look())
        except (BarlakeError, OSError) as error:
            self._problems[part] = str(error)
        else:
            self._problems.pop(part, None)

    def _look_at_manifest(self) -> Mapping[str, Any]:
        engine = self.lake.manifest.engine
        self._counts.refresh()
        now, calendar = self.clock.now(), self.lake.calendar

        def lag(one: FeedHeld) -> dt.timedelta:
            return lag_of(one.newest, expected_through(calendar.of(one.feed).frame, now))

        return {
            "feeds": [FeedStanding(one.feed, one.bars, one.newest, lag(one)) for one in feeds_held(engine)],
            "sources": last_requests(engine),
            "requests": dict(self._counts.requests),
            "rows": dict(self._counts.rows),
            "last_commit": self.lake.manifest.last_commit_at(),
        }

    def _look_at_disk(self) -> Mapping[str, Any]:
        found = shutil.disk_usage(self.lake.root)
        return {"disk_total": found.total, "disk_free": found.free}

    def _look_at_operations(self) -> Mapping[str, Any]:
        if self._operations is None:
            return {}
        # Alerts have a place of their own.
        found = self._operations.logs.tail(level="warning", limit=5 * _ERRORS)
        return {
            "at": self._operations.heartbeats.now(),
            "heartbeats": self._operations.heartbeats.all(),
            "alerts": self._operations.alerts.active(),
            "errors": [one for one in found if one.stage != "alert"][-_ERRORS:],
        }

    def _look_at_queue(self) -> Mapping[str, Any]:
        queue = self._queue
        if queue is None:
            return {}
        running = queue.list(status=JobState.RUNNING, limit=_RUNNING)
        return {
            "jobs": {(agent, str(state)): count for (agent, state), count in queue.counts().items()},
            "oldest": {(agent, str(state)): since for (agent, state), since in queue.oldest().items()},
            "paused_agents": queue.paused_agents(),
            "running": [queue.get(one.id) for one in running],
        }


def _market_hours(lake: Lake, now: dt.datetime) -> MarketHours:
    frame = lake.calendar.frame
    at = frame["post_close"].search_sorted(now, side="right")
    if at >= frame.height:
        return MarketHours("closed", None)
    session = frame.row(int(at), named=True)
    for phase, begins in (("closed", "pre_open"), ("pre", "open"), ("open", "close"), ("post", "post_close")):
        if now < session[begins]:
            return MarketHours(phase, session[begins])
    return MarketHours("closed", None)
