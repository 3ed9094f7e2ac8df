"""The promises of the service's speed, on a page: `python benchmarks/api.py [--folder FOLDER] [--minutes 10]`.

- A symbol-week of bars as JSON, and the latest five, one reader at a time and several at once, beside a bare FastAPI
  route under the same server that gives the same bytes, and beside reading the same week in process.
- A million bars as Arrow over the wire, beside `Lake.bars` and DuckDB reading them in process.
- A hundred readers while bars are ingested, corrected and rolled up: no error, no answer of two states, flat memory.

The lake is 50 made-up symbols of a year; the million is one symbol of eleven years. Service, readers and writer are
processes of their own. CPU of the service is what to read where other programs run; wall times stand with their load.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import http.client
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
import requests
from beside.crowd import Crowd
from beside.made_up_lake import FEED, make_lake, open_lake, symbol_name

from barlake.keys import PeriodLength
from barlake.sessions import Calendar
from barlake.testing import make_bars

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ARROW = "application/vnd.apache.arrow.stream"
WEEK = "/bars/{symbol}?{week}"
LATEST = "/bars/{symbol}?limit=5"
DEEP = "DEEP"
HEAD = (
    "| what | readers | requests/s | p50, ms | p95, ms | service CPU, ms a request | promise | kept |\n"
    "|---|---:|---:|---:|---:|---:|---|---|"
)


@dataclass(frozen=True)
class Service:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    url: str

    @property
    def cpu_seconds(self) -> float:
        """User and system time so far, of all its processes."""
        spent = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
            spent += int(fields[11]) + int(fields[12])
        return spent / os.sysconf("SC_CLK_TCK")

    def _pids(self) -> list[int]:
        own = self.process.pid
        return [own, *map(int, Path(f"/proc/{own}/task/{own}/children").read_text(encoding="ascii").split())]

    @property
    def resident_mb(self) -> float:
        """Memory held now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def running(*command: str | Path) -> Iterator[Service]:
    """A service that prints its address, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = next(line for line in process.stdout if "http://" in line)
        yield Service(process, line[line.index("http://") :].split(";")[0].strip())
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def load(service: Service, pattern: str, *, readers: int, count: int, symbols: int) -> dict[str, Any]:
    """What readers in a process of their own met with so many requests in all, and the CPU of the service meanwhile."""
    place = urlsplit(service.url)
    order = {
        "host": place.hostname, "port": place.port, "pattern": pattern, "readers": readers,
        "requests": max(count // readers, 1), "symbols": symbols,
    }  # fmt: skip
    before = service.cpu_seconds
    command = [sys.executable, str(HERE / "beside" / "http_load.py")]
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    if found["faults"]:
        sys.exit(f"{len(found['faults'])} answers were none, the first: {found['faults'][0]}")
    return found | {"service_cpu": service.cpu_seconds - before}


def line(what: str, readers: int, found: dict[str, Any], promise: str = "", *, kept: bool | None = None) -> str:
    """A line of the table."""
    seconds = found["seconds"]
    p50, p95 = (seconds[int(len(seconds) * share)] * 1e3 for share in (0.5, 0.95))
    answer = "" if kept is None else "yes" if kept else "**no**"
    return (
        f"| {what} | {readers} | {len(seconds) / found['wall']:.0f} | {p50:.1f} | {p95:.1f} "
        f"| {found['service_cpu'] / len(seconds) * 1e3:.2f} | {promise} | {answer} |"
    )


def p95_ms(found: dict[str, Any]) -> float:
    """The 95th of a hundred."""
    return float(found["seconds"][int(len(found["seconds"]) * 0.95)]) * 1e3


def small_answers(lake_folder: Path, folder: Path, given: argparse.Namespace) -> Iterator[str]:
    """Symbol-weeks and the latest five, beside the same bytes from a bare route."""
    yield HEAD
    with serving(lake_folder) as service:
        warm(service, given)
        yield from by_readers(service, given)
        body = folder / "week.json"
        week = requests.get(f"{service.url}/bars/S007?start=2025-03-03&end=2025-03-10", timeout=60)
        body.write_bytes(week.content)
    with serving(lake_folder, "--processes", str(given.processes)) as service:
        warm(service, given)
        for readers in (4, 8):
            found = load(service, WEEK, readers=readers, count=given.requests, symbols=given.symbols)
            rate = len(found["seconds"]) / found["wall"]
            what = f"symbol-week, JSON, {given.processes} processes"
            yield line(what, readers, found, "200 requests/s", kept=rate >= 200)
    with running(HERE / "beside" / "bare_service.py", body) as bare:
        for readers in (1, 4, 8):
            found = load(bare, "/bars", readers=readers, count=given.requests, symbols=1)
            yield line("peer: a bare route, the same bytes", readers, found)


def serving(lake_folder: Path, *options: str) -> contextlib.AbstractContextManager[Service]:
    """The service of a lake, as a user starts it."""
    return running("-m", "app.cli", "serve", "--port", "0", "--root", lake_folder, *options)


def warm(service: Service, given: argparse.Namespace) -> None:
    """Have imports made, and files in memory."""
    for pattern in (WEEK, LATEST):
        load(service, pattern, readers=8, count=200, symbols=given.symbols)


def by_readers(service: Service, given: argparse.Namespace) -> Iterator[str]:
    """Both questions, asked by one reader and by several."""
    for what, pattern, most in (("symbol-week, JSON", WEEK, 25.0), ("latest five, JSON", LATEST, 10.0)):
        for readers in (1, 4, 8):
            found = load(service, pattern, readers=readers, count=given.requests, symbols=given.symbols)
            if readers == 1:
                yield line(what, readers, found, f"p95 < {most:g} ms", kept=p95_ms(found) < most)
            else:
                yield line(what, readers, found)


def in_process(lake_folder: Path, given: argparse.Namespace) -> str:
    """The same weeks read by `Lake.bars`, without a service."""
    with open_lake(lake_folder) as lake:
        times = []
        for number in range(200):
            began = time.perf_counter()
            lake.bars(symbol_name(number * 7 % given.symbols), "2025-03-03", "2025-03-10")
            times.append(time.perf_counter() - began)
    times.sort()
    return f"In process `Lake.bars` takes {times[100] * 1e3:.1f} ms for such a week (p95 {times[190] * 1e3:.1f} ms)."


def make_deep(folder: Path) -> None:
    """Eleven years of one symbol, a file each, where it is not there yet."""
    with open_lake(folder) as lake:
        if lake.symbols().is_empty():
            for year in range(2015, 2026):
                days = Calendar.default().in_range(dt.date(year, 1, 1), dt.date(year + 1, 1, 1))["session"].to_list()
                bars = make_bars(days, seed=year)
                lake.writer.write(bars, feed=FEED, symbol=DEEP, source="python", longest=PeriodLength.YEAR)


def a_million(folder: Path, rounds: int) -> Iterator[str]:
    """All bars of one symbol as Arrow: over the wire, and read in process."""
    make_deep(folder)
    with open_lake(folder) as lake, serving(folder) as service:
        paths = [lake.store.address(file.path) for file in lake.manifest.files()]
        rows = int(lake.symbols()["bars"].sum())

        def over_the_wire() -> int:
            # Read as it comes: to collect it first would have this reader hold, and copy, all of it twice.
            with contextlib.closing(http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=120)) as link:
                link.request("GET", f"/bars/{DEEP}", headers={"Accept": ARROW})
                return int(pa.ipc.open_stream(link.getresponse()).read_all().num_rows)

        def by_duckdb() -> int:
            with duckdb.connect() as connection:
                return int(connection.read_parquet(paths).order("timestamp").to_arrow_table().num_rows)

        ways = {
            "over the wire": over_the_wire,
            "`Lake.bars(output='arrow')` in process": lambda: lake.bars(DEEP, output="arrow").num_rows,
            "DuckDB in process, in order": by_duckdb,
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                began = time.perf_counter()
                if way() != rows:
                    sys.exit(f"{name}: not all of {rows} bars")
                times[name].append(time.perf_counter() - began)
        peak = service.resident_mb
    yield "| a million bars as Arrow | median, ms | lowest, ms | bars a second |\n|---|---:|---:|---:|"
    for name, seconds in times.items():
        median = statistics.median(seconds)
        yield f"| {name} | {median * 1e3:.0f} | {min(seconds) * 1e3:.0f} | {rows / median:,.0f} |"
    wire, home = (statistics.median(times[name]) for name in list(ways)[:2])
    kept = "yes" if home / wire >= 0.5 else "**no**"
    yield (
        f"\n{rows:,} bars: {home / wire:.2f} of the speed in process (promise 0.5: {kept}); "
        f"the service held {peak:.0f} MB.\n"
    )


def a_crowd(folder: Path, given: argparse.Namespace) -> Iterator[str]:
    """A hundred readers beside a writer, minute by minute."""
    lake_folder = folder / "crowd"
    make_lake(lake_folder, symbols=given.crowd_symbols)
    with serving(lake_folder) as service:
        crowd = Crowd(lake_folder, service.url, readers=given.readers)
        memory = crowd.run(given.minutes * 60, lambda: service.resident_mb)
    yield (
        f"{given.readers} readers for {given.minutes:g} minutes: {crowd.answers:,} answers, {crowd.faults} faults, "
        f"{crowd.mixed} of two states; beside them {crowd.commits} commits (new sessions and corrections) and "
        f"{crowd.rollups} rollups.\n"
    )
    for fault in crowd.examples:
        yield f"- {fault}"
    third = max(len(memory) // 3, 1)
    early, late = statistics.median(memory[third : 2 * third]), statistics.median(memory[-third:])
    kept = "yes" if late < early * 1.1 + 20 and not crowd.faults and not crowd.mixed else "**no**"
    yield (
        f"Memory of the service: {statistics.median(memory[:third]):.0f} MB in the first third, {early:.0f} in the "
        f"second, {late:.0f} in the last, at most {max(memory):.0f} "
        f"(promise: no error, no mixed answer, flat: {kept}).\n"
    )


def sections(given: argparse.Namespace, folder: Path) -> Iterator[str]:
    """The page, piece by piece."""
    loads = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    yield f"# The service beside its peers, {given.date}\n"
    yield (
        f"One run of `benchmarks/api.py` on {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}; load {loads} when it began: what else ran took its share of the wall times. "
        "Made-up bars (`synthetic`), files warm, readers without gzip.\n"
    )
    lake_folder = folder / "lake"
    make_lake(lake_folder, symbols=given.symbols)
    yield f"## {given.symbols} symbols x one year\n"
    yield from small_answers(lake_folder, folder, given)
    yield f"\n{in_process(lake_folder, given)}\n"
    yield "## A million bars\n"
    yield from a_million(folder / "deep", given.rounds)
    yield "## A hundred readers beside a writer\n"
    yield from a_crowd(folder, given)
    yield f"Load when it ended: {', '.join(f'{one:.1f}' for one in os.getloadavg())}."


def main() -> None:
    """Write the page, and print it."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--folder", type=Path, help="where the lakes are made, and kept; a temporary one without it")
    options.add_argument("--symbols", type=int, default=50)
    options.add_argument("--requests", type=int, default=1_000)
    options.add_argument("--processes", type=int, default=os.cpu_count() or 2, help="of the service, for many readers")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--readers", type=int, default=100)
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--crowd-symbols", type=int, default=10)
    options.add_argument("--out", type=Path, default=HERE / "results")
    options.add_argument("--date", default=dt.datetime.now(tz=dt.UTC).date().isoformat())
    given = options.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="barlake-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        stream = stack.enter_context((given.out / f"{given.date}-api.md").open("w"))
        for section in sections(given, folder):
            print(section, flush=True)
            print(section, file=stream, flush=True)


if __name__ == "__main__":
    main()
