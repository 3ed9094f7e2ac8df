"""Speed of one symbol-year in the lake, beside plain polars on one Parquet file and beside the raw bytes.

Run `python benchmarks/bench_lake.py`: prints a Markdown table in milliseconds, lower is better: wall and CPU
time of the fastest of several rounds, and the ratio of wall times to plain polars. Bars are QQQ's of
`--bars FILE` when that is given or the shared year is there, else made up. "Write" ends on the disk, for the
peer too (fsync); the lake's also checks every row, merges, hashes each session and commits. "Limit" writes
or reads the same bytes and nothing else. Files are warm in the page cache.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

import barlake
from barlake.keys import PeriodLength
from barlake.lake import Lake
from barlake.schemas import BAR_VALUES
from barlake.settings import Settings
from barlake.testing import make_bars

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "bars_1m" / "year_2024" / "QQQ.parquet"
YEAR = 2024
WEEK = (dt.date(2024, 9, 9), dt.date(2024, 9, 16))


@dataclass(frozen=True)
class Time:
    """Milliseconds of the fastest round."""

    wall: float
    cpu: float


def fastest(work: Callable[[], object], rounds: int, *, before: Callable[[], object] = lambda: None) -> Time:
    """Time of the fastest round, after one that warms; what happens before each round is not counted."""
    found = []
    for _ in range(rounds + 1):
        before()
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found.append(Time((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3))
    return min(found[1:], key=lambda one: one.wall)


def year_of_bars(path: Path | None) -> tuple[pl.DataFrame, str]:
    """Bars of one symbol-year, and what they are."""
    if path is None and not SHARED.exists():
        sessions = barlake_sessions()
        return make_bars(sessions), "made-up bars"
    source = path or SHARED
    bars = pl.read_parquet(source).select(pl.col("timestamp").cast(pl.Datetime("us", "UTC")), *BAR_VALUES)
    return bars.filter(pl.col("timestamp").dt.year() == YEAR), source.name


def barlake_sessions() -> list[dt.date]:
    """The sessions of the year."""
    from barlake.sessions import Calendar  # noqa: PLC0415 - seconds of import that only made-up bars need

    return Calendar.default().in_range(dt.date(YEAR, 1, 1), dt.date(YEAR + 1, 1, 1))["session"].to_list()


def fsynced(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file and wait until it is on the disk."""
    write(path)
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def measure(bars: pl.DataFrame, folder: Path, rounds: int) -> dict[str, dict[str, Time]]:
    """Times of each contender, by task."""
    plain, raw, root = folder / "plain.parquet", folder / "raw.bin", folder / "lake"
    start, end = (dt.datetime.combine(day, dt.time(5), dt.UTC) for day in WEEK)
    lakes: list[Lake] = []

    def fresh() -> None:
        while lakes:
            lakes.pop().close()
        shutil.rmtree(root, ignore_errors=True)
        lakes.append(barlake.open(root, settings=Settings(_env_file=None)))
        _ = lakes[0].calendar

    def write(longest: PeriodLength) -> None:
        lakes[0].writer.write(bars, feed="sip", symbol="QQQ", source="benchmark", longest=longest)

    writes = {
        "plain polars, one file": fastest(
            lambda: fsynced(plain, lambda path: bars.write_parquet(path, compression="zstd")), rounds
        ),
    }
    content = plain.read_bytes()
    writes["limit: the same bytes"] = fastest(lambda: fsynced(raw, lambda path: path.write_bytes(content)), rounds)
    writes["lake, month files"] = fastest(lambda: write(PeriodLength.MONTH), rounds, before=fresh)
    writes["lake, year file"] = fastest(lambda: write(PeriodLength.YEAR), rounds, before=fresh)
    writes["lake, the same rows again"] = fastest(lambda: write(PeriodLength.YEAR), rounds)
    lake = lakes[0]
    counted = [root / file.path for file in lake.manifest.files()]
    reads = {
        "plain polars, one file": fastest(lambda: pl.read_parquet(plain), rounds),
        "limit: the lake's bytes": fastest(lambda: [path.read_bytes() for path in counted], rounds),
        "lake.bars, polars": fastest(lambda: lake.bars("QQQ"), rounds),
        "lake.bars, Arrow": fastest(lambda: lake.bars("QQQ", output="arrow"), rounds),
        "lake.bars, 5Min": fastest(lambda: lake.bars("QQQ", timeframe="5Min"), rounds),
    }
    inside = pl.col("timestamp").is_between(start, end, closed="left")
    week = {
        "plain polars, one file": fastest(lambda: pl.scan_parquet(plain).filter(inside).collect(), rounds),
        "lake.bars, polars": fastest(lambda: lake.bars("QQQ", *WEEK), rounds),
    }
    lake.close()
    return {"write the year": writes, "read the year": reads, "read one week": week}


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--bars", type=Path)
    options.add_argument("--rounds", type=int, default=7)
    given = options.parse_args()
    bars, name = year_of_bars(given.bars)
    with tempfile.TemporaryDirectory(prefix="barlake-bench-") as folder:
        tasks = measure(bars, Path(folder), given.rounds)
    print(f"| {bars.height:,} bars ({name}) | wall, ms | CPU, ms | by plain polars |")
    print("|---|---:|---:|---:|")
    for task, contenders in tasks.items():
        base = contenders["plain polars, one file"].wall
        for who, found in contenders.items():
            print(f"| {task}: {who} | {found.wall:.1f} | {found.cpu:.1f} | {found.wall / base:.2f} |")


if __name__ == "__main__":
    main()
