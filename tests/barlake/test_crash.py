"""A writer killed at any moment: the lake is as before a commit or after it, and goes on from there."""

from __future__ import annotations

import datetime as dt
import random
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from barlake.lake import Lake
from barlake.partitions import content_hashes
from barlake.settings import Settings
from barlake.testing import make_bars
from barlake.vacuum import vacuum

SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 2, 1)]
BATCHES = 400

WRITER = """
import sys
from pathlib import Path
from barlake.lake import Lake
from barlake.settings import Settings
from tests_batches import batch

lake = Lake(Path(sys.argv[1]), Settings(_env_file=None))
lake.calendar
print("ready", flush=True)
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    lake.writer.write(batch(number), feed="sip", symbol="SPY", source="test")
    print(number, flush=True)
    if number % 3 == 0:
        lake.publish()
"""

BATCH = """
import datetime as dt
from barlake.testing import make_bars

SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 2, 1)]

def batch(number):
    return make_bars([SESSIONS[number % len(SESSIONS)]], seed=number, minutes=5 + number % 7)
"""


def batch(number: int) -> pl.DataFrame:
    """Rows of one commit: some new, some that change what an earlier one wrote."""
    return make_bars([SESSIONS[number % len(SESSIONS)]], seed=number, minutes=5 + number % 7)


def open_at(root: Path) -> Lake:
    return Lake(root, Settings(_env_file=None))


def start_writer(root: Path, first: int, end: int) -> subprocess.Popen[str]:
    (root.parent / "tests_batches.py").write_text(BATCH)
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(first), str(end)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root.parent,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill_and_count(process: subprocess.Popen[str], seconds: float) -> int:
    """Kill -9 after a while; how many commits were reported."""
    time.sleep(seconds)
    process.kill()
    reported, _ = process.communicate()
    return len(reported.splitlines())


class Expected:
    """What a lake that nobody disturbs holds after each number of commits."""

    def __init__(self) -> None:
        self.values: dict[dt.datetime, tuple[object, ...]] = {}
        self.states: list[dict[dt.datetime, tuple[object, ...]]] = [{}]

    def after(self, commits: int) -> dict[dt.datetime, tuple[object, ...]]:
        while len(self.states) <= commits:
            for stamp, *values in batch(len(self.states) - 1).rows():
                self.values[stamp] = tuple(values)
            self.states.append(dict(self.values))
        return self.states[commits]


def held(lake: Lake) -> dict[dt.datetime, tuple[object, ...]]:
    if lake.symbols().is_empty():
        return {}
    bars = lake.bars("SPY").drop("feed", "symbol", "session", "ingested_at")
    assert bars["timestamp"].is_sorted()
    assert bars["timestamp"].n_unique() == bars.height
    return {stamp: tuple(values) for stamp, *values in bars.rows()}


def check_whole(lake: Lake) -> None:
    """What the manifest says of sessions is what the files hold, and only files that count remain."""
    for symbol in lake.symbols()["symbol"]:
        recorded = lake.coverage(symbol).select(
            "session", pl.col("bars").alias("rows"), "first", "last", "content_hash"
        )
        assert recorded.equals(content_hashes(lake.bars(symbol)))
    vacuum(lake.store, lake.manifest, grace=dt.timedelta(seconds=-1))
    counting = {file.path for name in ("bars", "revisions") for file in lake.manifest.files(dataset=name)}
    assert {path.relative_to(lake.root).as_posix() for path in (lake.root / "parquet").rglob("*.*")} == counting


def campaign(folder: Path, *, kills: int, seed: int) -> None:
    generator = random.Random(seed)  # noqa: S311 - moments to kill at, no secret
    root, expected, done = folder / "lake", Expected(), 0
    with open_at(root) as lake:
        _ = lake.calendar
    for _ in range(kills):
        reported = kill_and_count(start_writer(root, done, done + BATCHES), generator.uniform(0, 0.5))
        with open_at(root) as lake:
            found = held(lake)
            possible = [number for number in (done + reported, done + reported + 1) if expected.after(number) == found]
            assert possible, f"after {reported} reported commits the lake is in none of the two states"
            done = possible[0]
            check_whole(lake)
    writer = start_writer(root, done, done + 5)
    writer.communicate(timeout=60)
    with open_at(root) as lake:
        assert held(lake) == expected.after(done + 5)
        lake.publish()
        assert lake.sql("SELECT count(*) AS n FROM bars").item() == len(expected.after(done + 5))
        check_whole(lake)
        assert [path.name for path in (root / "duckdb").iterdir() if path.name.startswith(".tmp-")] == []


@pytest.mark.both_databases
@pytest.mark.usefixtures("database")
def test_a_writer_killed_at_a_random_moment_loses_and_doubles_nothing(tmp_path: Path) -> None:
    campaign(tmp_path, kills=2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_a_writer_killed_again_and_again_loses_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    campaign(tmp_path, kills=20, seed=seed)
