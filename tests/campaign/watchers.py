"""Who reads while writers are killed: through Python, through DuckDB, and through its command line.

A watcher notes what it saw of each symbol as a few whole numbers that differ between any two states, and
when. Whether that was a state it could have met is judged afterwards, by whoever knows what was done.
"""

from __future__ import annotations

import csv
import io
import os
import pickle
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import polars as pl

from barlake import layout
from tests.campaign.deeds import open_at
from tests.campaign.plain_lake import Key, Rows

Print = tuple[int, ...]
"""Rows, different timestamps, and three sums: what tells one state of a symbol from any other."""

PAUSE_S = 0.05
HELD_S = 3
PROMISED_S = 12
"""How old a list of files may be that the vacuum's grace covers; a stalled machine may make one older."""

SHELL = Path(sys.executable).with_name("duckdb")
BY_SQL = """
    SELECT feed, symbol, count(*) AS n, count(DISTINCT "timestamp") AS stamps, sum(volume)::BIGINT AS volume,
           sum(volume * (epoch_us("timestamp") // 60000000 % 1009))::BIGINT AS places,
           sum(round(close * 100)::BIGINT * (epoch_us("timestamp") // 60000000 % 1013))::BIGINT AS closes
    FROM bars GROUP BY feed, symbol ORDER BY feed, symbol
"""
BY_COVERAGE = "SELECT feed, symbol, sum(bars)::BIGINT FROM coverage GROUP BY feed, symbol ORDER BY feed, symbol"


@dataclass(frozen=True)
class Sight:
    """What one look gave; the rows it came from were chosen between `opened` and `until`."""

    who: str
    key: Key
    seen: Print
    opened: float
    until: float
    connection: int


@dataclass
class Log:
    """All that one watcher saw."""

    sights: list[Sight] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    looks: int = 0
    connections: int = 0
    overdue: int = 0
    opened: float = 0.0


def print_of(rows: Rows) -> Print:
    """The numbers of a plain state."""
    minutes = {stamp: int(stamp.timestamp()) // 60 for stamp in rows}
    return (
        len(rows),
        len(rows),
        sum(rows[stamp][4] for stamp in rows),
        sum(rows[stamp][4] * (minute % 1009) for stamp, minute in minutes.items()),
        sum(round(rows[stamp][3] * 100) * (minute % 1013) for stamp, minute in minutes.items()),
    )


def print_of_frame(bars: pl.DataFrame) -> Print:
    minute = pl.col("timestamp").dt.epoch("s") // 60
    return bars.select(
        pl.len(),
        pl.col("timestamp").n_unique().alias("stamps"),
        pl.col("volume").sum(),
        (pl.col("volume") * (minute % 1009)).sum().alias("places"),
        ((pl.col("close") * 100).round().cast(pl.Int64) * (minute % 1013)).sum().alias("closes"),
    ).row(0)


def watch(look: Callable[[Path, Log], Iterator[list[Sight]]], folder: Path, stop: Path, place: Path) -> None:
    """Look again and again until the file `stop` is there; then put the log into `place`."""
    parent, log = os.getppid(), Log()
    looks = look(folder, log)
    while not stop.exists() and os.getppid() == parent and len(log.errors) < 5:
        began = time.monotonic()
        try:
            sights = next(looks)
            log.looks += 1
            log.sights.extend(sights)
        except Exception:  # noqa: BLE001 - any error a reader meets is one too many
            if time.monotonic() - log.opened > PROMISED_S:
                log.overdue += 1
            else:
                log.errors.append(traceback.format_exc()[-3000:])
            looks = look(folder, log)
        # Most of the machine is for those who are killed.
        time.sleep(max(PAUSE_S, 3 * (time.monotonic() - began)))
    log.connections = len({sight.connection for sight in log.sights})
    temporary = place.with_suffix(".half")
    temporary.write_bytes(pickle.dumps(log))
    temporary.rename(place)


def by_python(folder: Path, log: Log) -> Iterator[list[Sight]]:
    """One lake held open, its symbols read in turn."""
    with open_at(folder / "lake") as lake:
        while True:
            for feed, symbol in lake.symbols().select("feed", "symbol").rows():
                opened = log.opened = time.monotonic()
                bars = lake.bars(symbol, feed=feed)
                yield [Sight("python", (feed, symbol), print_of_frame(bars), opened, time.monotonic(), 0)]


def by_duckdb(folder: Path, log: Log) -> Iterator[list[Sight]]:
    """A connection held for a few seconds, whatever is rolled up or published meanwhile; then another."""
    number = 0
    while True:
        number += 1
        opened = log.opened = time.monotonic()
        with duckdb.connect(folder / "lake" / layout.CATALOGUE_FILE, read_only=True) as connection:
            until = time.monotonic()
            while time.monotonic() < until + HELD_S:
                rows = connection.execute(BY_SQL).fetchall()
                assert connection.execute(BY_COVERAGE).fetchall() == [row[:3] for row in rows]
                yield [Sight("duckdb", (row[0], row[1]), tuple(row[2:]), opened, until, number) for row in rows]


def by_shell(folder: Path, log: Log) -> Iterator[list[Sight]]:
    """The DuckDB command line, which is another release of DuckDB."""
    number = 0
    while True:
        number += 1
        opened = log.opened = time.monotonic()
        done = subprocess.run(
            [SHELL, "-readonly", "-csv", "-noheader", "-init", "/dev/null",
             folder / "lake" / layout.CATALOGUE_FILE, "-c", BY_SQL],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        until = time.monotonic()
        rows = csv.reader(io.StringIO(done.stdout))
        yield [Sight("shell", (row[0], row[1]), tuple(map(int, row[2:])), opened, until, number) for row in rows]
        time.sleep(3)
