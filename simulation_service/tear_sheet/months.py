"""Returns by month and year, from session closes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulation_service.tear_sheet.shades import Cell, shade
from simulation_service.ticks import FloatArray

__all__ = ["Year", "month_returns", "month_table"]

_MONTHS = 12
# In percent with one decimal.
_VISIBLE = 0.0005


@dataclass(frozen=True)
class Year:
    """One row: a cell for each month (None: no session in it), the year, and buy and hold in that year."""

    year: int
    months: list[Cell | None]
    total: float
    held: float | None


def month_returns(returns: FloatArray, sessions: Sequence[dt.date]) -> dict[tuple[int, int], float]:
    """Compound return of each (year, month) from the simple returns of its sessions.

    Examples
    --------
    >>> days = [dt.date(2024, 1, 30), dt.date(2024, 1, 31), dt.date(2024, 2, 1)]
    >>> {month: round(value, 4) for month, value in month_returns(np.array([0.1, 0.1, -0.5]), days).items()}
    {(2024, 1): 0.21, (2024, 2): -0.5}
    """
    months = np.array([date.year * _MONTHS + date.month - 1 for date in sessions])
    starts = np.flatnonzero(np.diff(months, prepend=months[0] - 1))
    growth = np.multiply.reduceat(1.0 + returns, starts) - 1.0
    return {
        (int(month) // _MONTHS, int(month) % _MONTHS + 1): float(value)
        for month, value in zip(months[starts], growth, strict=True)
    }


def month_table(returns: FloatArray, held: FloatArray | None, sessions: Sequence[dt.date]) -> list[Year]:
    """Rows of the table, newest year last; a month is shaded by its return."""
    own = month_returns(returns, sessions)
    other = month_returns(held, sessions) if held is not None else {}
    largest = max(abs(value) for value in own.values())
    table = []
    for year in sorted({year for year, _ in own}):
        cells = [
            Cell(own[year, month], shade(own[year, month], largest, visible=_VISIBLE)) if (year, month) in own else None
            for month in range(1, _MONTHS + 1)
        ]
        table.append(Year(year, cells, _compound(own, year) or 0.0, _compound(other, year)))
    return table


def _compound(months: dict[tuple[int, int], float], year: int) -> float | None:
    found = [1.0 + value for (one, _), value in months.items() if one == year]
    return float(np.prod(found)) - 1.0 if found else None
