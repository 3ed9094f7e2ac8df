"""`barlake live` as a process: followed, killed in the middle of a minute, and begun again."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from barlake.clock import FileClock
from barlake.lake import Lake
from barlake.settings import Settings
from ingest_service.alpaca import AlpacaSource
from ingest_service.backfill import backfill
from ingest_service.emulator import EmulatorConfig, serve

OPEN = dt.datetime(2024, 7, 2, 14, 0, tzinfo=dt.UTC)
END = dt.datetime(2024, 7, 3, 0, 0, tzinfo=dt.UTC)
FEED, NAMES = "synthetic", ("SYNA", "SYNB")


@pytest.fixture
def config(tmp_path: Path) -> EmulatorConfig:
    return EmulatorConfig(
        symbols=NAMES, clock=tmp_path / "clock.json", now=OPEN, speed=60, requests_per_window=2000, revised_share=0.3
    )


@contextlib.contextmanager
def live(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "app.entry", "live", *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_it_is_killed_and_begun_again_and_ends_as_history(tmp_path: Path, config: EmulatorConfig) -> None:
    with serve(config) as url:
        own = {
            "BARLAKE_ROOT": str(tmp_path / "lake"), "BARLAKE_CLOCK": str(config.clock), "ALPACA_DATA_URL": url,
            "ALPACA_API_KEY_ID": config.key_id, "ALPACA_API_SECRET_KEY": config.secret_key,
            "ALPACA_LIVE_FEED": FEED,
        }  # fmt: skip
        environment = {**os.environ, **own}
        settings = Settings(_env_file=None, **own)
        assert config.clock is not None
        clock = FileClock(config.clock)
        with Lake(tmp_path / "lake", settings, now=clock.now) as lake:

            def newest() -> dt.datetime:
                found = lake.manifest.held(feed=FEED, symbol="SYNA")["last"].max()
                return found if isinstance(found, dt.datetime) else OPEN

            for pause in (0.0, 0.4):
                reached = newest()
                with live(environment, *NAMES) as process:
                    until(lambda reached=reached: newest() > reached + dt.timedelta(minutes=3), "bars come")
                    time.sleep(pause)
                    process.send_signal(signal.SIGKILL)
                assert lake.verify().is_sound
            FileClock.set(config.clock, END + dt.timedelta(minutes=16), speed=60)
            with live(environment, *NAMES) as process:
                until(lambda: lake.manifest.answers(feed=FEED).height == len(NAMES), "the session is final")
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=60)
                assert process.returncode == 0, said
            assert not lake.manifest.provisional_sessions(feed=FEED)
            with Lake(tmp_path / "truth", settings, now=clock.now) as truth:
                day = END.date() - dt.timedelta(days=1)
                backfill(truth, AlpacaSource.from_settings(settings), NAMES, day, END.date(), feed=FEED)
                assert lake.snapshot().root_hash == truth.snapshot().root_hash


def test_missing_keys_are_said(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ALPACA", "APCA"))}
    environment["BARLAKE_ROOT"] = str(tmp_path / "lake")
    with live(environment, "SPY") as process:
        _, said = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "ALPACA_API_KEY_ID is not set" in said
