"""The promises of speed of training, on a page: `python benchmarks/training.py [--rows N] [--fan-out-rows N]`.

- The dataset of three symbols with 70 columns each beside the bare join in polars that gives the same rows.
- The whole loop of one symbol-year, from bars to a report, with where the time goes; every command is a process of its
  own, as a user runs it, so its imports are in it.
- The folds of a walk forward on two workers beside the same folds on one; their predictions must be the same bits.

The two sides of a comparison take turns. CPU seconds (of children too) are what to read where other programs run: wall
times are shown with the load they had. Bars are made up, but the year is SPY's own where the shared data are.
"""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

import barlake
from barlake.parallel import run_parallel
from barlake.sessions import Calendar
from barlake.testing import make_bars
from training_service.dataset import Dataset, make_dataset
from training_service.fitting import ModelMaker
from training_service.fold_spec import FoldSpec
from training_service.models import ModelSpec
from training_service.presets import DEFAULT_PRESET
from training_service.targets import TargetSpec
from training_service.walk import walk_forward

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared" / "data" / "bars_1m" / "year_2024" / "SPY.parquet"
COLUMNS, SYMBOLS, ROUNDS = 70, ("SPY", "QQQ", "IWM"), 3
MOST_JOIN, MOST_SECONDS, LEAST_SPEED = 1.5, 20.0, 1.6
_DROPPED = 0.02
_PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Times:
    """Seconds of one piece of work, each time it was done."""

    wall: list[float]
    cpu: list[float]

    @property
    def text(self) -> str:
        """Medians, for eyes."""
        return f"{statistics.median(self.wall):.2f} s ({statistics.median(self.cpu):.2f} s of CPU)"


def cpu_seconds() -> float:
    """CPU that this process and its finished children have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def alternated(*works: Callable[[], object]) -> list[Times]:
    """Times of pieces of work that take turns; the first round warms up and does not count."""
    found = [Times([], []) for _ in works]
    for number in range(ROUNDS + 1):
        for work, times in zip(works, found, strict=True):
            wall, cpu = time.perf_counter(), cpu_seconds()
            work()
            if number:
                times.wall.append(time.perf_counter() - wall)
                times.cpu.append(cpu_seconds() - cpu)
    return found


def sessions_for(rows: int) -> list[dt.date]:
    """As many sessions as hold so many regular minutes, roughly."""
    known = Calendar.default().in_range(dt.date(2010, 1, 1), dt.date(2024, 12, 31))["session"].to_list()
    return list(known[: max(rows // 390, 40)])


def made_tables(rows: int) -> dict[str, pl.DataFrame]:
    """Feature tables with random columns; each context symbol lacks one minute in fifty."""
    bars = make_bars(sessions_for(rows), seed=0)
    stamps = bars["timestamp"].dt.convert_time_zone("America/New_York").dt.date().alias("session")
    tables = {}
    for seed, symbol in enumerate(SYMBOLS):
        draw = np.random.default_rng(seed)
        values = draw.standard_normal((COLUMNS - len(_PRICES), bars.height), dtype=np.float32)
        features = [pl.Series(f"f{number:02d}", column) for number, column in enumerate(values)]
        table = bars.select(stamps, "timestamp", *_PRICES).with_columns(features)
        kept = pl.Series(draw.random(bars.height) >= (_DROPPED if seed else 0))
        tables[symbol] = table.filter(kept)
    return tables


def bare_join(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """What the dataset is at its least: the chosen columns, renamed, joined on the minute."""
    (_, joined), *others = tables.items()
    for symbol, table in others:
        names = [name for name in table.columns if name not in {"session", "timestamp"}]
        renamed = table.select("timestamp", pl.col(names).name.suffix(f"_{symbol}"))
        joined = joined.join(renamed, on="timestamp", how="inner", validate="1:1", maintain_order="left")
    return joined


def dataset_lines(rows: int) -> list[str]:
    """The dataset beside the bare join."""
    tables = made_tables(rows)
    spec = TargetSpec.parse("direction", 5)
    ours, theirs = alternated(lambda: make_dataset(tables, spec=spec), lambda: bare_join(tables))
    joined, made = bare_join(tables), make_dataset(tables, spec=spec)
    if not made.frame["timestamp"].equals(joined["timestamp"]):
        sys.exit("the two joins do not keep the same minutes")
    wall, cpu = (
        statistics.median(getattr(ours, name)) / statistics.median(getattr(theirs, name)) for name in ("wall", "cpu")
    )
    height = tables[SYMBOLS[0]].height
    return [
        f"## Dataset of {len(SYMBOLS)} symbols, {height:,} rows x {COLUMNS} columns each",
        "",
        "| ours, labels and checks included | bare join in polars | ratio | of CPU | promise | kept |",
        "|---|---|---:|---:|---:|---|",
        f"| {ours.text} | {theirs.text} | {wall:.2f} | {cpu:.2f} | {MOST_JOIN:g} | {_kept(cpu <= MOST_JOIN)} |",
        "",
        f"Both keep the same {joined.height:,} minutes. Kept is judged by CPU.",
        "",
    ]


def loop_lines() -> list[str]:
    """One symbol-year from bars to a report, command by command."""
    with tempfile.TemporaryDirectory() as folder:
        root, feed, rows = _filled(Path(folder))
        command = functools.partial(_command, root)
        steps = [
            ("features, 37 columns", *command("features", "SPY", "--feed", feed)),
            ("training, 5 folds and the whole", *command("train", "SPY", "--feed", feed)),
        ]
        model = command("models", "list", "--json")[2].split('"model": "')[1][:16]
        steps.append(("simulation and report", *command("simulate", "--model", model, "--symbol", "SPY")))
    wall, cpu = (sum(step[place] for step in steps) for place in (1, 2))
    nothing = _command(Path(folder), "--help")
    lines = [f"| {name} | {seconds:.1f} | {used:.1f} | {used / cpu:.0%} |" for name, seconds, used, _ in steps]
    return [
        f"## The whole loop of one symbol-year, {rows:,} bars of feed {feed}",
        "",
        "| step | wall, s | CPU, s | of all CPU |",
        "|---|---:|---:|---:|",
        *lines,
        f"| **all** | **{wall:.1f}** | **{cpu:.1f}** | promise: {MOST_SECONDS:g} s, {_kept(wall <= MOST_SECONDS)} |",
        "",
        f"Each step is a process; one that only prints its help takes {nothing[0]:.1f} s, {nothing[1]:.1f} s of CPU.",
        "",
    ]


def fan_out_lines(rows: int) -> list[str]:
    """The same folds on one worker and on two."""
    tables = {"SPY": made_tables(rows)["SPY"]}
    data = make_dataset(tables, spec=TargetSpec.parse("direction", 5))
    one, two = (functools.partial(_walked, data, workers) for workers in (1, 2))
    if not one().equals(two()):
        sys.exit("two workers predict other bits than one")
    alone, shared, counting_alone, counting_shared = alternated(
        one, two, *(functools.partial(_counted, workers) for workers in (1, 2))
    )
    given = statistics.median(counting_alone.wall) / statistics.median(counting_shared.wall)
    single, double = (statistics.median(one.wall) for one in (alone, shared))
    speed = single / double
    fastest, kept = min(alone.wall) / min(shared.wall), _kept(speed >= LEAST_SPEED)
    return [
        f"## Five folds of {data.frame.height:,} rows on two workers",
        "",
        "| one worker | two workers | faster, medians | fastest rounds | promise | kept |",
        "|---|---|---:|---:|---:|---|",
        f"| {single:.2f} s | {double:.2f} s | {speed:.2f} | {fastest:.2f} | {LEAST_SPEED:g} | {kept} |",
        "",
        "The predictions are the same bits.",
        f"In the same rounds two workers that only count were {given:.2f} times as fast as one.",
        "",
    ]


def _walked(data: Dataset, workers: int) -> pl.DataFrame:
    maker = ModelMaker(ModelSpec(DEFAULT_PRESET), data.spec.task)
    fitted = walk_forward(data, FoldSpec(5).split(data.frame), maker, workers=workers)
    return pl.concat([fold.predictions for fold in fitted])


def _counted(workers: int) -> None:
    """Arithmetic alone, in four equal pieces."""
    run_parallel(_count, range(4), workers=workers, backend="loky")


def _count(_: int) -> int:
    return sum(range(15_000_000))


def _filled(folder: Path) -> tuple[Path, str, int]:
    """A lake with one year of SPY: its own where the shared data are, made up otherwise."""
    root = folder / "lake"
    with barlake.open(root) as lake:
        if SHARED.is_file():
            bars, feed = pl.read_parquet(SHARED), "sip"
        else:
            bars, feed = make_bars(sessions_for(98_000), seed=1), "synthetic"
        lake.write_bars(bars.drop("symbol", strict=False), feed=feed, symbol="SPY")
    return root, feed, bars.height


def _command(root: Path, *arguments: str) -> tuple[float, float, str]:
    """Wall and CPU seconds of one command line in a process of its own, and what it printed."""
    options = () if arguments == ("--help",) else ("--root", str(root))
    wall, cpu = time.perf_counter(), cpu_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "app.entry", *arguments, *options], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - wall, cpu_seconds() - cpu, done.stdout


def _kept(is_kept: bool) -> str:  # noqa: FBT001 - a verdict as a word
    return "yes" if is_kept else "**no**"


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description="Measure training and print a page in Markdown.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of each symbol of the dataset")
    parser.add_argument("--fan-out-rows", type=int, default=100_000, help="rows whose folds are fitted")
    parser.add_argument("--only", choices=["dataset", "loop", "folds"], help="one part of the page")
    options = parser.parse_args()
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"# Training, {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}\n")
    print(
        f"One run of `benchmarks/training.py` on {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}; load {load} when it began. Medians of {ROUNDS} alternated rounds.\n"
    )
    parts = {
        "dataset": lambda: dataset_lines(options.rows),
        "loop": loop_lines,
        "folds": lambda: fan_out_lines(options.fan_out_rows),
    }
    for name, part in parts.items():
        if options.only in {None, name}:
            print("\n".join(part()), flush=True)


if __name__ == "__main__":
    main()
