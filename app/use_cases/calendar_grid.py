"""Sessions on a calendar: one row of weeks a year, one line a weekday, as a heat map shows them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import polars as pl

__all__ = ["CalendarYear", "calendar_years"]


@dataclass(frozen=True)
class CalendarYear:
    """One year of a heat map.

    Parameters
    ----------
    weeks
        The Monday of each column.
    months
        Columns at which a month begins, each with its number.
    shares
        A row for each weekday from Monday on, a column for each week: 0 to 1, or None where no session is counted.
    texts
        Of the same shape: what a cell says when it is pointed at.
    """

    year: int
    weeks: tuple[dt.date, ...]
    months: tuple[tuple[int, int], ...]
    shares: tuple[tuple[float | None, ...], ...]
    texts: tuple[tuple[str, ...], ...]


def calendar_years(sessions: pl.DataFrame) -> list[CalendarYear]:
    """The years that sessions lie in, the newest first.

    Parameters
    ----------
    sessions
        As `app.use_cases.coverage.session_shares` gives them.
    """
    if sessions.is_empty():
        return []
    days = 7 if (sessions["session"].dt.weekday() > _FRIDAY).any() else _FRIDAY
    cells = {row["session"]: row for row in sessions.iter_rows(named=True)}
    years = sorted(sessions["session"].dt.year().unique(), reverse=True)
    return [_year(year, cells, days) for year in years]


_FRIDAY = 5
_WEEK = dt.timedelta(days=7)


def _year(year: int, cells: dict[dt.date, dict[str, object]], days: int) -> CalendarYear:
    first, last = dt.date(year, 1, 1), dt.date(year, 12, 31)
    monday = first - dt.timedelta(days=first.weekday())
    weeks = [monday + number * _WEEK for number in range((last - monday).days // 7 + 1)]
    grid = [[week + dt.timedelta(days=day) for week in weeks] for day in range(days)]
    known = [[cells.get(date) if date.year == year else None for date in line] for line in grid]
    months = [(_column(dt.date(year, month, 1), monday), month) for month in range(1, 13)]
    return CalendarYear(
        year,
        tuple(weeks),
        tuple(months),
        tuple(tuple(None if cell is None else float(str(cell["share"])) for cell in line) for line in known),
        tuple(tuple("" if cell is None else _text(cell) for cell in line) for line in known),
    )


def _column(date: dt.date, monday: dt.date) -> int:
    return (date - monday).days // 7


def _text(cell: dict[str, object]) -> str:
    """What is held of a session, in words."""
    share, symbols = float(str(cell["share"])), int(str(cell["symbols"]))
    if not cell["held"]:
        return f"<b>{cell['session']:%a %Y-%m-%d}</b><br>not held"
    lines = [f"<b>{cell['session']:%a %Y-%m-%d}</b>", f"{share:.1%} of regular minutes"]
    if symbols > 1:
        lines.append(f"{cell['held']} of {symbols} symbols, {cell['complete']} complete")
    if not cell["is_over"]:
        lines.append("not over yet")
    return "<br>".join(lines)
