"""Barlake's side of the comparison, in a process of its own as the peers are."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
from line import answer_requests
from pydantic import SecretStr

import barlake
from barlake.catalogue import is_current
from barlake.keys import PeriodLength
from barlake.lake import Lake
from barlake.settings import Settings
from ingest_service.alpaca import AlpacaSource
from ingest_service.backfill import backfill
from ingest_service.emulator import EmulatorConfig, serve

FOLDER = Path(sys.argv[1])
FEED = "synthetic"
Work = Callable[[], object]


class Ours:
    """One lake."""

    def __init__(self) -> None:
        self._lake: Lake | None = None
        self._frames: dict[str, pl.DataFrame] = {}
        self.seconds = 0.0

    @property
    def lake(self) -> Lake:
        """The lake that `write` filled."""
        if self._lake is None:
            self._lake = barlake.open(FOLDER / "lake", settings=Settings(_env_file=None))
            _ = self._lake.calendar
        return self._lake

    def _load(self, symbols: list[str]) -> None:
        if list(self._frames) != symbols:
            self._frames = {name: pl.read_parquet(FOLDER / "source" / f"{name}.parquet") for name in symbols}

    def write(self, symbols: list[str]) -> Work:
        """All symbols into an empty lake."""
        if self._lake is not None:
            self._lake.close()
            self._lake = None
        shutil.rmtree(FOLDER / "lake", ignore_errors=True)
        return self.again(symbols)

    def again(self, symbols: list[str]) -> Work:
        """All symbols into the lake, whatever it holds."""
        self._load(symbols)
        lake = self.lake

        def work() -> int:
            done = 0
            for name, frame in self._frames.items():
                report = lake.writer.write(frame, feed=FEED, symbol=name, source="benchmark", longest=PeriodLength.YEAR)
                done += report.inserted + report.unchanged
            if not is_current(lake):
                lake.publish()
            return done

        return work

    def year(self, symbol: str) -> Work:
        """All bars of a symbol."""
        return lambda: self.lake.bars(symbol)

    def span(self, symbols: list[str], start: str, end: str) -> Work:
        """Bars of a stretch of time."""
        return lambda: self.lake.bars(symbols, start, end)

    def latest(self, symbol: str) -> Work:
        """The last five bars of a symbol."""
        return lambda: self.lake.latest(symbol, 5)

    def daily(self, symbols: list[str]) -> Work:
        """Daily bars of all symbols."""
        return lambda: self.lake.bars(symbols, timeframe="1Day")

    def ingest(self, fresh: bool) -> Work:  # noqa: FBT001 - a field of a request
        """A symbol's month through the whole of ingest, from a local Alpaca: once, or again when it is there."""
        if fresh:
            self._ingested = tempfile.TemporaryDirectory(prefix="ingest-", dir=FOLDER)
        config = EmulatorConfig(symbols=("SYNA",), seed=7)
        lake = barlake.open(Path(self._ingested.name), settings=Settings(_env_file=None))

        def work() -> int:
            with serve(config, calendar=lake.calendar) as url:
                keys = {"alpaca_key_id": SecretStr(config.key_id), "alpaca_secret_key": SecretStr(config.secret_key)}
                source = AlpacaSource.from_settings(lake.settings.model_copy(update=keys | {"alpaca_data_url": url}))
                began = time.perf_counter()
                found = backfill(lake, source, ["SYNA"], "2024-01-02", "2024-02-01", feed=FEED)
                self.seconds = time.perf_counter() - began
            lake.close()
            return found.symbols[0].bars_held

        return work

    def ingest_seconds(self) -> float:
        """How long the last `ingest` took without the start and the end of the server."""
        return self.seconds

    def sql(self, query: str) -> Work:
        """Rows of one query."""
        return lambda: self.lake.sql(query)

    def size(self) -> dict[str, int]:
        """Bytes and rows of the files that count."""
        files = self.lake.manifest.files()
        return {"bytes": sum(one.bytes for one in files), "rows": sum(one.rows for one in files), "files": len(files)}


def main() -> None:
    """Answer until the input ends."""
    ours = Ours()
    tasks = ("write", "again", "year", "span", "latest", "daily", "sql", "size", "ingest", "ingest_seconds")
    answer_requests({f"ours.{task}": getattr(ours, task) for task in tasks})


if __name__ == "__main__":
    main()
