"""A worker keeps the schedule, and what a schedule fires puts into the queue what is due."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.jobs.job import Job, JobState
from app.jobs.queue import JobQueue
from app.operations import Operations
from app.operations.watchdog import check
from barlake.clock import FileClock, clock_of
from barlake.lake import open_lake
from barlake.settings import Settings
from tests.app.jobs.probing import InThread, eventually

Drain = Callable[..., Any]

NOW = dt.datetime(2024, 7, 9, 6, 20, tzinfo=dt.UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty lake on the morning of 2024-07-09, whose source is nowhere."""
    clock = tmp_path / "clock.json"
    FileClock.set(clock, NOW, speed=1.0)
    changes = {"root": str(tmp_path / "lake"), "clock_file": clock, "heartbeat_s": 0.3}
    return Settings(_env_file=None).model_copy(update=changes)


def watch(text: str) -> None:
    Path("securities.yaml").write_text(text, encoding="utf-8")


def planned(jobs: JobQueue) -> list[str]:
    return [one.id for one in jobs.list() if not one.id.startswith(("schedule/", "tidy/"))]


def test_what_is_due_waits_in_the_queue_and_what_waits_there_is_not_put_again(jobs: JobQueue, drain: Drain) -> None:
    watch("start: 2024-07-01\nsecurities: {etfs: [SPY, QQQ]}\n")
    jobs.pause_agent("features")
    for number in (1, 2):
        jobs.put(Job(f"schedule/daily/{number}", "update", {"parts": ["bars"]}, "features"))
    jobs.resume_agent("features")
    jobs.pause_agent("backfill")
    # Planning is the backfill agent's; here another does it, so that what is planned stays in the queue.
    drain(agents=["features"], concurrency=1)
    assert planned(jobs) == ["bars/sip/SPY/2024-07", "bars/sip/QQQ/2024-07"]
    assert [jobs.get(f"schedule/daily/{number}").result for number in (1, 2)] == [
        {"status": "done", "jobs": 2, "due": {"bars": 2}}
    ] * 2


def test_a_lake_without_a_watch_list_is_left_in_peace(jobs: JobQueue, drain: Drain, operations: Operations) -> None:
    jobs.put(Job("schedule/daily/1", "update"))
    drain()
    assert jobs.get("schedule/daily/1").result == {"status": "nothing", "jobs": 0}
    assert operations.alerts.active() == []


def test_a_watch_list_that_is_wrong_is_an_alert_until_it_is_right(
    settings: Settings, jobs: JobQueue, drain: Drain, operations: Operations
) -> None:
    watch("securities: {etf: [SPY]}\n")
    jobs.put(Job("schedule/daily/1", "update"))
    drain()
    assert jobs.get("schedule/daily/1").state is JobState.FAILED
    (alert,) = [one for one in operations.alerts.active() if one.key == "watch-list"]
    assert "securities.yaml:1: category 'etf'" in alert.message
    with open_lake(settings=settings) as lake:
        check(operations, lake, jobs, clock_of(settings))
        (failed,) = [one for one in operations.alerts.active() if one.key == "jobs/update"]
        assert ".." not in failed.message
    watch("start: 2024-08-01\nsecurities: {etfs: [SPY]}\n")
    jobs.put(Job("schedule/daily/2", "update", {"parts": ["bars"]}))
    drain()
    assert [one for one in operations.alerts.active() if one.key == "watch-list"] == []
    with open_lake(settings=settings) as lake:
        check(operations, lake, jobs, clock_of(settings))
    assert [one for one in operations.alerts.active() if one.key == "jobs/update"] == []


def test_a_worker_fires_what_is_due_and_the_next_one_finds_it_seen_to(
    settings: Settings, jobs: JobQueue, operations: Operations, work: Callable[..., InThread]
) -> None:
    watch("start: 2024-08-01\nsecurities: {etfs: [SPY]}\n")
    with work(name="one"):
        (first,) = eventually(lambda: jobs.list(prefix="schedule/watch-list/"))
        eventually(lambda: jobs.get(first.id).state is JobState.DONE)
        beats = {one.agent: one.next_step for one in operations.heartbeats.all()}
        assert beats["schedule"] == "daily at 2024-07-09 06:30Z"
        FileClock.set(settings.clock_file or Path(), NOW + dt.timedelta(days=1), speed=1.0)
        eventually(lambda: len(jobs.list(prefix="schedule/")) == 3)
    with work(name="two"):
        eventually(lambda: any(one.worker == "two" and one.agent == "schedule" for one in operations.heartbeats.all()))
    assert sorted(one.id for one in jobs.list(prefix="schedule/")) == [
        "schedule/after-session/2024-07-10T00:20Z", "schedule/daily/2024-07-09T06:30Z", first.id,
    ]  # fmt: skip
