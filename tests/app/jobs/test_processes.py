"""Workers as processes: killed, ended, two at a time; nothing is lost, nothing asked for twice without need."""

from __future__ import annotations

import collections
import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests

import barlake
from app.jobs.backfilling import backfill_jobs
from app.jobs.queue import JobQueue
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars
from ingest_service.emulator import EmulatorConfig, serve
from tests.app.jobs.probing import eventually, states

SYMBOLS = ("SPY", "QQQ")
START, END = "2024-01-01", "2024-03-01"
REQUESTS_A_SECOND = 12

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every regular minute of two symbols in two months."""
    folder = tmp_path_factory.mktemp("truth")
    days = Calendar.default().in_range(dt.date(2024, 1, 1), dt.date(2024, 3, 1))["session"].to_list()
    for seed, symbol in enumerate(SYMBOLS):
        make_bars(days, seed=seed).write_parquet(folder / f"{symbol}.parquet")
    return folder


@pytest.fixture
def emulator(truth: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an Alpaca with small pages and so small a budget that the work takes a few seconds."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    config = EmulatorConfig(
        bars=truth, short_pages=True, requests_per_window=REQUESTS_A_SECOND, window_seconds=1.0, gzip_level=0
    )
    with serve(config, calendar=Calendar.default()) as url:
        yield url


@pytest.fixture
def start(settings: Settings, emulator: str, tmp_path: Path) -> Iterator[Start]:
    """A function that starts a worker of the backfill agent as a process."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "TMPDIR") if name in os.environ}
    config = EmulatorConfig()
    environment = kept | {
        "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1", "BARLAKE_ROOT": settings.root, "BARLAKE_HEARTBEAT_S": "0.5",
        "ALPACA_DATA_URL": emulator, "ALPACA_API_KEY_ID": config.key_id, "ALPACA_API_SECRET_KEY": config.secret_key,
    }  # fmt: skip
    if settings.database_url is not None:
        environment["BARLAKE_DATABASE_URL"] = settings.database_url.get_secret_value()
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "app.cli", "worker", "--agent", "backfill", *arguments]
        with (tmp_path / f"worker-{len(started)}.log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True
            )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def asked(emulator: str) -> list[tuple[Any, ...]]:
    """What tells one page from another, of every request that was answered."""
    log = requests.get(f"{emulator}/_emu/log", timeout=60).json()
    pages = [one["query"] for one in log if one["path"] == "/v2/stocks/bars" and one["status"] == 200]
    return [(one["symbols"], one["start"], one["end"], one.get("page_token")) for one in pages]


def repeated(emulator: str) -> int:
    """How many pages were asked for more than once."""
    return sum(count - 1 for count in collections.Counter(asked(emulator)).values())


def put(settings: Settings, jobs: JobQueue) -> list[str]:
    with barlake.Lake(Path(settings.root), settings) as lake:
        found = backfill_jobs(lake, SYMBOLS, START, END, feed="sip", now=dt.datetime.now(dt.UTC))
    return jobs.put_all(found)


def assert_equal_to(truth: Path, settings: Settings) -> None:
    with barlake.Lake(Path(settings.root), settings) as lake:
        for symbol in SYMBOLS:
            theirs = pl.read_parquet(truth / f"{symbol}.parquet")
            ours = lake.bars(symbol, feed="sip").select(theirs.columns)
            assert ours.equals(theirs.cast(ours.schema))  # type: ignore[arg-type] # a schema is a mapping


@pytest.mark.both_databases
def test_what_a_killed_worker_was_doing_is_done_by_another(
    settings: Settings, jobs: JobQueue, emulator: str, truth: Path, start: Start
) -> None:
    ids = put(settings, jobs)
    first = start("--name", "anna", "--concurrency", "2")
    eventually(lambda: len(asked(emulator)) >= 3 and any(one.worker == "anna" for one in jobs.list(status="running")))
    second = start("--name", "ben", "--drain")
    eventually(lambda: {one.worker for one in jobs.list(status="running")} >= {"anna"} and len(asked(emulator)) >= 5)
    first.kill()
    first.wait()
    assert second.wait(timeout=120) == 0
    assert {one: state for one, state in states(jobs).items() if one in ids} == dict.fromkeys(ids, "done")
    assert {jobs.get(one).worker for one in ids} >= {"ben"}
    assert_equal_to(truth, settings)
    # A page may have been on its way to each of the two runs when the worker was killed.
    assert repeated(emulator) <= 2


def test_a_worker_that_is_ended_leaves_nothing_to_be_asked_for_twice(
    settings: Settings, jobs: JobQueue, emulator: str, truth: Path, start: Start
) -> None:
    ids = put(settings, jobs)
    for _ in range(2):
        before = len(asked(emulator))
        worker = start()
        eventually(lambda before=before: len(asked(emulator)) > before)  # type: ignore[misc] # a default binds it
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=60) == 0
        assert set(states(jobs).values()) <= {"queued", "done"}
    assert start("--drain").wait(timeout=120) == 0
    assert {one: state for one, state in states(jobs).items() if one in ids} == dict.fromkeys(ids, "done")
    assert_equal_to(truth, settings)
    assert repeated(emulator) == 0
    assert put(settings, jobs) == []
