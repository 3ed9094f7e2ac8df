"""Looks for those who listen: each asks the databases only for what may have changed since the one before."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import replace

from app.jobs.job import JobRecord, JobState
from app.jobs.queue import JobQueue
from app.operations import Operations
from app.operations.heartbeats import Heartbeat
from app.use_cases.agents import STALLED
from app.use_cases.monitor import Picture
from barlake.errors import BarlakeError
from barlake.freshness import SymbolHeld, symbols_held
from barlake.lake import Lake
from barlake.records import utc_now

__all__ = ["CHANGED_LAST", "Looks"]

CHANGED_LAST = 200
"""So many jobs that changed last are in a picture, beside those that run."""

_RUNNING = 100
_WITH_PROGRESS = 12
_MANY_SYMBOLS = 50
_OVERLAP = dt.timedelta(minutes=1)
"""Writers' clocks differ, and what is stamped first may be seen last."""


class Looks:
    """Takes pictures, one after another; each `look` waits for the one before.

    Parameters
    ----------
    lake, operations, queue
        What is looked at.
    """

    def __init__(self, lake: Lake, operations: Operations, queue: JobQueue) -> None:
        self._lake = lake
        self._operations = operations
        self._queue = queue
        self._lock = threading.Lock()
        self._jobs: dict[str, JobRecord] | None = None
        self._beats: dict[tuple[str, str], Heartbeat] = {}
        self._coverage: dict[tuple[str, str], SymbolHeld] | None = None
        self._seen_to: dt.datetime | None = None
        self._is_torn = False
        self._problems: dict[str, str] = {}

    def look(self) -> Picture:
        """The state of things now. A part that cannot be looked at is among the problems, not an error."""
        with self._lock:
            self._is_torn = False
            self._try("queue", self._look_at_jobs)
            self._try("operations", self._look_at_beats)
            self._try("manifest", self._look_at_coverage)
            return Picture(
                at=utc_now(),
                jobs=self._jobs or {},
                heartbeats=self._beats,
                coverage=self._coverage or {},
                problems=dict(self._problems),
                is_torn=self._is_torn,
            )

    def _try(self, part: str, look: Callable[[], None]) -> None:
        try:
            look()
        except (BarlakeError, OSError) as error:
            self._problems[part] = str(error)
        else:
            self._problems.pop(part, None)

    def _look_at_jobs(self) -> None:
        known = self._jobs or {}
        stamps = self._queue.stamps(limit=CHANGED_LAST)
        changed = [job_id for job_id, at in stamps.items() if job_id not in known or known[job_id].updated_at != at]
        # What is set aside may be let go without its stamp moving.
        running = [one.id for one in known.values() if one.state in {JobState.RUNNING, JobState.PAUSED}]
        if self._jobs is None:
            running = [one.id for one in self._queue.list(status=JobState.RUNNING, limit=_RUNNING)]
        found = {one.id: one for one in self._queue.records(list(dict.fromkeys([*changed, *running])))}
        self._add_progress(found, known)
        self._is_torn |= self._jobs is not None and len(changed) >= CHANGED_LAST
        kept = {job_id: known[job_id] for job_id in stamps if job_id in known}
        self._jobs = kept | found

    def _add_progress(self, found: dict[str, JobRecord], known: dict[str, JobRecord]) -> None:
        """How far those are that run; the oldest are asked anew, of others the look before still stands."""
        running = sorted(
            (one for one in found.values() if one.state is JobState.RUNNING), key=lambda one: one.created_at
        )
        for one in running[:_WITH_PROGRESS]:
            found[one.id] = self._queue.get(one.id)
        for one in running[_WITH_PROGRESS:]:
            if one.id in known:
                found[one.id] = replace(one, progress=known[one.id].progress)

    def _look_at_beats(self) -> None:
        heartbeats = self._operations.heartbeats
        now = heartbeats.now()
        self._beats = {
            (one.worker, one.agent): replace(one, state=STALLED) if one.is_stalled(now) else one
            for one in heartbeats.all()
        }

    def _look_at_coverage(self) -> None:
        manifest = self._lake.manifest
        seen_to = manifest.last_commit_at()
        if self._coverage is None or self._seen_to is None:
            self._coverage = _by_name(symbols_held(manifest.engine))
        else:
            pairs = manifest.pairs_changed_after(self._seen_to - _OVERLAP)
            few = pairs if len(pairs) <= _MANY_SYMBOLS else None
            found = _by_name(symbols_held(manifest.engine, few)) if pairs else {}
            self._coverage = self._coverage | found
        self._seen_to = seen_to


def _by_name(rows: list[SymbolHeld]) -> dict[tuple[str, str], SymbolHeld]:
    return {(one.feed, one.symbol): one for one in rows}
