"""Trading days that pass in minutes: an emulator, workers that are killed, a source that misbehaves, and the truth.

Everything is a real process and speaks over sockets. All of them live by one made-up clock, which a rehearsal
lets run fast while the market is open and sets forward over the nights.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import requests

import barlake
from barlake.clock import FileClock
from barlake.sessions import NEW_YORK

FEED = "synthetic"
KEYS = {"ALPACA_API_KEY_ID": "your-key-id", "ALPACA_API_SECRET_KEY": "your-secret-key"}
HEADERS = {"APCA-API-KEY-ID": KEYS["ALPACA_API_KEY_ID"], "APCA-API-SECRET-KEY": KEYS["ALPACA_API_SECRET_KEY"]}
START_S, PARTING_S = 120.0, 60.0


def new_york(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), NEW_YORK).astimezone(dt.UTC)


@dataclass(frozen=True)
class Running:
    """A process and where what it says goes."""

    process: subprocess.Popen[bytes]
    output: Path

    def end(self, how: signal.Signals) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)  # a worker's children are in its group
        return self.process.wait(PARTING_S)


@dataclass
class Bell:
    """A webhook that keeps what it is told."""

    heard: list[dict[str, Any]] = field(default_factory=list)

    @contextlib.contextmanager
    def listening(self) -> Iterator[str]:
        heard = self.heard

        class Door(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/alerts"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class World:
    """A lake, its workers, and the market they live in."""

    def __init__(self, folder: Path, *, watch_list: str, start: dt.datetime, seed: int, webhook: str) -> None:
        self.folder = folder
        self.root = folder / "data"
        self.clock_file = folder / "clock.json"
        self.generator = random.Random(seed)  # noqa: S311 - when to kill
        self.kills: Counter[str] = Counter()
        self.requests: dict[str, dict[str, Any]] = {}
        self._running: dict[str, Running] = {}
        self._stopped = contextlib.ExitStack()
        (folder / "securities.yaml").write_text(watch_list, encoding="utf-8")
        FileClock.set(self.clock_file, start, speed=0)
        self.clock = FileClock(self.clock_file)
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG") if name in os.environ}
        self.environment = kept | KEYS | {
            "NO_PROXY": "127.0.0.1,localhost", "OMP_NUM_THREADS": "1",
            "BARLAKE_CLOCK": str(self.clock_file), "BARLAKE_ALERT_WEBHOOK": webhook,
            "ALPACA_FEED": FEED, "ALPACA_LIVE_FEED": FEED, "BARLAKE_LOG_FORMAT": "json",
        }  # fmt: skip
        # Outside the settings: the emulator keeps the clock, the others only read it.
        self.url = self._start_emulator(seed)
        self.environment["ALPACA_DATA_URL"] = self.environment["ALPACA_TRADING_URL"] = self.url
        self.environment["ALPACA_STREAM_URL"] = f"{self.url.replace('http', 'ws', 1)}/v2/{FEED}"

    # --- processes -----------------------------------------------------------------------------

    def _spawn(self, name: str, *arguments: object) -> Running:
        output = self.folder / f"{name}.log"
        with output.open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", *map(str, arguments)],
                cwd=self.folder, env=self.environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return Running(process, output)

    def _start_emulator(self, seed: int) -> str:
        options = ("--port", 0, "--seed", seed, "--clock", self.clock_file, "--limit-clock", "machine")
        running = self._running["emulator"] = self._spawn(
            "emulator", "emulate", *options, "--requests-per-minute", 6000, "--revised-share", 0.02, "--json"
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(ValueError):
                return str(json.loads(running.output.read_text(encoding="utf-8"))["url"])
            assert running.process.poll() is None, running.output.read_text(encoding="utf-8")
            time.sleep(0.05)
        raise AssertionError("the emulator did not start")

    def start(self, name: str, *agents: str) -> None:
        """Start a worker of these agents, whose name may have been another's that was killed."""
        chosen = [word for agent in agents for word in ("--agent", agent)]
        self._running[name] = self._spawn(name, "worker", "--name", name, *chosen)

    def kill(self, name: str) -> None:
        self._running.pop(name).end(signal.SIGKILL)
        self.kills[name] += 1

    def end(self, name: str) -> int:
        return self._running.pop(name).end(signal.SIGTERM)

    def close(self) -> None:
        for running in self._running.values():
            running.end(signal.SIGKILL)
        self._running.clear()

    def command(self, *arguments: object) -> Any:
        """What a command answers as JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *map(str, arguments), "--json"],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode in {0, 3}, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    # --- the market ----------------------------------------------------------------------------

    def order(self, what: str, **body: Any) -> Any:
        """Tell the emulator what is to happen."""
        response = requests.post(f"{self.url}/_emu/{what}", json=body, timeout=30)
        assert response.ok, response.text
        self.note_requests()
        return response.json()

    def note_requests(self) -> None:
        """Keep what was asked so far; the emulator itself remembers the last ones only."""
        for entry in requests.get(f"{self.url}/_emu/log", timeout=60).json():
            self.requests[json.dumps(entry, sort_keys=True)] = entry

    def leap(self, instant: dt.datetime) -> None:
        """Set the clock forward, as a machine that slept would find it."""
        self.order("clock", now=instant.isoformat(), speed=1)

    def run_until(self, instant: dt.datetime, *, speed: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Let time pass, and do something now and then."""
        self.order("clock", now=self.clock.now().isoformat(), speed=speed)
        while self.clock.now() < instant:
            self.check_alive()
            meanwhile()
            time.sleep(0.2)
        self.order("clock", now=instant.isoformat(), speed=1)

    def check_alive(self) -> None:
        for name, running in self._running.items():
            if running.process.poll() is not None:
                said = running.output.read_text(encoding="utf-8", errors="replace")
                raise AssertionError(f"{name} ended by itself with {running.process.returncode}:\n{said[-4000:]}")

    def wait_for(self, what: str, holds: Callable[[], bool], *, seconds: float = 300.0) -> None:
        """Wait, by the machine's clock, until something holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            self.check_alive()
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds:.0f} s in vain for: {what}")
            time.sleep(0.5)

    def truth(self, symbol: str, first: dt.date, beyond: dt.date) -> pl.DataFrame:
        """What the source says in the end, asked in the plainest way and without our client."""
        parameters = {
            "symbols": symbol, "timeframe": "1Min", "feed": FEED, "adjustment": "raw", "asof": "-", "limit": 10_000,
            "start": new_york(first, 0).isoformat(),
            "end": (new_york(beyond, 0) - dt.timedelta(minutes=1)).isoformat(),
        }  # fmt: skip
        rows: list[dict[str, Any]] = []
        while True:
            response = requests.get(f"{self.url}/v2/stocks/bars", params=parameters, headers=HEADERS, timeout=60)
            response.raise_for_status()
            page = response.json()
            rows += page["bars"].get(symbol, [])
            if page["next_page_token"] is None:
                return as_bars(rows)
            parameters["page_token"] = page["next_page_token"]


COLUMNS = {"t": "timestamp", "o": "open", "h": "high", "l": "low", "c": "close",
           "v": "volume", "n": "trade_count", "vw": "vwap"}  # fmt: skip


def as_bars(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    kinds: dict[str, Any] = {"t": pl.String, "v": pl.Int64, "n": pl.Int64}
    frame = pl.DataFrame(
        [{name: row[name] for name in COLUMNS} for row in rows],
        schema={name: kinds.get(name, pl.Float64) for name in COLUMNS},
    )
    return frame.rename(COLUMNS).with_columns(pl.col("timestamp").str.to_datetime(time_unit="us", time_zone="UTC"))


def held(root: Path, symbol: str) -> pl.DataFrame:
    """What the lake says in the end."""
    with barlake.open(root) as lake:
        return lake.bars(symbol, feed=FEED).select(list(COLUMNS.values()))


@dataclass(frozen=True)
class Asked:
    """A window of history that was answered well, and how often."""

    symbols: str
    start: str
    end: str
    page_token: str | None


def answered_pages(log: Iterable[Mapping[str, Any]]) -> Counter[Asked]:
    """How often each page of bars was answered undisturbed."""
    good = [entry for entry in log if entry["path"] == "/v2/stocks/bars" and entry["status"] == 200]
    return Counter(
        Asked(one["query"]["symbols"], one["query"]["start"], one["query"]["end"], one["query"].get("page_token"))
        for one in good
        if entry_is_undisturbed(one)
    )


def entry_is_undisturbed(entry: Mapping[str, Any]) -> bool:
    return entry["fault"] in {None, "slow", "duplicate_border", "out_of_order"}
