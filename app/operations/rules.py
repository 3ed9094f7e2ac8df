"""When something is an alert: rules on plain facts, without a clock or a database of their own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from app.jobs.job import JobRecord
from app.operations.heartbeats import Heartbeat
from barlake.freshness import LastRequest

__all__ = [
    "DISK_FULL",
    "SLA",
    "Finding",
    "Rule",
    "disk_fills",
    "failed_jobs",
    "failing_sources",
    "late_sessions",
    "stalled",
]

SLA = dt.timedelta(hours=2)
"""So long after a session's last bar it must be final."""

DISK_FULL = 0.80
_DISK_RELIEVED = 0.78  # a disk at the border does not begin an episode with every file
_DISK_CRITICAL = 0.95
_FAILURES = 5
_NAMED = 5
_GB = 1e9


class Rule:
    """Where the keys of each rule's alerts begin; what is active below and not found any more is over."""

    STALLED = "stalled/"
    LATE = "late/"
    SOURCE = "source/"
    JOBS = "jobs/"
    DISK = "disk"


@dataclass(frozen=True)
class Finding:
    """An alert that should be active now."""

    key: str
    level: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


def stalled(heartbeats: Iterable[Heartbeat], now: dt.datetime) -> list[Finding]:
    """Workers whose heart, or a part of it, does not beat: one finding for each. `now` is machine time."""
    by_worker: dict[str, list[Heartbeat]] = {}
    for one in heartbeats:
        by_worker.setdefault(one.worker, []).append(one)
    found = []
    for worker, beats in sorted(by_worker.items()):
        silent = [one for one in beats if one.is_stalled(now)]
        if not silent:
            continue
        whole = len(silent) == len(beats)
        names = ", ".join(one.agent for one in silent)
        last = max(one.beat_at for one in silent)
        found.append(
            Finding(
                f"{Rule.STALLED}{worker}",
                "error",
                (f"worker {worker} is silent" if whole else f"of worker {worker}, {names} is silent")
                + f": its last heartbeat came at {last:%Y-%m-%d %H:%M:%S}Z. See that `barlake worker` runs there.",
                {
                    "worker": worker,
                    "agents": [one.agent for one in silent],
                    "jobs": [one.job for one in silent if one.job],
                    "beat_at": last,
                },
            )
        )
    return found


def late_sessions(
    sessions: pl.DataFrame,
    now: dt.datetime,
    *,
    watched: Mapping[str, dt.datetime],
    feed: str,
    answered: Collection[tuple[str, dt.date]],
    provisional: Collection[tuple[str, str, dt.date]],
) -> list[Finding]:
    """Sessions that should be final by now and are not: one finding for each session and feed.

    Parameters
    ----------
    sessions
        Of the calendar, those to look at: session, post_close.
    now
        Market time.
    watched
        Symbols, each with the instant of market time since when it is watched: what was due before is history to
        be fetched, and no promise was broken.
    feed
        Which one an answer is missing from.
    answered
        Symbols and sessions that a source answered for.
    provisional
        Feeds, symbols and sessions with bars that are not final.
    """
    late: dict[tuple[str, dt.date], set[str]] = {}
    ends: dict[dt.date, dt.datetime] = {}
    for day, end in sessions.select("session", "post_close").iter_rows():
        if end + SLA > now:
            continue
        ends[day] = end
        for symbol, since in watched.items():
            if end + SLA > since and (symbol, day) not in answered:
                late.setdefault((feed, day), set()).add(symbol)
    for held_feed, symbol, day in provisional:
        if day in ends and symbol in watched and ends[day] + SLA > watched[symbol]:
            late.setdefault((held_feed, day), set()).add(symbol)
    return [_late(of, day, ends[day], sorted(symbols), len(watched)) for (of, day), symbols in sorted(late.items())]


def _late(feed: str, day: dt.date, end: dt.datetime, symbols: Sequence[str], watched: int) -> Finding:
    return Finding(
        f"{Rule.LATE}{feed}/{day}",
        "error",
        f"session {day} of feed {feed} is not final two hours after its end: {len(symbols)} of {watched} symbols lack "
        f"it ({_some(symbols)}). See `barlake jobs list` and `barlake logs --level warning`.",
        {"feed": feed, "session": day, "ended_at": end, "symbols": list(symbols)},
    )


def failing_sources(requests: Iterable[LastRequest]) -> list[Finding]:
    """Sources whose last requests failed one after the other."""
    return [
        Finding(
            f"{Rule.SOURCE}{one.source}",
            "error",
            f"the last {one.failures_in_a_row} requests to {one.source} failed; the last one: {one.error}",
            {"source": one.source, "failures": one.failures_in_a_row, "status": one.status, "error": one.error},
        )
        for one in requests
        if one.failures_in_a_row >= _FAILURES
    ]


def failed_jobs(jobs: Iterable[JobRecord]) -> list[Finding]:
    """Jobs that were given up after all their tries, newest first: one finding for each task."""
    by_task: dict[str, list[JobRecord]] = {}
    for job in jobs:
        by_task.setdefault(job.task, []).append(job)
    return [
        Finding(
            f"{Rule.JOBS}{task}",
            "error",
            f"{len(failed)} job(s) of task {task} failed after all tries ({_some([job.id for job in failed])}); the "
            f"last one: {(failed[0].error or '').rstrip('.')}. `barlake jobs retry` has one done again.",
            {"task": task, "jobs": [job.id for job in failed], "error": failed[0].error},
        )
        for task, failed in sorted(by_task.items())
    ]


def disk_fills(total: int, free: int, *, is_active: bool) -> list[Finding]:
    """Whether the disk is fuller than 80 %, or was and is not relieved yet. Bytes that this user may have count."""
    share = 1 - free / total if total else 1.0
    if share <= (_DISK_RELIEVED if is_active else DISK_FULL):
        return []
    level = "critical" if share > _DISK_CRITICAL else "warning"
    return [
        Finding(
            Rule.DISK,
            level,
            f"the disk of the lake is {share:.0%} full, {free / _GB:,.1f} GB are free: `barlake vacuum` and `barlake "
            "retention` free space.",
            {"used_share": round(share, 4), "free_bytes": free, "total_bytes": total},
        )
    ]


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
