"""The command line as processes, an emulator of the real year as one more; no settings of the person who runs it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Error, sync_playwright

from ingest_service.emulator.config import PLACEHOLDER_KEY_ID, PLACEHOLDER_SECRET_KEY

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Nothing of a sandboxed machine, and no request of the browser's own.
BROWSER_OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]

YEAR = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars_1m" / "year_2024"


@dataclass(frozen=True)
class Barlake:
    """The command line; every call is a process of its own, in a folder without settings."""

    folder: Path
    environment: dict[str, str]

    def start(self, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, **environment: str) -> str:
        """What a command that succeeds prints."""
        with self.start(*arguments, **environment) as process:
            out, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        return out

    def json(self, *arguments: object, **environment: str) -> Any:
        return json.loads(self.run(*arguments, "--json", **environment))


@dataclass(frozen=True)
class EmulatorProcess:
    """A running `barlake emulate`."""

    url: str

    @property
    def settings(self) -> dict[str, str]:
        """Environment that leads `barlake ingest` to it."""
        return {
            "ALPACA_DATA_URL": self.url,
            "ALPACA_API_KEY_ID": PLACEHOLDER_KEY_ID,
            "ALPACA_API_SECRET_KEY": PLACEHOLDER_SECRET_KEY,
        }

    def log(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = requests.get(f"{self.url}/_emu/log", timeout=60).json()
        return entries

    def reset(self, *faults: str, period: int = 3) -> None:
        """As if just started, with these faults from now on."""
        requests.post(f"{self.url}/_emu/reset", timeout=60).raise_for_status()
        order = {"faults": list(faults), "period": period}
        requests.post(f"{self.url}/_emu/faults", json=order, timeout=60).raise_for_status()


@pytest.fixture(autouse=True)
def _straight_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture(scope="session")
def barlake_command(tmp_path_factory: pytest.TempPathFactory) -> Barlake:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    alone = {"NO_PROXY": "127.0.0.1,localhost", "OMP_NUM_THREADS": "1"}
    return Barlake(tmp_path_factory.mktemp("processes"), kept | alone)


@pytest.fixture(scope="session")
def year() -> Path:
    """The folder of real bars."""
    if not YEAR.is_dir():
        pytest.skip("the pack of real bars is not beside this checkout")
    return YEAR


Serve = Callable[..., contextlib.AbstractContextManager[EmulatorProcess]]


@pytest.fixture(scope="session")
def emulate(barlake_command: Barlake) -> Serve:
    """A function that runs `barlake emulate` with some options until a block ends."""

    @contextlib.contextmanager
    def serve(*options: object) -> Iterator[EmulatorProcess]:
        with barlake_command.start("emulate", "--port", 0, "--requests-per-minute", 100_000, *options) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                assert line.startswith("Serving feed"), line
                yield EmulatorProcess(line.split()[-1])
            finally:
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=30)

    return serve


@pytest.fixture(scope="session")
def _real_year(emulate: Serve, year: Path) -> Iterator[EmulatorProcess]:
    with emulate("--bars", year) as running:
        yield running


@pytest.fixture
def real_year(_real_year: EmulatorProcess) -> EmulatorProcess:
    """An emulator of the real year, as if just started."""
    _real_year.reset()
    return _real_year


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser without a window; skipped where none is installed."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        try:
            running = playwright.chromium.launch(executable_path=found, args=BROWSER_OPTIONS)
        except Error as error:
            pytest.skip(f"{found} does not start here: {error.message.splitlines()[0]}")
        yield running
        running.close()
