"""The task that fills history, and the commands around it, against the emulator."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests

import barlake
from app.jobs.job import Job
from app.jobs.queue import open_queue
from app.jobs.worker import Worker
from app.operations import open_operations
from barlake.catalogue import is_current
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars
from ingest_service.emulator import EmulatorConfig, serve
from tests.app.conftest import Outcome
from tests.app.jobs.probing import InThread, eventually, states

SESSIONS = Calendar.default().in_range(dt.date(2024, 1, 1), dt.date(2024, 2, 3))["session"].to_list()
RANGE = ("--start", "2024-01-02", "--end", "2024-02-03")

Cli = Callable[..., Outcome]


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """A function that starts an emulator of SPY and QQQ, and puts its address and key into the environment."""
    folder = tmp_path / "truth"
    folder.mkdir()
    for seed, symbol in enumerate(("SPY", "QQQ")):
        make_bars(SESSIONS, seed=seed).write_parquet(folder / f"{symbol}.parquet")
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> str:
            config = EmulatorConfig(bars=folder, **{"requests_per_window": 10_000, **options})
            url = stack.enter_context(serve(config))
            for name, value in {
                "NO_PROXY": "127.0.0.1", "ALPACA_DATA_URL": url, "ALPACA_API_KEY_ID": config.key_id,
                "ALPACA_API_SECRET_KEY": config.secret_key, "BARLAKE_ROOT": str(tmp_path / "lake"),
                "BARLAKE_HEARTBEAT_S": "0.3",
            }.items():  # fmt: skip
                monkeypatch.setenv(name, value)
            return url

        yield start


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The same as the commands read."""
    changes = {"root": str(tmp_path / "lake"), "heartbeat_s": 0.3}
    return Settings(_env_file=None).model_copy(update=changes)


def bar_requests(url: str) -> int:
    return len(requests.get(f"{url}/_emu/log", timeout=60).json())


def test_from_an_empty_lake_to_bars_by_four_commands(emulator: Callable[..., str], cli: Cli, tmp_path: Path) -> None:
    url = emulator()
    asked = cli("backfill", "SPY", "QQQ", *RANGE)
    assert asked.code == 0
    assert "4 job(s): 4 queued" in asked.out
    assert "barlake worker" in asked.errors
    worker = cli("worker", "--agent", "backfill", "--drain", "--name", "anna")
    assert worker.code == 0
    assert bar_requests(url) == 4
    listed = cli("jobs", "list", "bars/sip/SPY", "--json").data
    assert [(one["id"], one["state"], one["worker"]) for one in listed] == [
        ("bars/sip/SPY/2024-02", "done", "anna"),
        ("bars/sip/SPY/2024-01", "done", "anna"),
    ]
    shown = cli("jobs", "show", "bars/sip/SPY/2024-01", "--json").data
    assert (shown["result"]["inserted"], shown["result"]["requests"]) == (21 * 390, 1)
    assert (shown["progress"]["done"], shown["progress"]["total"], shown["progress"]["pages"]) == (21, 21, 1)
    with barlake.open(tmp_path / "lake") as lake:
        truth = pl.read_parquet(tmp_path / "truth" / "SPY.parquet")
        ours = lake.bars("SPY", feed="sip").select(truth.columns)
        assert ours.equals(truth.cast(ours.schema))  # type: ignore[arg-type] # a schema is a mapping
        assert is_current(lake)
    again = cli("backfill", "SPY", "QQQ", *RANGE, "--wait")
    assert (again.code, bar_requests(url)) == (0, 4)
    assert "nothing is missing" in again.out


def test_force_asks_for_what_is_held_once_more(emulator: Callable[..., str], cli: Cli) -> None:
    url = emulator()
    for _ in range(2):
        assert cli("backfill", "SPY", *RANGE, "--force").code == 0
    assert cli("worker", "--agent", "backfill", "--drain").code == 0
    assert bar_requests(url) == 2
    assert cli("backfill", "SPY", *RANGE, "--force", "--json").data == {
        "jobs": ["bars/sip/SPY/2024-02/again#2", "bars/sip/SPY/2024-01/again#2"]
    }


def test_jobs_are_paused_resumed_cancelled_and_done_again_by_command(
    emulator: Callable[..., str], cli: Cli, settings: Settings
) -> None:
    emulator()
    cli("backfill", "SPY", *RANGE)
    assert "2 job(s) paused" in cli("jobs", "pause", "--prefix", "bars/sip").out
    assert "1 job(s) queued again" in cli("jobs", "resume", "bars/sip/SPY/2024-01").out
    assert "2 job(s) cancelled" in cli("jobs", "cancel", "--prefix", "").out
    assert "2 job(s) queued again" in cli("jobs", "retry", "--prefix", "bars").out
    assert "paused in every worker" in cli("jobs", "pause", "--agent", "backfill").out
    listed = cli("jobs", "list")
    assert "2 queued" in listed.out
    assert "paused agents: backfill" in listed.out
    assert cli("jobs", "resume", "--agent", "backfill").code == 0
    assert cli("jobs", "prune", "--older-than", "1d").out.startswith("0 job(s)")
    for wrong in (["cancel"], ["cancel", "x", "--prefix", "y"], ["prune", "--older-than", "soon"], ["show", "none"]):
        assert cli("jobs", *wrong).code == 1
    with open_queue(settings) as queue:
        assert states(queue) == dict.fromkeys(["bars/sip/SPY/2024-02", "bars/sip/SPY/2024-01"], "queued")


def test_a_drain_whose_jobs_want_a_key_says_so_and_fails(
    emulator: Callable[..., str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = emulator()
    cli("backfill", "SPY", "QQQ", *RANGE)
    monkeypatch.setenv("ALPACA_API_SECRET_KEY", "another")
    ended = cli("worker", "--agent", "backfill", "--drain", "--concurrency", "1")
    assert (ended.code, bar_requests(url)) == (1, 1)
    assert "4 wait for a key" in ended.errors
    assert cli("worker", "--agent", "nobody").code == 1


def test_a_job_that_waits_for_the_budget_ends_within_seconds_when_it_is_cancelled(
    emulator: Callable[..., str], cli: Cli, tmp_path: Path
) -> None:
    url = emulator(requests_per_window=2, window_seconds=600.0)
    cli("backfill", "SPY", "QQQ", *RANGE)
    settings = barlake.open(tmp_path / "lake").settings
    with open_queue(settings) as queue, open_operations(settings) as operations:
        with InThread(Worker(settings, operations, agents=["backfill"])):
            eventually(lambda: bar_requests(url) >= 1 and len(queue.list(status="running")) >= 2)
            began = time.monotonic()
            for one in queue.list(status="running"):
                queue.cancel(one.id)
            eventually(lambda: not queue.claims())
        assert time.monotonic() - began < 20
        assert set(states(queue).values()) <= {"cancelled", "done", "queued"}


def test_a_session_that_became_final_meanwhile_is_left_alone_unless_it_is_to_be_looked_at_again(
    emulator: Callable[..., str], cli: Cli, settings: Settings
) -> None:
    url = emulator()
    arguments = {"feed": "sip", "symbol": "SPY", "session": "2024-01-03"}
    with open_queue(settings) as queue:
        for key, again, asked in (("first", False, 1), ("late", False, 1), ("again", True, 2)):
            queue.put(Job(f"session/{key}", "session", {**arguments, "again": again}))
            assert cli("worker", "--agent", "backfill", "--drain").code == 0
            assert bar_requests(url) == asked
        assert (queue.get("session/late").result or {})["status"] == "nothing"
