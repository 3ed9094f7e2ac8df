"""Schedules fire each of their times once, whoever looks, and catch up as one."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.jobs.job import Job
from app.jobs.queue import JobQueue, open_queue
from app.operations import Operations, open_operations
from app.schedules.scheduler import Scheduler, fire_now
from app.schedules.schedules import DAILY, WATCH_LIST, Schedule, Schedules
from app.schedules.triggers import Cron, SessionBound
from barlake.errors import ConflictError, InvalidInputError, NotFoundError
from barlake.sessions import Calendar
from barlake.settings import Settings

START = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("both_databases") and "settings" in metafunc.fixturenames:
        metafunc.parametrize("settings", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    changes: dict[str, Any] = {"root": str(tmp_path / "lake")}
    if getattr(request, "param", "sqlite") == "postgresql":
        changes["database_url"] = SecretStr(request.getfixturevalue("postgres"))
    return Settings(_env_file=None).model_copy(update=changes)


@pytest.fixture
def queue(settings: Settings) -> Iterator[JobQueue]:
    with open_queue(settings) as found:
        yield found


@pytest.fixture
def operations(settings: Settings) -> Iterator[Operations]:
    with open_operations(settings) as found:
        yield found


@pytest.fixture
def schedules(operations: Operations) -> Schedules:
    found = Schedules(operations.engine)
    found.begin(START)
    return found


@pytest.fixture
def scheduler_of(schedules: Schedules, queue: JobQueue, settings: Settings, tmp_path: Path) -> Callable[[], Scheduler]:
    return lambda: Scheduler(schedules, queue, Calendar.default(), settings, tmp_path / "lake")


@pytest.mark.both_databases
def test_each_time_is_a_job_that_is_put_once_whoever_looks(
    schedules: Schedules, scheduler_of: Callable[[], Scheduler], queue: JobQueue
) -> None:
    threads = []
    for _ in range(3):
        scheduler = scheduler_of()

        def look(scheduler: Scheduler = scheduler) -> None:
            for hours in range(0, 120, 3):
                scheduler.tick(START + hours * HOUR)

        threads.append(threading.Thread(target=look))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.id for one in queue.list()) == [
        "schedule/after-session/2024-07-02T00:20Z",
        "schedule/after-session/2024-07-03T00:20Z",
        "schedule/after-session/2024-07-03T21:20Z",
        "schedule/after-session/2024-07-06T00:20Z",
        "schedule/daily/2024-07-02T06:30Z",
        "schedule/daily/2024-07-03T06:30Z",
        "schedule/daily/2024-07-04T06:30Z",
        "schedule/daily/2024-07-06T06:30Z",
    ]
    assert schedules.get(DAILY).last_due == dt.datetime(2024, 7, 6, 6, 30, tzinfo=dt.UTC)


def test_times_that_were_missed_are_done_as_one_and_that_is_said(
    scheduler_of: Callable[[], Scheduler], queue: JobQueue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    scheduler_of().tick(START + 8 * 24 * HOUR)
    assert sorted(one.id for one in queue.list()) == [
        "schedule/after-session/2024-07-09T00:20Z", "schedule/daily/2024-07-09T06:30Z",
    ]  # fmt: skip
    said = [record.getMessage() for record in caplog.records if record.name.startswith("app.schedules")]
    assert "schedule daily missed 5 times since 2024-07-02 06:30Z: they are caught up at once, as one" in said
    assert "schedule daily skips 2024-07-05 06:30Z: no session has ended since 2024-07-04 06:30Z" in said
    assert scheduler_of().tick(START + 8 * 24 * HOUR) == []


def test_a_worker_that_died_after_it_put_the_job_does_not_have_it_put_again(
    schedules: Schedules, scheduler_of: Callable[[], Scheduler], queue: JobQueue
) -> None:
    queue.put(Job("schedule/daily/2024-07-02T06:30Z", "update"))  # and was killed before it could record it
    now = START + 20 * HOUR
    scheduler_of().tick(now)
    scheduler_of().tick(now + HOUR)
    assert sorted(one.id for one in queue.list()) == [
        "schedule/after-session/2024-07-02T00:20Z", "schedule/daily/2024-07-02T06:30Z",
    ]  # fmt: skip
    assert schedules.get(DAILY).last_job == "schedule/daily/2024-07-02T06:30Z"


def test_the_watch_list_is_looked_at_when_it_is_new_and_whenever_it_changes(
    scheduler_of: Callable[[], Scheduler], queue: JobQueue
) -> None:
    scheduler = scheduler_of()
    assert scheduler.tick(START) == []
    path = Path("securities.yaml")
    for text in ("securities: {etfs: [SPY]}", "securities: {etfs: [QQQ]}", "securities: {etfs: [SPY]}"):
        path.write_text(text, encoding="utf-8")
        assert len(scheduler.tick(START)) == len(scheduler_of().tick(START)) + 1
    assert len(queue.list(prefix=f"schedule/{WATCH_LIST}")) == 3


def test_a_paused_schedule_lets_its_times_pass_and_goes_on_with_the_next(
    schedules: Schedules, scheduler_of: Callable[[], Scheduler]
) -> None:
    schedules.pause(DAILY)
    schedules.remove("after-session")
    assert scheduler_of().tick(START + 50 * HOUR) == []
    assert scheduler_of().next(START) is None
    schedules.resume(DAILY, START + 50 * HOUR)
    schedules.resume(DAILY, START + 70 * HOUR)  # once is enough: nothing is forgotten
    assert scheduler_of().tick(START + 70 * HOUR) == ["schedule/daily/2024-07-04T06:30Z"]


def test_a_default_that_was_removed_stays_removed_until_it_is_added(schedules: Schedules) -> None:
    schedules.remove(DAILY)
    schedules.begin(START)
    assert [one.name for one in schedules.all()] == ["after-session", WATCH_LIST]
    with pytest.raises(NotFoundError, match="no schedule 'daily'"):
        schedules.get(DAILY)
    added = Schedule(DAILY, Cron("0 9 * * *", "America/New_York", sessions_only=False), {"categories": ["etfs"]})
    schedules.add(added, START)
    found = schedules.get(DAILY)
    assert (found.trigger, found.work, found.seen_until) == (added.trigger, added.work, START)
    with pytest.raises(ConflictError, match="is there already"):
        schedules.add(added, START)
    with pytest.raises(InvalidInputError, match="schedule name 'A b' is none"):
        schedules.add(Schedule("A b", SessionBound()), START)
    with pytest.raises(NotFoundError, match="Did you mean 'daily'"):
        schedules.pause("dayly")


def test_what_is_told_to_go_goes_at_once_every_time(schedules: Schedules, queue: JobQueue) -> None:
    first = fire_now(schedules, queue, DAILY, START)
    second = fire_now(schedules, queue, DAILY, START + dt.timedelta(seconds=1))
    assert first != second
    assert [one.id for one in queue.list()] == [first, second]
    assert (schedules.get(DAILY).last_job, schedules.get(DAILY).seen_until) == (second, START)


numbers = itertools.count()


@given(looks=st.lists(st.integers(1, 100), min_size=1, max_size=8), offset=st.integers(0, 24 * 365))
@hypothesis.settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_often_one_looks_each_look_is_at_most_one_job_and_none_when_nothing_was_due(
    schedules: Schedules, scheduler_of: Callable[[], Scheduler], queue: JobQueue, looks: list[int], offset: int
) -> None:
    for one in schedules.all():
        schedules.remove(one.name)
    now, name, trigger = START + offset * HOUR, f"only{next(numbers)}", Cron("30 6 * * 2-6")
    schedules.add(Schedule(name, trigger), now)
    expected = 0
    for hours in looks:
        before, now = now, now + hours * HOUR
        due = [one for one in trigger.between(before, now, Calendar.default()) if one.skipped is None]
        expected += min(len(due), 1)
        assert len(scheduler_of().tick(now)) == min(len(due), 1)
    assert len(queue.list(prefix=f"schedule/{name}/")) == expected
