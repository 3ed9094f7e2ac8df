"""How cost grows with symbols and years: metadata of a whole lake, made up from one symbol's.

One symbol is written for real: its last year in full, the years before it one bar a session. Every other
symbol has the same sessions in the manifest, copied there by the database, and the same files on the disk as hard
links: the manifest and the catalogue have their true size, the bytes of the bars do not.
"""

from __future__ import annotations

import datetime as dt
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from sqlalchemy import text

import barlake
from barlake.database import writing
from barlake.keys import PeriodLength
from barlake.lake import Lake
from barlake.sessions import Calendar
from barlake.settings import Settings
from barlake.testing import make_bars

__all__ = ["Point", "growth_lines", "growth_svg", "measure_growth"]

SIZES = [(symbols, years) for years in (1, 10) for symbols in (10, 100, 1000)]
FEED, MODEL = "synthetic", "S000"
LAST_YEAR = 2024
_COPIED = {
    "held_sessions": "session, rows, regular_rows, first_timestamp, last_timestamp, content_hash, commit_id",
    "answers": "session, status, attempts, answered_at",
}


@dataclass(frozen=True)
class Point:
    """CPU milliseconds of each task in a lake of so many symbols and years."""

    symbols: int
    years: int
    files: int
    sessions: int
    cost: dict[str, float]


def measure_growth(folder: Path, *, most_files: int = 10_000) -> list[Point]:
    """A point for each size up to so many files."""
    sizes = [size for size in SIZES if size[0] * size[1] <= most_files]
    return [_measure(folder / f"{symbols}x{years}", symbols, years) for symbols, years in sizes]


def _measure(root: Path, symbols: int, years: int) -> Point:
    settings = Settings(_env_file=None)
    with barlake.open(root, settings=settings) as lake:
        _fill(lake, symbols, years)
        lake.publish()
    names = [f"S{number:03d}" for number in range(symbols)]
    some = names[symbols // 2]
    with barlake.open(root, settings=settings) as lake:
        _ = lake.calendar
        days = iter(Calendar.default().in_range(dt.date(2026, 1, 2), dt.date(2026, 6, 1))["session"].to_list())
        week = f"timestamp >= '{LAST_YEAR}-09-09 04:00:00+00' AND timestamp < '{LAST_YEAR}-09-14 04:00:00+00'"
        tasks: dict[str, tuple[int, Callable[[], object]]] = {
            "open the lake": (5, lambda: barlake.open(root, settings=settings).close()),
            "a symbol-week, `lake.bars`": (9, lambda: lake.bars(some, f"{LAST_YEAR}-09-09", f"{LAST_YEAR}-09-14")),
            "latest 5 bars": (9, lambda: lake.latest(some, 5)),
            "a symbol-week, SQL": (
                3,
                lambda: lake.sql(f"SELECT * FROM bars WHERE symbol = '{some}' AND {week} ORDER BY timestamp"),
            ),
            "coverage of a symbol": (5, lambda: lake.coverage(some)),
            "`symbols()`": (3, lake.symbols),
            "write a session, no publishing": (
                3,
                lambda: lake.writer.write(make_bars([next(days)]), feed=FEED, symbol=some, source="benchmark"),
            ),
            "publish": (1 if symbols * years > 1000 else 3, lake.publish),
        }
        cost = {name: _median(work, rounds) for name, (rounds, work) in tasks.items()}
        files = len(lake.manifest.known_paths())
    return Point(symbols, years, files, symbols * years * 252, cost)


def _median(work: Callable[[], object], rounds: int) -> float:
    if rounds > 1:
        work()
    found = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        found.append((time.process_time() - began) * 1e3)
    return statistics.median(found)


def _fill(lake: Lake, symbols: int, years: int) -> None:
    """One symbol for real, the others as its copies."""
    for year in range(LAST_YEAR - years + 1, LAST_YEAR + 1):
        days = Calendar.default().in_range(dt.date(year, 1, 1), dt.date(year + 1, 1, 1))["session"].to_list()
        bars = make_bars(days, seed=year, minutes=None if year == LAST_YEAR else 1)
        lake.writer.write(bars, feed=FEED, symbol=MODEL, source="import", longest=PeriodLength.YEAR)
    files = lake.manifest.files()
    names = [f"S{number:03d}" for number in range(1, symbols)]
    for file in files:
        for name in names:
            copy = lake.root / file.path.replace(f"symbol={MODEL}", f"symbol={name}")
            copy.parent.mkdir(parents=True)
            os.link(lake.root / file.path, copy)
    with writing(lake.manifest.engine) as connection:
        connection.execute(text("CREATE TEMP TABLE names (name TEXT)"))
        connection.execute(text("INSERT INTO names VALUES (:name)"), [{"name": name} for name in names])
        for table, columns in _COPIED.items():
            connection.execute(
                text(
                    f"INSERT INTO {table} (feed, symbol, {columns}) SELECT feed, names.name, {columns} "
                    f"FROM {table}, names WHERE symbol = '{MODEL}'"
                )
            )
        connection.execute(
            text(
                f"""INSERT INTO files (path, dataset, feed, symbol, period, period_start, period_end, rows, bytes,
                                       first_timestamp, last_timestamp, commit_id)
                    SELECT replace(path, 'symbol={MODEL}', 'symbol=' || names.name), dataset, feed, names.name, period,
                           period_start, period_end, rows, bytes, first_timestamp, last_timestamp, commit_id
                    FROM files, names WHERE symbol = '{MODEL}'"""
            )
        )


def growth_lines(points: list[Point], plot: str) -> Iterator[str]:
    """The table of costs in Markdown, milliseconds of CPU."""
    yield "\n## How cost grows\n"
    yield (
        "CPU milliseconds of all threads, medians, warm: they hold still on a busy machine. One symbol is real; the "
        "manifest and the catalogue of the others are its copies, "
        f"and their files hard links. After rollup there is one file for each symbol and year. ![growth]({plot})\n"
    )
    heads = " | ".join(f"{one.symbols:,} x {one.years}" for one in points)
    yield f"| symbols x years | {heads} |\n|---|" + "---:|" * len(points)
    yield "| files | " + " | ".join(f"{one.files:,}" for one in points) + " |"
    yield "| sessions | " + " | ".join(f"{one.sessions:,}" for one in points) + " |"
    for task in points[0].cost:
        yield f"| {task} | " + " | ".join(f"{one.cost[task]:,.1f}" for one in points) + " |"


_WIDE, _HIGH, _LEFT, _BOTTOM = 900, 480, 70, 420
_COLOURS = ("#1b6ca8", "#c0392b", "#218c5a", "#8e44ad", "#d68910", "#555555", "#0e8c8c", "#a04000")


def growth_svg(points: list[Point]) -> str:
    """The same as a plot: sessions across, milliseconds upwards, both by powers of ten."""
    ordered = sorted(points, key=lambda one: one.sessions)
    frame = pl.DataFrame([{"sessions": one.sessions, **one.cost} for one in ordered])
    sessions = frame["sessions"].log10()
    costs = frame.drop("sessions").select(pl.all().log10())
    low, high = 0, max(4, int(max(costs.max().row(0))) + 1)
    across = (_LEFT + (sessions - sessions[0]) / (sessions[-1] - sessions[0]) * 560).to_list()

    def down(power: float) -> float:
        return _BOTTOM - (max(power, low) - low) / (high - low) * 380

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" font-size="13">',
        f'<rect width="{_WIDE}" height="{_HIGH}" fill="white"/>',
    ]
    for power in range(low, high + 1):
        y = down(power)
        parts.append(f'<path d="M{_LEFT} {y:.0f}h560" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{10**power:,} ms</text>')
    for x, one in zip(across, ordered, strict=True):
        parts.append(f'<text x="{x:.0f}" y="{_BOTTOM + 22}" text-anchor="middle">{one.symbols}x{one.years}</text>')
    parts.append(f'<text x="{_LEFT + 280}" y="{_BOTTOM + 46}" text-anchor="middle">symbols x years</text>')
    for number, name in enumerate(costs.columns):
        colour = _COLOURS[number % len(_COLOURS)]
        spots = " ".join(f"{x:.0f},{down(power):.1f}" for x, power in zip(across, costs[name], strict=True))
        parts.append(f'<polyline points="{spots}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = 60 + 24 * number
        parts.append(f'<path d="M650 {y}h20" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="676" y="{y + 4}">{name.replace("`", "")}</text>')
    return "\n".join([*parts, "</svg>", ""])
