"""The promises of speed of features, each beside its peer, on a page: `python benchmarks/features.py [--qlib PYTHON]`.

- 64 features of a million bars beside TA-Lib's C library called from numpy: CPU for each feature, and memory.
- Qlib's task, 14 features of the daily bars of 800 symbols on 3,400 days, from files to one matrix, beside Qlib itself
  when `--qlib` names the Python of an environment that has pyqlib.
- The leak proof of the set `full` on 200,000 bars.

Every measurement has a process of its own and one thread, but for the proof, which may use all cores. Bars are made up
from a seed, and the allocators are those of Barlake's commands. CPU seconds are what to read where other programs run:
wall times are shown with the load they had.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from app.entry import spare_memory

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BESIDE = HERE / "beside"

MOST_CPU = 2.7
MOST_MEMORY = 2.5
MOST_PROOF_SECONDS = 30
PUBLISHED_SECONDS = 7.4
"""Qlib's README: the same task with its two caches filled."""

_OWN, _QLIB = "Barlake, from Parquet", "Qlib, from its own files, no cache"
_PARTS = ("indicators", "daily", "proof")
_THREADS = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_ONE_THREAD = dict.fromkeys(_THREADS, "1")


def measured(script: str, *arguments: object, python: Path | str = sys.executable, one_thread: bool = True) -> Any:
    """What a script in a fresh process answers in its last line, if anything."""
    done = subprocess.run(
        [str(python), str(BESIDE / script), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (_ONE_THREAD if one_thread else {}),
    )
    if done.returncode:
        sys.exit(f"{script} {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else None


def kept(value: float, most: float) -> str:
    """Whether a promise was kept, for the table."""
    return f"{most:g} | {'yes' if value <= most else '**no**'}"


def indicators(folder: Path, bars: int, runs: int) -> Iterator[str]:
    """CPU and memory of 64 features beside TA-Lib."""
    file = folder / "bars.parquet"
    count = measured("one_symbol.py", "make", bars, file)
    yield f"## 64 features of {count:,} bars beside TA-Lib C from numpy\n"
    yield (
        "| columns | count | ours, CPU s | TA-Lib and numpy, CPU s | ratio (each run) | promise | kept "
        "| ours, us per bar and feature | theirs |"
    )
    yield "|---|---:|---:|---:|---:|---:|---|---:|---:|"
    rounds = [measured("one_symbol.py", "speed", file) for _ in range(runs)]
    for lines in zip(*rounds, strict=True):
        ratios = [line["ours"] / line["theirs"] for line in lines]
        ours, theirs = (statistics.median(line[who] for line in lines) for who in ("ours", "theirs"))
        each = 1e6 / count / lines[0]["columns"]
        yield (
            f"| {lines[0]['what']} | {lines[0]['columns']} | {ours:.2f} | {theirs:.2f} | {_median(ratios)} "
            f"| {kept(statistics.median(ratios), MOST_CPU)} "
            f"| {ours * each:.4f} | {theirs * each:.4f} |"
        )
    yield (
        "\n| memory of the whole process | output, MB | before, MB | peak, MB | peak / output | promise | kept "
        "| what was added / output |\n|---|---:|---:|---:|---:|---:|---|---:|"
    )
    for who, what in {
        "ours32": "ours, the table that is written: float32, prices float64",
        "ours64": "ours, float64 columns",
        "talib": "TA-Lib and numpy, float64 columns",
    }.items():
        one = measured("one_symbol.py", "memory", file, who)
        ratio = one["peak_mb"] / one["output_mb"]
        promise = " | " if who == "talib" else kept(ratio, MOST_MEMORY)
        yield (
            f"| {what} | {one['output_mb']:.0f} | {one['before_mb']:.0f} | {one['peak_mb']:.0f} | {ratio:.2f} "
            f"| {promise} | {(one['peak_mb'] - one['before_mb']) / one['output_mb']:.2f} |"
        )


def daily(folder: Path, qlib: Path | None, symbols: int, days: int, runs: int) -> Iterator[str]:
    """Qlib's task, ours and Qlib's in turns."""
    measured("daily_task.py", folder, symbols, days)
    sides: dict[str, tuple[str, Path | str]] = {_OWN: ("daily_ours.py", sys.executable)}
    if qlib is not None:
        sides[_QLIB] = ("daily_qlib.py", qlib)
    found: dict[str, list[dict[str, Any]]] = {who: [] for who in sides}
    for number in range(runs):
        for who, (script, python) in sides.items():
            found[who].append(measured(script, folder, folder / f"{script}-{number}.npy", python=python))
    yield f"\n## 14 features of daily bars, {symbols} symbols on {days:,} days: files to matrix, one thread\n"
    yield "| who | CPU s (each run) | wall s (each run) | most memory, MB |"
    yield "|---|---:|---:|---:|"
    for who, answers in found.items():
        cpu, wall = ([one[name] for one in answers] for name in ("cpu", "wall"))
        yield f"| {who} | {_median(cpu)} | {_median(wall)} | {max(one['peak_mb'] for one in answers):.0f} |"
    own = min(one["wall"] for one in found[_OWN])
    yield (
        f"\nQlib publishes {PUBLISHED_SECONDS} s for this with both its caches filled, on other hardware; our fastest "
        f"run took {own:.1f} s without any ({'kept' if own <= PUBLISHED_SECONDS else '**not kept**'})."
    )
    if qlib is not None:
        version = found[_QLIB][0]["version"]
        yield f"\npyqlib {version} ran beside; {_agreement(folder, symbols, days)}"


def _median(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({', '.join(f'{value:.2f}' for value in values)})"


def _agreement(folder: Path, symbols: int, days: int) -> str:
    """How far both matrices lie apart; ends the run where they are not of the same work."""
    ours, theirs = (
        np.load(folder / f"{name}-0.npy").reshape(symbols, days, -1)[:, 100:].astype(np.float64)
        for name in ("daily_ours.py", "daily_qlib.py")
    )
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        sys.exit("one side lacks values after the first 100 days.")
    apart = np.abs(ours - theirs).max(axis=(0, 1)) / ours.std(axis=(0, 1))
    if apart.max() > 1e-4:
        sys.exit(f"the matrices differ by up to {apart.max():.1e} standard deviations.")
    return f"after the first 100 days the matrices agree to {apart.max():.0e} standard deviations of each column."


def proof(bars: int, runs: int) -> Iterator[str]:
    """How long the leak proof takes."""
    yield f"\n## The leak proof of the set `full`, {bars:,} bars, a context symbol, releases and news\n"
    yield "| features | CPU s (each run) | wall s (each run) | promise, wall s | kept |"
    yield "|---:|---:|---:|---:|---|"
    answers = [measured("one_symbol.py", "proof", bars, one_thread=False) for _ in range(runs)]
    cpu, wall = ([one[name] for one in answers] for name in ("cpu", "wall"))
    yield (
        f"| {answers[0]['features']} | {_median(cpu)} | {_median(wall)} "
        f"| {kept(statistics.median(wall), MOST_PROOF_SECONDS)} |"
    )


def sections(given: argparse.Namespace, folder: Path) -> Iterator[str]:
    """The page, line by line."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    yield f"# Features beside their peers, {given.date}\n"
    yield (
        f"One run of `benchmarks/features.py` on {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}; load {load} when it began. Medians, and each run in brackets; made-up bars. A "
        "CPU figure of a comparison is the least of five rounds in turns after one that warms.\n"
    )
    if "indicators" in given.parts:
        yield from indicators(folder, given.bars, given.runs)
    if "daily" in given.parts:
        yield from daily(folder, given.qlib, given.symbols, given.days, given.runs)
    if "proof" in given.parts:
        yield from proof(given.proof_bars, given.proof_runs)
    yield f"\nLoad when it ended: {', '.join(f'{one:.1f}' for one in os.getloadavg())}."


def main() -> None:
    """Print the page and write it."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--qlib", type=Path, help="Python of an environment that has pyqlib")
    options.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    options.add_argument("--bars", type=int, default=1_000_000)
    options.add_argument("--symbols", type=int, default=800)
    options.add_argument("--days", type=int, default=3400)
    options.add_argument("--proof-bars", type=int, default=200_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--proof-runs", type=int, default=1)
    options.add_argument("--folder", type=Path, help="where to work")
    options.add_argument("--out", type=Path, default=HERE / "results")
    options.add_argument("--date", default=dt.datetime.now(tz=dt.UTC).date().isoformat())
    given = options.parse_args()
    spare_memory()
    page = given.out / f"{given.date}-features.md"
    with tempfile.TemporaryDirectory(prefix="barlake-bench-", dir=given.folder) as place, page.open("w") as stream:
        for line in sections(given, Path(place)):
            print(line, flush=True)
            print(line, file=stream, flush=True)


if __name__ == "__main__":
    main()
