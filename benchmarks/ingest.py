"""Ingest's promises of speed beside the limit and beside its peers, all of one run.

Run `python benchmarks/ingest.py`. The emulator serves made-up bars in a process of its own on the same machine; pages
are asked for once before they are timed, so that making them is not counted. The limit is 200 requests in a minute of
its clock, which `--speed` makes faster. CPU is that of the asking process alone, all threads; the peers read the same
pages and end with the same rows, which is checked. Bars are `synthetic`; the peers, which keep nothing, ask for them
under the emulator's other name for the folder, because the library knows no such feed.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import itertools
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from beside.turns import ROOT, Contender, Worker, alternate

from app.entry import spare_memory
from barlake.sessions import Calendar
from barlake.testing import make_bars

HERE = Path(__file__).resolve().parent
FIRST, BEYOND = dt.date(2014, 1, 1), dt.date(2024, 1, 1)
TWO_YEARS = ("2022-01-01", "2024-01-01")
LIMIT, PAGE = 200, 10_000
HEAD = "| what | ours | peer | peer's | ratio | promise | kept |\n|---|---:|---|---:|---:|---:|---|"


def line(what: str, ours: str, peer: str, theirs: str, ratio: float, promise: str, kept: bool | None) -> str:  # noqa: FBT001 - a row of a table
    """One row of the table."""
    answer = "" if kept is None else "yes" if kept else "**no**"
    return f"| {what} | {ours} | {peer} | {theirs} | {ratio:.2f} | {promise} | {answer} |"


def make_folder(folder: Path, symbols: int) -> tuple[list[str], int]:
    """Ten years of regular minutes of each symbol; names, and bars of one."""
    calendar = Calendar.cached(folder.parent / "calendar" / "xnys.parquet")
    days = calendar.in_range(FIRST, BEYOND)["session"].to_list()
    folder.mkdir()
    names, rows = [f"S{chr(65 + number)}" for number in range(symbols)], 0
    for number, name in enumerate(names):
        frame = make_bars(days, seed=number, first_price=20.0 + 7 * number)
        frame.write_parquet(folder / f"{name}.parquet")
        rows = frame.height
    return names, rows


@contextlib.contextmanager
def emulator(folder: Path, bars: Path, *options: object) -> Iterator[str]:
    """Address of an emulator in a process of its own."""
    command = [sys.executable, "-m", "app.cli", "emulate", "--bars", bars, "--feed", "synthetic,sip", "--port", "0",
               "--root", folder / "emulator", "--json", *options]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        facts = json.loads("".join(itertools.takewhile(lambda text: text != "}\n", process.stdout)) + "}")
        try:
            yield facts["url"]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def worker(folder: Path) -> Worker:
    """A process that asks."""
    return Worker(sys.executable, HERE / "beside" / "fetching.py", folder)


def beside_the_limit(folder: Path, bars: Path, names: list[str], speed: float, windows: int) -> Iterator[str]:
    """Bars in a minute of the limit's clock."""
    clock = folder / "clock.json"
    span = {"start": FIRST.isoformat(), "end": BEYOND.isoformat()}
    with emulator(folder, bars, "--clock", clock, "--now", "2026-01-05T15:00:00Z", "--speed", speed) as url:
        warm = worker(folder)
        for name in names:
            warm.ask("ours.store", {"url": url, "symbol": name, **span})
        warm.close()
        asking = worker(folder)
        given = {"url": url, "clock": str(clock), "symbols": names, "windows": windows, **span}
        found = asking.ask("ours.paced", given)["said"]
        asking.close()
    a_page = found["bars"] / found["pages"]
    bars_a_minute = found["pages_in_time"] * a_page / windows
    share, of_pages = bars_a_minute / (LIMIT * PAGE), bars_a_minute / (LIMIT * a_page)
    what = f"bars a minute at {LIMIT} requests a minute, clock x{found['speed']:g}, {windows} minutes"
    yield line(what, f"{bars_a_minute:,.0f}", "the limit, full pages", f"{LIMIT * PAGE:,}", share, "0.9", share >= 0.9)
    what = f"the same; a page holds {a_page:,.0f} bars"
    yield line(
        what, f"{bars_a_minute:,.0f}", "the limit, pages as they are", f"{LIMIT * a_page:,.0f}", of_pages, "", None
    )


def beside_peers(folder: Path, url: str, name: str, rounds: int) -> Iterator[str]:
    """CPU of parsing and writing, for a million bars."""
    given = dict(zip(("url", "symbol", "start", "end"), (url, name, *TWO_YEARS), strict=True))
    tasks = {"ours": "ours.store", "models": "theirs.models", "arrow": "theirs.arrow", "bytes": "theirs.arrow_bytes"}
    workers = {"ours": worker(folder), "theirs": worker(folder)}
    times = alternate(workers, [Contender(who, task, given) for who, task in tasks.items()], rounds)
    for one in workers.values():
        one.close()
    days = Calendar.default().in_range(*map(dt.date.fromisoformat, TWO_YEARS))
    millions = sum(days.select((days["close"] - days["open"]).dt.total_minutes()).to_series()) / 1e6
    cpu = {who: found.cpu_median / millions for who, found in times.items()}
    what, ours = "CPU seconds to fetch, parse, merge and commit a million bars", f"{cpu['ours']:.2f}"
    named = {"models": "alpaca-py, models and `.df`", "arrow": "`json.loads` to Arrow, nothing kept",
             "bytes": "Arrow's JSON reader, nothing kept"}  # fmt: skip
    promises = {"models": 1 / 8, "arrow": 1.5, "bytes": None}
    for who, most in promises.items():
        ratio = cpu["ours"] / cpu[who]
        promise, kept = ("", None) if most is None else (f"{most:g}", ratio <= most)
        yield line(what, ours, named[who], f"{cpu[who]:.2f}", ratio, promise, kept)


def whole_history(folder: Path, url: str, name: str, rows: int) -> Iterator[str]:
    """Memory and time of ten years of one symbol, with checks, rollup and the catalogue."""
    asking = worker(folder)
    span = {"start": FIRST.isoformat(), "end": BEYOND.isoformat()}
    found = asking.ask("ours.whole", {"url": url, "symbol": name, **span})
    asking.close()
    peak = found["peak_mb"]
    yield line(
        "peak memory of ten years of one symbol, MB", f"{peak:.0f}", "the promise", "300", peak / 300, "1", peak < 300
    )
    speed = rows / found["wall"] * 60
    what = "bars a real minute of the same, no limit"
    yield line(what, f"{speed:,.0f}", "the limit", f"{LIMIT * PAGE:,}", speed / (LIMIT * PAGE), "", None)


def live_minute(folder: Path, rounds: int) -> Iterator[str]:
    """Seconds until a minute of 500 symbols, received, can be asked for by SQL: the write and the catalogue."""
    asking = worker(folder)
    found = [asking.ask("ours.minute", {"symbols": 500, "minutes": 195})["wall"] for _ in range(rounds)]
    asking.close()
    seconds = statistics.median(found)
    what = "a minute of 500 symbols, 195 minutes held: seconds from received to visible by SQL"
    yield line(what, f"{seconds:.2f}", "the promise", "2", seconds / 2, "1", seconds <= 2)


def sections(given: argparse.Namespace, folder: Path) -> Iterator[str]:
    """The page, piece by piece."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    yield f"# Ingest beside the limit and its peers, {given.date}\n"
    yield (
        f"One run of `benchmarks/ingest.py` on {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}; load {load} when it began. Made-up bars (`synthetic`), the emulator "
        "beside on the same cores. A ratio is ours by the peer's.\n"
    )
    names, rows = make_folder(folder / "bars", given.symbols)
    yield HEAD
    if given.windows:
        yield from beside_the_limit(folder, folder / "bars", names, given.speed, given.windows)
    with emulator(folder, folder / "bars", "--requests-per-minute", 100_000) as url:
        yield from beside_peers(folder, url, names[0], given.rounds)
        yield from whole_history(folder, url, names[0], rows)
    yield from live_minute(folder, given.rounds)


def main() -> None:
    """Write the page, and print it."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--symbols", type=int, default=5, help="enough for the windows: a symbol is 98 pages")
    options.add_argument("--windows", type=int, default=2, help="minutes of the limit; 0 leaves that out")
    options.add_argument("--speed", type=float, default=1.0, help="how much faster the limit's clock runs")
    options.add_argument("--folder", type=Path, help="where to work; its disk is what writes are measured on")
    options.add_argument("--out", type=Path, default=HERE / "results")
    options.add_argument("--date", default=dt.datetime.now(tz=dt.UTC).date().isoformat())
    given = options.parse_args()
    os.environ.pop("_RJEM_MALLOC_CONF", None)  # what polars said of this process
    spare_memory()  # the workers inherit it: they keep as little as a command does
    page = given.out / f"{given.date}-ingest.md"
    with tempfile.TemporaryDirectory(prefix="barlake-bench-", dir=given.folder) as place, page.open("w") as stream:
        for section in sections(given, Path(place)):
            print(section, flush=True)
            print(section, file=stream, flush=True)


if __name__ == "__main__":
    main()
