"""What needs somebody, out of what was seen; and how long asked-for work takes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

import barlake
from app.jobs.job import Job
from app.jobs.queue import open_queue
from app.operations import open_operations
from app.operations.alerts import Alert
from app.operations.heartbeats import Heartbeat
from app.operations.observer import FeedStanding, Observer, Standing
from app.use_cases.ingest import ask_for_bars
from app.use_cases.needs import Gravity, Place, needs_of
from app.use_cases.overview import overview
from app.use_cases.progress import asked_work, cancel_all, held_up_jobs
from barlake.clock import clock_of
from barlake.settings import Settings
from barlake.testing import make_bars

NOW = dt.datetime(2024, 1, 2, 20, 0, tzinfo=dt.UTC)
WITH_KEY = Settings(_env_file=None, ALPACA_API_KEY_ID="key", ALPACA_API_SECRET_KEY="secret")  # noqa: S106 - none


def texts(standing: Standing, settings: Settings = WITH_KEY) -> list[str]:
    return [one.text for one in needs_of(standing, settings)]


def seen(**facts: object) -> Standing:
    return Standing(at=NOW, market_now=NOW, **facts)  # type: ignore[arg-type]


def beat(agent: str, *, age_s: float) -> Heartbeat:
    return Heartbeat(worker="desk", agent=agent, state="idle", beat_at=NOW - dt.timedelta(seconds=age_s))


def test_nothing_is_needed_where_all_is_well() -> None:
    assert texts(seen(heartbeats=[beat("backfill", age_s=1)], jobs={("backfill", "queued"): 3})) == []


def test_jobs_that_nobody_does_need_a_worker_and_those_of_a_paused_agent_say_so() -> None:
    jobs = {("backfill", "queued"): 1, ("live", "queued"): 2}
    assert texts(seen(jobs=jobs, paused_agents=["live"], heartbeats=[beat("live", age_s=1)])) == [
        "2 jobs wait for agent live, which is paused.",
        "1 job waits for agent backfill, and no worker serves it: start it.",
    ]


def test_a_silent_worker_is_told_once_not_beside_its_alert() -> None:
    silent = [beat("backfill", age_s=600)]
    assert texts(seen(heartbeats=silent)) == ["Silent: backfill of desk. See that the worker runs."]
    told = Alert(
        alert_id=1, key="stalled/desk", level="error", message="worker desk is silent", details={}, fired_at=NOW,
        cleared_at=None,
    )  # fmt: skip
    (only,) = needs_of(seen(heartbeats=silent, alerts=[told]), WITH_KEY)
    assert (only.text, only.gravity, only.place) == ("worker desk is silent", Gravity.ERROR, Place.LOGS)


def test_the_gravest_comes_first_and_made_up_feeds_never_age() -> None:
    feeds = [FeedStanding(name, 10, NOW - dt.timedelta(days=9), dt.timedelta(days=9)) for name in ("sip", "synthetic")]
    found = needs_of(
        seen(feeds=feeds, jobs={("", "failed"): 2}, problems={"queue": "it is damaged."}), Settings(_env_file=None)
    )
    assert [one.gravity for one in found] == [Gravity.ERROR, Gravity.WARNING, Gravity.HINT, Gravity.HINT]
    assert [one.text for one in found] == [
        "The queue cannot be read: it is damaged.",
        "2 jobs have failed. See why, then retry.",
        "Feed sip ends on 2023-12-24. Queue its tickers to go on.",
        "No key of Alpaca is set: nothing new comes from there. `barlake init` asks for one and checks it.",
    ]


def test_a_full_disk_is_told_also_while_no_watchdog_runs() -> None:
    (found,) = texts(seen(disk_total=1000, disk_free=10))
    assert found.startswith("The disk of the lake is 99% full, 0.0 GB are free")


@pytest.mark.usefixtures("_alone_in_an_empty_folder")
def test_a_lake_at_one_look_counts_what_is_there(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, BARLAKE_ROOT=str(tmp_path / "lake"))
    with (
        barlake.open(settings=settings) as lake,
        open_operations(settings) as operations,
        open_queue(settings) as queue,
    ):
        observer = Observer(lake, operations, queue, clock_of(settings), slow_s=0.0)
        assert overview(observer).is_empty
        lake.write_bars(make_bars([dt.date(2024, 1, 2)]), feed="synthetic", symbol="SPY")
        queue.put(Job("bars/sip/SPY/2024-01", "bars"))
        found = overview(observer)
    assert (found.bars, found.symbols, found.models, found.runs, found.busy) == (390, 1, 0, 0, 1)
    assert found.workers == []
    assert found.needs[0].text == "1 job waits for agent backfill, and no worker serves it: start it."


def test_asked_work_is_one_bar_that_can_be_cancelled_whole(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, BARLAKE_ROOT=str(tmp_path / "lake"))
    with barlake.open(settings=settings) as lake, open_queue(settings) as queue:
        ids = ask_for_bars(lake, queue, ["SPY"], "2024-01-02", "2024-03-01", feed="sip")
        assert ids == ["bars/sip/SPY/2024-02", "bars/sip/SPY/2024-01"]
        assert ask_for_bars(lake, queue, ["SPY"], "2024-01-02", "2024-03-01", feed="sip") == ids
        queue.pause(ids[0], reason="the key was refused")
        work = asked_work(queue, ids, now=NOW)
        assert (work.total, work.done, work.paused, work.is_over, work.seconds_left) == (2, 0, 1, False, None)
        assert [one.id for one in held_up_jobs(queue)] == ids[:1]
        assert cancel_all(queue, ids) == 2
        assert asked_work(queue, ids, now=NOW).is_over
