"""Commands run in this process against a small lake, and as processes where a process is the point."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import barlake
from app.cli import run
from barlake.sessions import Calendar
from barlake.testing import make_bars
from ingest_service.emulator import EmulatorConfig, serve


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, and what it printed where."""

    code: int
    out: str
    errors: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """A function that runs one command line in this process."""

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def start_process(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.Popen[str]]:
    """A function that starts one command line as a process, in a folder without settings."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG") if name in os.environ}
    alone = kept | {"NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    folder = tmp_path_factory.mktemp("processes")

    def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", *map(str, arguments)],
            cwd=folder, env=alone | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


@pytest.fixture(scope="session")
def sessions() -> list[dt.date]:
    """The first 15 sessions of 2024."""
    found: list[dt.date] = Calendar.default().in_range(dt.date(2024, 1, 1), dt.date(2024, 1, 24))["session"].to_list()
    return found


def _lake_of_bars(root: Path, sessions: list[dt.date]) -> Path:
    with barlake.open(root) as lake:
        lake.write_bars(make_bars(sessions, seed=1), feed="synthetic", symbol="SPY")
        lake.write_bars(make_bars(sessions, seed=2).head(-1), feed="synthetic", symbol="QQQ")
    return root


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory, sessions: list[dt.date]) -> Path:
    """Root of a lake with all minutes of SPY and all but the last of QQQ in 15 sessions, feed synthetic.

    What tests make of its bars stays.
    """
    return _lake_of_bars(tmp_path_factory.mktemp("example"), sessions)


@pytest.fixture(scope="session")
def bars_alone(tmp_path_factory: pytest.TempPathFactory, sessions: list[dt.date]) -> Path:
    """The same lake, to be copied: nothing is ever made of its bars."""
    return _lake_of_bars(tmp_path_factory.mktemp("bars_alone"), sessions)


@pytest.fixture(scope="session")
def bar_folder(tmp_path_factory: pytest.TempPathFactory, sessions: list[dt.date]) -> Path:
    """A folder with one Parquet file: SPY, 15 sessions."""
    folder = tmp_path_factory.mktemp("bars")
    make_bars(sessions, seed=1).write_parquet(folder / "SPY.parquet")
    return folder


@pytest.fixture(scope="session")
def _served(bar_folder: Path) -> Iterator[str]:
    with serve(EmulatorConfig(bars=bar_folder, requests_per_window=10_000), calendar=Calendar.default()) as url:
        yield url


@pytest.fixture
def alpaca(_served: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an emulator of that folder; the environment has its keys, but not its address."""
    config = EmulatorConfig()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("ALPACA_API_KEY_ID", config.key_id)
    monkeypatch.setenv("ALPACA_API_SECRET_KEY", config.secret_key)
    return _served
