"""The queue as producers and viewers hold it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbos import DBOS
from dbos._schemas.system_database import SystemSchema
from dbos._sys_db import SystemDatabase

from app.jobs.database import queue_engine
from app.jobs.job import Job, JobState
from app.jobs.job_rows import jobs_table
from app.jobs.queue import JobQueue, open_queue
from barlake.errors import ConflictError, InvalidInputError, NotFoundError
from barlake.settings import Settings

KEY = "bars/sip/SPY/2024-01"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    with open_queue(Settings(_env_file=None).model_copy(update={"root": str(tmp_path)})) as queue:
        yield queue


def job(key: str = KEY, **options: object) -> Job:
    return Job(key, "bars", {"symbol": "SPY"}, **options)  # type: ignore[arg-type]


def states(queue: JobQueue) -> dict[str, str]:
    return {one.id: str(one.state) for one in queue.list()}


def test_asking_twice_is_one_job(queue: JobQueue) -> None:
    assert [queue.put(job()), queue.put(job()), queue.put(job(), force=True)] == [KEY] * 3
    assert states(queue) == {KEY: "queued"}


def test_a_job_is_shown_as_it_was_asked_for(queue: JobQueue) -> None:
    queue.put(job(agent="live", priority=3))
    record = queue.get(KEY)
    assert (record.task, record.arguments, record.agent, record.priority) == ("bars", {"symbol": "SPY"}, "live", 3)
    assert (record.state, record.key, record.attempts, record.progress) == (JobState.QUEUED, KEY, 0, None)
    assert dt.datetime.now(dt.UTC) - record.created_at < dt.timedelta(minutes=1)


def test_jobs_are_found_by_prefix_state_and_agent(queue: JobQueue) -> None:
    queue.put_all([job(f"bars/sip/SPY/2024-{month:02}") for month in range(1, 13)])
    queue.put(job("bars/iex/SPY/2024-01"))
    queue.put(job("session/iex/SPY/2024-01-02", agent="live"))
    queue.pause("bars/sip/SPY/2024-03")
    queue.cancel("bars/sip/SPY/2024-04")
    assert len(queue.list(prefix="bars/sip")) == 12
    assert [one.id for one in queue.list(agent="live")] == ["session/iex/SPY/2024-01-02"]
    assert [one.id for one in queue.list(status="paused")] == ["bars/sip/SPY/2024-03"]
    assert [one.id for one in queue.list(status="cancelled")] == ["bars/sip/SPY/2024-04"]
    assert [one.id for one in queue.list(limit=1, newest=True)] == ["session/iex/SPY/2024-01-02"]
    assert queue.counts() == {
        ("backfill", JobState.QUEUED): 11,
        ("live", JobState.QUEUED): 1,
        ("", JobState.PAUSED): 1,
        ("", JobState.CANCELLED): 1,
    }
    with pytest.raises(InvalidInputError, match="queued, running, paused"):
        queue.list(status="quede")


def test_a_paused_job_waits_until_it_is_resumed(queue: JobQueue) -> None:
    queue.put(job())
    queue.pause(KEY, reason="the key was refused")
    assert (queue.get(KEY).state, queue.get(KEY).error) == (JobState.PAUSED, "the key was refused")
    assert queue.put(job(), force=True) == KEY
    assert queue.get(KEY).state is JobState.PAUSED
    assert queue.waiting(["backfill"], limit=1) == []
    queue.resume(KEY)
    assert (queue.get(KEY).state, queue.get(KEY).agent) == (JobState.QUEUED, "backfill")
    assert queue.waiting(["backfill"], limit=1) == [KEY]
    with pytest.raises(InvalidInputError, match="only a paused one"):
        queue.resume(KEY)


@pytest.mark.parametrize("paused", [False, True])
def test_a_cancelled_job_is_over_until_it_is_asked_for_again(queue: JobQueue, *, paused: bool) -> None:
    queue.put(job())
    if paused:
        queue.pause(KEY)
    queue.cancel(KEY)
    assert queue.get(KEY).state is JobState.CANCELLED
    with pytest.raises(InvalidInputError, match="cancelled already"):
        queue.pause(KEY)
    assert queue.put(job()) == KEY
    assert queue.get(KEY).state is JobState.QUEUED


def test_an_unknown_job_is_said_to_be_unknown(queue: JobQueue) -> None:
    with pytest.raises(NotFoundError, match="barlake jobs list"):
        queue.get("bars/none")


def test_an_agent_is_paused_until_it_is_resumed_and_keeps_its_concurrency(queue: JobQueue) -> None:
    assert queue.paused_agents() == ()
    queue.set_concurrency("backfill", 7)
    queue.pause_agent("backfill")
    queue.pause_agent("backfill")
    assert queue.paused_agents() == ("backfill",)
    queue.set_concurrency("backfill", 3)
    assert queue.paused_agents() == ("backfill",)
    queue.resume_agent("backfill")
    assert queue.paused_agents() == ()


@pytest.mark.parametrize("key", ["", "/bars", "bars/SPY 1", "bars#2", "a" * 201])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(InvalidInputError, match="job key"):
        Job(key, "bars")


def test_prune_forgets_what_is_over_and_old_enough(queue: JobQueue) -> None:
    queue.put_all([job(), job("bars/sip/QQQ/2024-01"), job("bars/sip/IWM/2024-01")])
    queue.cancel(KEY)
    queue.pause("bars/sip/QQQ/2024-01")
    assert queue.prune(older_than=dt.timedelta(days=1)) == 0
    assert queue.prune(older_than=dt.timedelta(seconds=-5)) == 1
    assert set(states(queue)) == {"bars/sip/QQQ/2024-01", "bars/sip/IWM/2024-01"}


def test_prune_looks_behind_those_it_leaves(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.jobs.queue._PAGE", 1)
    keys = [f"bars/sip/SPY/2024-{month:02}" for month in range(1, 6)]
    queue.put_all(job(key) for key in keys)
    for key in keys[::2]:
        queue.pause(key)
    for key in keys[1::2]:
        queue.cancel(key)
    assert queue.prune(older_than=dt.timedelta(seconds=-5)) == 2
    assert sorted(states(queue)) == keys[::2]


def test_sqlite_tells_parts_of_a_second_whatever_its_release(tmp_path: Path) -> None:
    engine = queue_engine(tmp_path / "jobs.sqlite")
    with engine.connect() as connection:
        now = connection.exec_driver_sql("SELECT unixepoch('subsec')").scalar()
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    engine.dispose()
    assert isinstance(now, float)
    assert abs(now - time.time()) < 60
    assert mode == "wal"


def test_dbos_has_the_private_parts_that_are_relied_on() -> None:
    assert callable(DBOS._recover_pending_workflows)
    assert callable(SystemDatabase.run_migrations)
    columns = set(SystemSchema.workflow_status.c.keys())
    assert {*jobs_table(None).c.keys()} <= columns


def test_of_two_who_retry_a_job_at_once_one_is_told(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.put(job())
    queue.cancel(KEY)
    seen_by_both = queue.get(KEY)
    queue.retry(KEY)
    with monkeypatch.context() as patch:
        patch.setattr(queue, "get", lambda _job_id: seen_by_both)
        with pytest.raises(ConflictError, match="changed by somebody else"):
            queue.retry(KEY)
    assert states(queue) == {KEY: "queued"}
