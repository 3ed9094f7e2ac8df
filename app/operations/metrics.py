"""Metrics: one list of names, read from the databases when somebody asks, for Prometheus and OpenTelemetry alike."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.jobs.job import Agent, JobState

if TYPE_CHECKING:
    from app.operations.observer import Standing

__all__ = ["FAMILIES", "Family", "families"]

Sample = tuple[tuple[str, ...], float]
"""Values of the labels, and the figure."""

_LEVELS = ("warning", "error", "critical")
_PARTS = ("manifest", "operations", "queue")


@dataclass(frozen=True)
class Family:
    """One metric: its name without `_total`, what it says, whether it only grows, and its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    grows: bool = False


BARS = Family("barlake_bars_held", "Minute bars in the lake.", ("feed",))
ROWS = Family("barlake_rows_received", "Rows that came from a source.", ("source",), grows=True)
REQUESTS = Family("barlake_requests", "Requests to a source, by HTTP status.", ("source", "status"), grows=True)
REMAINING = Family("barlake_rate_limit_remaining", "Requests left, as the source last said.", ("source",))
FAILURES = Family("barlake_source_failures_in_a_row", "Requests that failed since one succeeded.", ("source",))
LAG = Family("barlake_lag_seconds", "Market time by which the newest bar is behind the market.", ("feed",))
JOBS = Family("barlake_jobs", "Jobs; those that are over are of no agent.", ("agent", "state"))
OLDEST = Family("barlake_job_oldest_age_seconds", "Age of the oldest job that waits or runs.", ("agent", "state"))
BEATS = Family("barlake_heartbeat_age_seconds", "Time since an agent's last heartbeat.", ("worker", "agent"))
ALERTS = Family("barlake_alerts_active", "Alerts that are active.", ("level",))
DISK_TOTAL = Family("barlake_disk_total_bytes", "Size of the lake's disk.")
DISK_FREE = Family("barlake_disk_free_bytes", "Free bytes of the lake's disk.")
COMMIT = Family("barlake_last_commit_timestamp_seconds", "When the lake last changed, Unix time.")
UP = Family("barlake_up", "Whether a part could be looked at.", ("part",))

FAMILIES = (
    BARS, ROWS, REQUESTS, REMAINING, FAILURES, LAG, JOBS, OLDEST, BEATS, ALERTS, DISK_TOTAL, DISK_FREE, COMMIT, UP,
)  # fmt: skip


def families(standing: Standing) -> Iterator[tuple[Family, Sequence[Sample]]]:
    """Every metric with its samples now."""
    at = standing.at
    yield BARS, [((one.feed,), one.bars) for one in standing.feeds]
    yield ROWS, [((source,), count) for source, count in standing.rows.items()]
    yield REQUESTS, [(labels, count) for labels, count in standing.requests.items()]
    known = [one for one in standing.sources if one.rate_limit_remaining is not None]
    yield REMAINING, [((one.source,), one.rate_limit_remaining or 0) for one in known]
    yield FAILURES, [((one.source,), one.failures_in_a_row) for one in standing.sources]
    yield LAG, [((one.feed,), one.lag.total_seconds()) for one in standing.feeds]
    yield JOBS, _jobs(standing)
    yield OLDEST, [(labels, _age(at, since)) for labels, since in standing.oldest.items()]
    yield BEATS, [((one.worker, one.agent), _age(at, one.beat_at)) for one in standing.heartbeats]
    yield ALERTS, [((level,), _count(one.level == level for one in standing.alerts)) for level in _LEVELS]
    yield DISK_TOTAL, [((), standing.disk_total)]
    yield DISK_FREE, [((), standing.disk_free)]
    yield COMMIT, [] if standing.last_commit is None else [((), standing.last_commit.timestamp())]
    yield UP, [((part,), float(part not in standing.problems)) for part in _PARTS]


def _jobs(standing: Standing) -> list[Sample]:
    """Also the states that no job is in: a line that ends at its last value would not say so."""
    every = [(str(agent), str(state)) for agent in Agent for state in (JobState.QUEUED, JobState.RUNNING)]
    over = [("", str(state)) for state in JobState if state not in {JobState.QUEUED, JobState.RUNNING}]
    return [(labels, standing.jobs.get(labels, 0)) for labels in (*every, *over)]


def _age(at: dt.datetime, since: dt.datetime) -> float:
    return max((at - since).total_seconds(), 0.0)


def _count(found: Iterable[bool]) -> int:
    return sum(found)
