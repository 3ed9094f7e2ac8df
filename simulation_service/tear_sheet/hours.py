"""When the account gained and lost: its returns by day of the week and time of day in New York."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from barlake.sessions import NEW_YORK
from simulation_service.tear_sheet.charts import Whole
from simulation_service.tear_sheet.curves import Paths
from simulation_service.tear_sheet.shades import Cell, shade
from simulation_service.ticks import FloatArray

__all__ = ["HeatMap", "heat_map", "minutes_of_day"]

_DAY, _MINUTE_US = 1440, 60_000_000
_WIDTHS = (30, 60, 120)
_MOST_COLUMNS = 16
# With one decimal.
_VISIBLE = 0.05
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class HeatMap:
    """Mean return a session, 1e-4 of the account, by row (weekday, then all) and column (overnight, then times of day).

    Parameters
    ----------
    columns
        `night`, then the New York time at which each stretch of `minutes` begins.
    rows
        Name of the row, sessions in it, and a cell for each column; None where no bar fell.
    """

    minutes: int
    columns: list[str]
    rows: list[tuple[str, int, list[Cell | None]]]


def minutes_of_day(timestamp: pl.Series, starts: Whole, ends: Whole) -> Whole:
    """Minutes since midnight in New York at each instant, shape (n_bars,).

    Parameters
    ----------
    timestamp
        UTC, oldest first.
    starts, ends
        First and last bar of each session: within one that New York's clock does not change in, the minutes follow from
        those of its first bar.
    """
    first, last = _converted(timestamp[starts]), _converted(timestamp[ends])
    epoch = timestamp.dt.epoch("us").to_numpy() // _MINUTE_US
    offset = first - epoch[starts]
    if ((last - epoch[ends] - offset) % _DAY).any():
        return _converted(timestamp)
    minutes: Whole = (epoch + np.repeat(offset, ends - starts + 1)) % _DAY
    return minutes


def _converted(timestamp: pl.Series) -> Whole:
    local = timestamp.dt.convert_time_zone(str(NEW_YORK))
    return (local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute()).to_numpy()


def heat_map(paths: Paths) -> HeatMap:
    """Where in the day and the week the account's returns came from.

    The first bar of a session holds what happened since the last one closed: it stands in a column of its own.
    """
    minute = minutes_of_day(paths.equity["timestamp"], paths.starts, paths.ends)
    width = _width(minute)
    stretch = minute // width
    low, high = int(stretch.min()), int(stretch.max())
    column = stretch - low + 1
    column[paths.starts] = 0
    weekday = np.array([date.weekday() for date in paths.sessions])
    columns = high - low + 2
    cell = np.repeat(weekday, paths.ends - paths.starts + 1) * columns + column
    size = len(_WEEKDAYS) * columns
    sums = np.bincount(cell, weights=_bar_returns(paths), minlength=size).reshape(-1, columns)
    bars = np.bincount(cell, minlength=size).reshape(-1, columns)
    titles = ["night", *(f"{at * width // 60:02d}:{at * width % 60:02d}" for at in range(low, high + 1))]
    return HeatMap(width, titles, _rows(sums, bars, np.bincount(weekday, minlength=len(_WEEKDAYS))))


def _width(minute: Whole) -> int:
    """The shortest stretch that leaves few enough columns to read."""
    spread = int(minute.max()) - int(minute.min())
    return next((width for width in _WIDTHS if spread / width <= _MOST_COLUMNS), _WIDTHS[-1])


def _bar_returns(paths: Paths) -> FloatArray:
    """Return of each bar in 1e-4, the first from the starting cash; 0 once nothing is left to lose."""
    before = np.concatenate([[paths.cash_usd], paths.own[:-1]])
    change = np.zeros(before.size)
    np.divide(paths.own - before, before, out=change, where=before > 0)
    return change * 1e4


def _rows(sums: Any, bars: Any, sessions: Whole) -> list[tuple[str, int, list[Cell | None]]]:
    """Weekdays that had a session, and below them all together, with shades of their own."""
    present = [
        (name, int(count), sums[at] / count, bars[at]) for at, name in enumerate(_WEEKDAYS) if (count := sessions[at])
    ]
    largest = max(float(np.abs(means).max()) for _, _, means, _ in present)
    total = int(sessions.sum())
    every = ("All", total, sums.sum(axis=0) / total, bars.sum(axis=0))
    rows = [(name, count, _cells(means, held, largest)) for name, count, means, held in present]
    return [*rows, ("All", total, _cells(every[2], every[3], float(np.abs(every[2]).max())))]


def _cells(means: FloatArray, bars: Whole, largest: float) -> list[Cell | None]:
    return [
        Cell(mean, shade(mean, largest, visible=_VISIBLE)) if held else None
        for mean, held in zip(means.tolist(), bars.tolist(), strict=True)
    ]
