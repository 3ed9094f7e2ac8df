"""The lake's promises of speed, each as a ratio beside its peer, all of one run.

Run `make bench`, or `python benchmarks/lake.py --peers PYTHON` with the Python of an environment that has
`benchmarks/peers.txt`. The peers are ArcticDB on LMDB, a native DuckDB table, and plain Parquet files read by
polars. They and the lake work in two processes that wait for each other and take turns in every round; each
result is compared by its rows and the sums of its columns, so nobody wins by doing less. Files and processes are
warm; the first call is shown beside. Bars are made up from a seed (feed `synthetic`); the real year is measured
where the shared data are. Ratios are of medians: of wall time, and of CPU time, which a busy machine bends less.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from beside.growth import growth_lines, growth_svg, measure_growth
from beside.turns import Contender, Times, Worker, alternate

from barlake.schemas import BAR_VALUES
from barlake.sessions import Calendar, session_bounds
from barlake.testing import make_bars

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared" / "data" / "bars_1m" / "year_2024"
YEAR = 2024
DAY = (dt.date(2024, 9, 10), dt.date(2024, 9, 11))
PEERS = {"arctic": "ArcticDB", "polars": "plain polars", "duckdb": "native DuckDB", "first": "the first time"}
DAILY = "SELECT * FROM bars_1d ORDER BY symbol, session"


@dataclass(frozen=True)
class Promise:
    """One line of the table: a task of ours beside a peer's, and the highest ratio that keeps the promise."""

    what: str
    ours: Times
    peer: str
    theirs: Times
    most: float | None

    def line(self) -> str:
        """The line in Markdown."""
        wall, cpu = self.ours.median / self.theirs.median, self.ours.cpu_median / self.theirs.cpu_median
        kept = "" if self.most is None else f"{self.most:g}"
        answer = "" if self.most is None else "yes" if wall <= self.most else "**no**"
        return (
            f"| {self.what} | {self.ours} | {PEERS[self.peer]} | {self.theirs} | {wall:.2f} | {cpu:.2f} | {kept} "
            f"| {answer} | {self.ours.peak_mb:.0f} |"
        )


HEAD = (
    "| what | ours, ms (lowest, first call) | peer | peer, ms | ratio | of CPU | promise | kept | our peak, MB |\n"
    "|---|---:|---|---:|---:|---:|---:|---|---:|"
)


class Bench:
    """The two workers on one folder of bars."""

    def __init__(self, peers: Path, folder: Path, bars: dict[str, pl.DataFrame], rounds: int) -> None:
        (folder / "source").mkdir(parents=True)
        for name, frame in bars.items():
            frame.write_parquet(folder / "source" / f"{name}.parquet")
        together = [frame.select(pl.lit(name).alias("symbol"), pl.all()) for name, frame in bars.items()]
        pl.concat(together).write_parquet(folder / "everything.parquet")
        self.names = list(bars)
        self.rounds = rounds
        self._workers = {
            "ours": Worker(sys.executable, HERE / "beside" / "ours.py", folder),
            "theirs": Worker(peers, HERE / "beside" / "theirs.py", folder),
        }

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers.values():
            worker.close()

    def ask(self, task: str) -> Any:
        """What our worker says of itself."""
        return self._workers["ours"].ask(task, {})["said"]

    def turns(self, task: str, arguments: dict[str, Any], peers: str, rounds: int | None = None) -> dict[str, Times]:
        """Times of our worker and of these peers at one task."""
        contenders = [Contender(who, f"{who}.{task}", arguments) for who in ("ours", *peers.split())]
        return alternate(self._workers, contenders, rounds or self.rounds)

    def compare(
        self, what: str, task: str, arguments: dict[str, Any], most: dict[str, float | None], rounds: int | None = None
    ) -> Iterator[Promise]:
        """A line for each peer, with the promise that is made beside it, if any."""
        times = self.turns(task, arguments, " ".join(most), rounds)
        for peer, highest in most.items():
            yield Promise(what, times["ours"], peer, times[peer], highest)

    # --- the tasks -----------------------------------------------------------------------------

    def writes(self) -> Iterator[Promise]:
        """Bulk write, the same again, and the same through ingest."""
        everything = {"symbols": self.names}
        rounds = 3
        first = self.turns("write", everything, "arctic polars duckdb", rounds)
        for peer, most in {"arctic": 1.0, "polars": None, "duckdb": None}.items():
            yield Promise(f"bulk write of {len(self.names)} symbols", first["ours"], peer, first[peer], most)
        again = self.turns("again", everything, "", rounds)
        yield Promise("the same frames written again", again["ours"], "first", first["ours"], 0.05)

    def ingests(self) -> Iterator[Promise]:
        """A month of a symbol through the whole of ingest, then again."""
        times = {"first": Times(), "again": Times()}
        for _ in range(3):
            for who, found in times.items():
                answer = self._workers["ours"].ask("ours.ingest", {"fresh": who == "first"})
                found.add(answer | {"wall": self.ask("ours.ingest_seconds")})
        yield Promise("`ingest` of a range that is there", times["again"], "first", times["first"], 0.05)

    def reads(self, symbol: str) -> Iterator[Promise]:
        """One symbol: all of it, a week, the newest bars."""
        one = {"symbol": symbol}
        yield from self.compare("one symbol-year", "year", one, {"polars": 1.3, "arctic": 1.0, "duckdb": None})
        yield from self.compare("latest 5 bars", "latest", one, {"arctic": 1.0, "polars": None, "duckdb": None})
        start, end = session_bounds(dt.date(2024, 9, 9), dt.date(2024, 9, 14))
        week = {"symbols": [symbol], "start": start.isoformat(), "end": end.isoformat()}
        yield from self.compare("one symbol-week", "span", week, {"arctic": None, "polars": None, "duckdb": None})

    def across(self) -> Iterator[Promise]:
        """All symbols: one day, and daily bars."""
        start, end = session_bounds(*DAY)
        day = {"symbols": self.names, "start": start.isoformat(), "end": end.isoformat()}
        what = f"one day across {len(self.names)} symbols"
        yield from self.compare(what, "span", day, {"arctic": 0.2, "polars": None, "duckdb": None})
        everything, rounds = {"symbols": self.names}, 5
        peers = ("polars", "arctic", "duckdb")
        contenders = [Contender(who, f"{who}.daily", everything) for who in ("ours", *peers)]
        contenders.append(Contender("sql", "ours.sql", {"query": DAILY}))
        times = alternate(self._workers, contenders, rounds)
        for peer in peers:
            most = 1.3 if peer == "polars" else None
            yield Promise("all minutes to daily bars, Python", times["ours"], peer, times[peer], most)
        yield Promise("all minutes to daily bars, SQL", times["sql"], "polars", times["polars"], 1.3)

    def size(self) -> str:
        """Bytes a bar."""
        found = self.ask("ours.size")
        bytes_a_bar = found["bytes"] / found["rows"]
        kept = "yes" if bytes_a_bar <= 17 else "**no**"
        return f"{found['rows']:,} bars in {found['files']} files: {bytes_a_bar:.1f} bytes a bar (promise 17: {kept})."


def made_up(symbols: int) -> dict[str, pl.DataFrame]:
    """A year of bars of each symbol, from a seed."""
    days = Calendar.default().in_range(dt.date(YEAR, 1, 1), dt.date(YEAR + 1, 1, 1))["session"].to_list()
    return {f"S{number:03d}": make_bars(days, seed=number, first_price=20.0 + 7 * number) for number in range(symbols)}


def real() -> dict[str, pl.DataFrame]:
    """The shared year; nothing where it is not there."""
    stamp = pl.col("timestamp").cast(pl.Datetime("us", "UTC"))
    return {path.stem: pl.read_parquet(path).select(stamp, *BAR_VALUES) for path in sorted(SHARED.glob("*.parquet"))}


def sections(given: argparse.Namespace, folder: Path) -> Iterator[str]:
    """The page, piece by piece."""
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    yield f"# The lake beside its peers, {given.date}\n"
    yield (
        f"One run of `benchmarks/lake.py` on {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}; load {load} when it began. Medians of alternated rounds, files warm; "
        "made-up bars are `synthetic`. Read the ratios: ours by the peer's, lower is better.\n"
    )
    bars = made_up(given.symbols)
    rows = sum(frame.height for frame in bars.values())
    bench = Bench(given.peers, folder / "synthetic", bars, given.rounds)
    del bars
    yield f"## {given.symbols} symbols x 252 sessions, {rows:,} made-up bars\n\n{HEAD}"
    for promises in (bench.writes(), bench.ingests(), bench.reads(bench.names[-1]), bench.across()):
        for promise in promises:
            yield promise.line()
    yield f"\n{bench.size()}\n"
    bench.close()
    bars = real()
    if "QQQ" in bars:
        bench = Bench(given.peers, folder / "real", bars, given.rounds)
        yield f"## The real year: {', '.join(bars)}, {sum(one.height for one in bars.values()):,} bars\n\n{HEAD}"
        for promises in (bench.writes(), bench.reads("QQQ")):
            for promise in promises:
                yield promise.line()
        yield f"\n{bench.size()}\n"
        bench.close()


def main() -> None:
    """Write the page and the plot, and print the page."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--peers", type=Path, required=True, help="Python of the peers' environment")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--symbols", type=int, default=50)
    options.add_argument("--folder", type=Path, help="where to work; its disk is what writes are measured on")
    options.add_argument("--out", type=Path, default=HERE / "results")
    options.add_argument("--date", default=dt.datetime.now(tz=dt.UTC).date().isoformat())
    options.add_argument("--most-files", type=int, default=10_000, help="up to which size growth is measured")
    given = options.parse_args()
    page = given.out / f"{given.date}-lake.md"
    with tempfile.TemporaryDirectory(prefix="barlake-bench-", dir=given.folder) as place, page.open("w") as stream:
        for section in sections(given, Path(place)):
            print(section, flush=True)
            print(section, file=stream, flush=True)
        points = measure_growth(Path(place) / "growth", most_files=given.most_files)
        if points:
            (given.out / f"growth-{given.date}.svg").write_text(growth_svg(points))
            for line in growth_lines(points, f"growth-{given.date}.svg"):
                print(line, flush=True)
                print(line, file=stream, flush=True)


if __name__ == "__main__":
    main()
