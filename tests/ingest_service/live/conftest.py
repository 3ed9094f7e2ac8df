"""A live agent, the emulator it listens to on real sockets, and the made-up clock both live by."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests

from barlake.clock import FileClock
from barlake.errors import BarlakeError
from barlake.lake import Lake
from barlake.schemas import BAR_VALUES
from barlake.settings import Settings
from ingest_service.alpaca import AlpacaSource
from ingest_service.backfill import backfill
from ingest_service.emulator import EmulatorConfig, serve
from ingest_service.live.agent import Beat, LiveAgent, LiveState, StreamSettings
from ingest_service.live.stream import stream_url

FEED = "synthetic"
OPEN = dt.datetime(2024, 7, 2, 13, 30, tzinfo=dt.UTC)
"""Of a plain session in summer: its extended hours are from 08:00 to 00:00 UTC."""

PATIENCE_S = 60.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that comes."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Stage:
    """One emulator, one lake, and agents between them."""

    def __init__(self, folder: Path, url: str, symbols: tuple[str, ...], config: EmulatorConfig) -> None:
        self.url = url
        self.symbols = symbols
        self.root = folder / "lake"
        assert config.clock is not None
        self.clock = FileClock(config.clock)
        self.settings = Settings(
            _env_file=None,
            BARLAKE_CLOCK=config.clock,
            ALPACA_DATA_URL=url,
            ALPACA_API_KEY_ID=config.key_id,
            ALPACA_API_SECRET_KEY=config.secret_key,
        )
        self.lake = self.open_lake()
        self.beats: list[Beat] = []
        self.errors: list[BaseException] = []

    def open_lake(self, folder: str = "lake") -> Lake:
        return Lake(self.root.with_name(folder), self.settings, now=self.clock.now)

    def order(self, path: str, body: object = None) -> Any:
        answer = requests.post(f"{self.url}/_emu/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def log(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{self.url}/_emu/log", timeout=60).json()
        return found

    def leap(self, instant: dt.datetime, speed: float | None = None) -> None:
        self.order("clock", {"now": instant.isoformat(), "speed": speed})

    @contextlib.contextmanager
    def agent(
        self, *, with_stream: bool = True, kind: type[AlpacaSource] = AlpacaSource, **options: Any
    ) -> Iterator[LiveAgent]:
        stop = threading.Event()
        source = kind.from_settings(self.settings, stop=stop, backoff_seconds=0.01)
        stream = StreamSettings(stream_url(self.settings, FEED), *source.secrets, backoff_s=0.05)
        agent = LiveAgent(
            self.lake,
            source,
            symbols=self.symbols,
            feed=FEED,
            clock=self.clock,
            stop=stop,
            stream=stream if with_stream else None,
            on_beat=self.beats.append,
            beat_s=0.02,
            **options,
        )

        def work() -> None:
            try:
                agent.run()
            except BarlakeError as error:
                self.errors.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield agent
        finally:
            stop.set()
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def state(self) -> LiveState | None:
        return self.beats[-1].state if self.beats else None

    def seen(self, state: LiveState) -> bool:
        return any(beat.state is state for beat in list(self.beats))

    def bars(self, symbol: str, session: dt.date, lake: Lake | None = None) -> pl.DataFrame:
        lake = lake or self.lake
        if symbol not in lake.symbols()["symbol"].to_list():
            return pl.DataFrame()
        found = lake.bars(symbol, session, session + dt.timedelta(days=1), feed=FEED)
        return found.select("timestamp", *BAR_VALUES)

    def count(self, symbol: str) -> int:
        held = self.lake.manifest.held(feed=FEED, symbol=symbol)
        return int(held["rows"].sum())

    def newest(self, symbol: str) -> dt.datetime | None:
        assert not self.errors, self.errors
        held = self.lake.manifest.held(feed=FEED, symbol=symbol)
        found = held["last"].max()
        assert found is None or isinstance(found, dt.datetime)
        return found

    def settle(self, session: dt.date, end: dt.datetime) -> None:
        """Leap behind the end of a session and wait until it is final."""
        self.leap(end + dt.timedelta(minutes=20), 60)
        until(lambda: self.is_final(session), f"{session} is final")

    def is_final(self, session: dt.date) -> bool:
        answers = self.lake.manifest.answers(feed=FEED, start=session, end=session + dt.timedelta(days=1))
        return set(answers["symbol"]) >= set(self.symbols) and not self.lake.manifest.provisional_sessions(feed=FEED)

    def truth(self, session: dt.date) -> Lake:
        """Another lake, which asked once and afterwards."""
        lake = self.open_lake("truth")
        source = AlpacaSource.from_settings(self.settings)
        backfill(lake, source, list(self.symbols), session, session + dt.timedelta(days=1), feed=FEED)
        return lake


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """A maker of stages: symbols, the instant at which it begins, speed, and fields of `EmulatorConfig`."""
    with contextlib.ExitStack() as cleanup:

        def make(
            *symbols: str, now: dt.datetime = OPEN + dt.timedelta(minutes=30), speed: float = 120, **fields: Any
        ) -> Stage:
            path = tmp_path / "clock.json"
            names = symbols or ("SYNA", "SYNB")
            config = EmulatorConfig(
                symbols=tuple(name for name in names if name.startswith("SYN")),
                clock=path, now=now, speed=speed, requests_per_window=2000, **fields,
            )  # fmt: skip
            url = cleanup.enter_context(serve(config))
            made = Stage(tmp_path, url, names, config)
            cleanup.callback(made.lake.close)
            return made

        yield make
