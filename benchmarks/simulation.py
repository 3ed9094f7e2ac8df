"""The simulator's promises of speed, on a page: `python benchmarks/simulation.py [--vectorbt PYTHON] [--bars N]`.

- The exact kernel beside a plain float loop with the same record, numpy's add over the same bars, and vectorbt.
- From stored predictions to a complete run folder, beside the writing of its tables alone.
- A sweep of a thousand sets in a process of its own, on two workers.
- What importing the simulator costs.

CPU seconds are what to read where other programs run; wall times stand with the load they had. Bars are made up.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from beside.kernels import of_vectorbt, seconds_of_kernels

import barlake
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars
from simulation_service.plan import ModelSource, SimulationPlan, StrategySource
from simulation_service.simulate import simulate
from simulation_service.sweeps.grid import Grid
from simulation_service.sweeps.sweep import sweep

FLIPS = (0.02, 0.5)
LEAST_LOOP, LEAST_VECTORBT, LEAST_EVERYTHING = 0.9, 40.0, 0.25
MOST_RUN, MOST_TABLES, MOST_SWEEP, MOST_IMPORT = 1.0, 3.0, 10.0, 1.5
SETS, SWEEP_BARS = 1_000, 100_000
GRID = ("fast_bars=5:100:5", "slow_bars=110:355:5")
_SESSION_BARS = 390
_NAMES = {
    "add": "numpy's add, the memory's limit",
    "float loop": "plain float loop, into arrays that exist",
    "exact loop": "**exact loop**, the same",
    "float call": "plain float loop with arrays of its own",
    "exact call": "**exact `replay`**, the same and its checks",
    "with costs": "`replay` with typical costs",
    "everything loop": "**exact loop with everything**: costs, cap, delay, shorts, stops, limits",
    "everything": "`replay` with everything",
}


def kernel_lines(bars: int, rounds: int, vectorbt: Path | None) -> Iterator[str]:
    """Million bars a second of each contender, and the promises about them."""
    columns = [seconds_of_kernels(bars, flip, rounds) for flip in FLIPS]
    heads = " | ".join(f"{flip:.0%} flips, M bars/s | by float loop" for flip in FLIPS)
    yield f"## The kernel on {bars:,} bars\n"
    yield f"| CPU, best of {rounds} rounds in turns | {heads} |\n|---|" + "---:|" * (2 * len(FLIPS))
    for name, title in _NAMES.items():
        base = "float call" if name == "exact call" else "float loop"
        cells = " | ".join(f"{bars / one[name] / 1e6:,.0f} | {one[base] / one[name]:.2f}" for one in columns)
        yield f"| {title} | {cells} |"
    theirs: list[float] = []
    if vectorbt is not None:
        with tempfile.TemporaryDirectory(prefix="barlake-bench-") as folder:
            answer = of_vectorbt(vectorbt, Path(folder), bars, FLIPS, max(rounds // 3, 3))
        found = [answer["flips"][str(flip)] for flip in FLIPS]
        theirs = [one["seconds"] for one in found]
        cells = " | ".join(
            f"{bars / one / 1e6:,.1f} | {own['float loop'] / one:.3f}" for one, own in zip(theirs, columns, strict=True)
        )
        yield f"| vectorbt {answer['version']}, `from_signals` and `value` | {cells} |"
        yield f"\nThe first call of vectorbt took {found[0]['first']:.0f} s of CPU, to compile."
    yield (
        "\n| promise | least | "
        + " | ".join(f"{flip:.0%} flips" for flip in FLIPS)
        + " | kept |\n|---|---:|---:|---:|---|"
    )
    yield _promise("exact loop by float loop", LEAST_LOOP, [one["float loop"] / one["exact loop"] for one in columns])
    if theirs:
        for what, name in (
            ("exact loop", "exact loop"),
            ("whole exact `replay`", "exact call"),
        ):
            ratios = [their / one[name] for their, one in zip(theirs, columns, strict=True)]
            yield _promise(f"{what} by vectorbt", LEAST_VECTORBT, ratios)
    ratios = [one["float loop"] / one["everything loop"] for one in columns]
    yield _promise("exact loop with everything by float loop", LEAST_EVERYTHING, ratios)
    yield ""


def _promise(what: str, least: float, ratios: list[float]) -> str:
    cells = " | ".join(f"{ratio:.2f}" for ratio in ratios)
    return f"| {what} | {least:g} | {cells} | {_kept(min(ratios) >= least)} |"


def _kept(is_so: bool) -> str:  # noqa: FBT001 - one word for yes or no
    return "yes" if is_so else "**no**"


# --- a run folder ------------------------------------------------------------------------------


def _lake(folder: Path, bars: int) -> Lake:
    """A lake with so many made-up regular minutes of SPY, or a few more."""
    days = Calendar.default().in_range(dt.date(2012, 1, 1), dt.date(2025, 1, 1))["session"].to_list()
    lake = barlake.open(folder / "lake", settings=Settings(_env_file=None))
    made = make_bars(days[: -(-bars // _SESSION_BARS)], seed=1, first_price=250.0)
    lake.write_bars(made, feed="synthetic", symbol="SPY")
    return lake


def _model(lake: Lake) -> str:
    """A model that holds nothing but predictions: a signal that changes at one bar in fifty."""
    row = pl.int_range(pl.len())
    made = lake.bars("SPY", session="regular").select(
        "symbol",
        "session",
        "timestamp",
        fold=pl.lit(0, pl.Int32),
        fitted_before=pl.lit(dt.datetime(2000, 1, 1, tzinfo=dt.UTC)).cast(pl.Datetime("us", "UTC")),
        prediction=0.5 + 0.4 * (row * 0.37).sin(),
        signal=((row // 50) % 2).cast(pl.Float64),
    )
    facts = {"symbols": ["SPY"], "feed": "synthetic", "session": "regular"}
    with lake.artifacts.create(ArtifactKind.MODEL, "feedbeefcafe0001", parameters=facts, inputs={}, code="") as draft:
        made.write_parquet(draft.path / "predictions.parquet")
    return "feedbeefcafe0001"


def run_lines(bars: int, rounds: int) -> Iterator[str]:
    """A whole run from stored predictions, and its tables written again."""
    with tempfile.TemporaryDirectory(prefix="barlake-bench-") as place:
        lake = _lake(Path(place), bars)
        model, held = _model(lake), bars
        whole: list[tuple[float, float]] = []
        alone: list[tuple[float, float]] = []
        for number in range(rounds + 1):
            before = time.perf_counter(), time.process_time()
            run = simulate(lake, SimulationPlan(("SPY",), ModelSource(model), cash_usd=100_000 + number)).run
            whole.append((time.perf_counter() - before[0], time.process_time() - before[1]))
            tables = {path.name: pl.read_parquet(path) for path in sorted(run.path.glob("*.parquet"))}
            held = tables["equity.parquet"].height
            before = time.perf_counter(), time.process_time()
            _write(Path(place) / "alone", tables)
            alone.append((time.perf_counter() - before[0], time.process_time() - before[1]))
        lake.close()
    (wall, cpu), (table_wall, table_cpu) = (
        [statistics.median(column) for column in zip(*times[1:], strict=True)] for times in (whole, alone)
    )
    yield f"## From stored predictions to a complete run folder, {held:,} bars\n"
    yield "| | wall, s | CPU, s |\n|---|---:|---:|"
    yield f"| the run: {', '.join(tables)}, page, manifest | {wall:.2f} | {cpu:.2f} |"
    yield f"| the same tables written alone | {table_wall:.2f} | {table_cpu:.2f} |"
    yield (
        f"\nMedians of {rounds} rounds in turns. Promise: under {MOST_RUN:g} s: {_kept(wall < MOST_RUN)}; under "
        f"{MOST_TABLES:g} times the tables: {wall / table_wall:.2f} of wall time, {cpu / table_cpu:.2f} of CPU, "
        f"{_kept(wall < MOST_TABLES * table_wall)}.\n"
    )


def _write(folder: Path, tables: dict[str, pl.DataFrame]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, table in tables.items():
        table.write_parquet(folder / name, compression="zstd")


# --- a sweep -----------------------------------------------------------------------------------


def sweep_lines() -> Iterator[str]:
    """A thousand sets, in a fresh process with two workers."""
    with tempfile.TemporaryDirectory(prefix="barlake-bench-") as place:
        lake = _lake(Path(place), SWEEP_BARS)
        held = lake.bars("SPY", session="regular").height
        lake.close()
        command = [sys.executable, __file__, "--sweep-in", place]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    load = os.getloadavg()[0]
    yield f"## A sweep of {SETS:,} sets on {held:,} bars, two workers\n"
    yield (
        f"{seconds:.1f} s of wall time from bars in the lake to the page, with the start of the workers, {SETS:,} rows "
        f"in the ledger and the probability of overfitting (load {load:.1f}; the process and its workers used "
        f"{used:.1f} s of CPU, imports too). Promise: under {MOST_SWEEP:g} s: {_kept(seconds < MOST_SWEEP)}.\n"
    )


def _sweep_in(place: str) -> None:
    """The sweep itself; prints its seconds."""
    with barlake.open(Path(place) / "lake", settings=Settings(_env_file=None)) as lake:
        plan = SimulationPlan(("SPY",), StrategySource("moving_average_cross"))
        begun = time.perf_counter()
        found = sweep(lake, plan, Grid.parse(GRID), workers=2)
        seconds = time.perf_counter() - begun
    if found.table.height != SETS or found.sweep.results["failed"]:
        sys.exit(f"{found.table.height} sets, {found.sweep.results['failed']} failed: {SETS} were to be tried.")
    print(seconds)


# --- imports -----------------------------------------------------------------------------------


def import_lines(rounds: int) -> Iterator[str]:
    """CPU seconds of imports, each in a process of its own, less those of a bare interpreter."""
    names = ("simulation_service", "simulation_service.simulate", "simulation_service.main")
    found = {name: min(_import_seconds(f"import {name}") for _ in range(rounds)) for name in names}
    bare = min(_import_seconds("pass") for _ in range(rounds))
    yield "## Imports\n"
    yield "| | CPU, s |\n|---|---:|"
    for name, seconds in found.items():
        yield f"| `import {name}` | {seconds - bare:.2f} |"
    yield f"\nPromise: under {MOST_IMPORT:g} s of CPU, {_kept(max(found.values()) - bare < MOST_IMPORT)}."


def _import_seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the page."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--bars", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--vectorbt", type=Path, help="Python of an environment with benchmarks/vectorbt.txt")
    options.add_argument("--only", choices=["kernel", "run", "sweep", "import"], help="one part of the page")
    options.add_argument("--sweep-in", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.sweep_in is not None:
        _sweep_in(given.sweep_in)
        return
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"# The simulator, {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}\n")
    print(
        f"One run of `benchmarks/simulation.py` on {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}; load {load} when it began. Made-up bars (`synthetic`).\n"
    )
    parts = {
        "kernel": lambda: kernel_lines(given.bars, given.rounds, given.vectorbt),
        "run": lambda: run_lines(given.bars, max(given.rounds // 3, 1)),
        "sweep": sweep_lines,
        "import": lambda: import_lines(3),
    }
    for name, part in parts.items():
        if given.only in {None, name}:
            for line in part():
                print(line, flush=True)


if __name__ == "__main__":
    main()
