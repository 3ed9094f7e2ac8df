"""Many readers of a service beside one writer of its lake, each answer looked at for faults and for two states in one.

The writer stores symbol `GEN` anew in one commit, each bar with the number of the generation for its volume, adds
sessions to another symbol and rolls up. So an answer about `GEN` with two volumes is of two states.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import requests
from beside.made_up_lake import FEED, open_lake

from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.testing import make_bars

__all__ = ["Crowd"]

ARROW = {"Accept": "application/vnd.apache.arrow.stream"}
GENERATION_DAYS = Calendar.default().in_range(dt.date(2025, 9, 2), dt.date(2026, 1, 1))["session"].to_list()
GENERATION = make_bars(GENERATION_DAYS, seed=1, minutes=60)
NEW_DAYS = Calendar.default().in_range(dt.date(2024, 1, 2), dt.date(2025, 1, 1))["session"].to_list()
URLS = ("/bars/S00{n}?start=2025-03-03&end=2025-03-10", "/bars/S00{n}?limit=5", "/coverage/S00{n}?limit=50", "/symbols")
PAUSE_S = 1.0


class Crowd:
    """Readers and a writer, and what they met."""

    def __init__(self, folder: Path, url: str, *, readers: int) -> None:
        self._folder = folder
        self._url = url
        self._readers = readers
        self._done = threading.Event()
        self._lock = threading.Lock()
        self.answers = self.faults = self.mixed = self.commits = self.rollups = 0
        self.examples: list[str] = []

    def run(self, seconds: float, resident_mb: Callable[[], float]) -> list[float]:
        """Let them work so long; the memory of the service, once a second."""
        with open_lake(self._folder) as lake:
            self._write(lake, 0)
            threads = [threading.Thread(target=self._read, args=(number,)) for number in range(self._readers)]
            threads.append(threading.Thread(target=self._keep_writing, args=(lake,)))
            for thread in threads:
                thread.start()
            memory = []
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(1)
                memory.append(resident_mb())
            self._done.set()
            for thread in threads:
                thread.join()
        return memory

    # --- the writer ----------------------------------------------------------------------------

    def _keep_writing(self, lake: Lake) -> None:
        generation = 0
        while not self._done.wait(PAUSE_S):
            generation += 1
            self._write(lake, generation)
            day = NEW_DAYS[generation % len(NEW_DAYS)]
            lake.writer.write(make_bars([day], seed=generation), feed=FEED, symbol="S001", source="python")
            self.commits += 2
            if generation % 10 == 0:
                lake.rollup()
                lake.vacuum()
                self.rollups += 1

    @staticmethod
    def _write(lake: Lake, generation: int) -> None:
        bars = GENERATION.with_columns(pl.lit(generation + 1, dtype=pl.Int64).alias("volume"))
        lake.writer.write(bars, feed=FEED, symbol="GEN", source="python")

    # --- the readers ---------------------------------------------------------------------------

    def _read(self, number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - who asks what is no secret
        with requests.Session() as session:
            while not self._done.is_set():
                try:
                    if number % 4 == 0:
                        self._ask_generation(session)
                    else:
                        path = chance.choice(URLS).format(n=chance.randrange(8))
                        self._get(session, path).json()
                        self._count()
                except (requests.RequestException, ValueError, pa.ArrowException) as error:
                    self._count(fault=f"{type(error).__name__}: {str(error)[:200]}")

    def _get(self, session: requests.Session, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        answer = session.get(f"{self._url}{path}", headers=headers, timeout=120)
        answer.raise_for_status()
        return answer

    def _ask_generation(self, session: requests.Session) -> None:
        rows = pa.ipc.open_stream(self._get(session, "/bars/GEN", ARROW).content).read_all()
        volumes = set(rows["volume"].unique().to_pylist())
        is_mixed = len(volumes) != 1 or rows.num_rows != GENERATION.height
        self._count(mixed=f"volumes {sorted(volumes)}, {rows.num_rows} rows" if is_mixed else None)

    def _count(self, *, fault: str | None = None, mixed: str | None = None) -> None:
        with self._lock:
            self.answers += 1
            self.faults += fault is not None
            self.mixed += mixed is not None
            told = fault or mixed
            if told and len(self.examples) < 5:
                self.examples.append(told)
