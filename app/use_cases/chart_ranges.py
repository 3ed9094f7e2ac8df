"""How far back a chart looks, counted from the last session that is held."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

import polars as pl

from app.use_cases.candles import Candles
from barlake.errors import NotFoundError

__all__ = ["Reach", "reach_back", "stretch"]


class Reach(StrEnum):
    """Lengths of time to choose from; a number of sessions held below a month, then the calendar's."""

    SESSION = "1D"
    WEEK = "5D"
    MONTH = "1M"
    QUARTER = "3M"
    HALF_YEAR = "6M"
    YEAR = "1Y"
    FIVE_YEARS = "5Y"
    ALL = "All"


_SESSIONS = {Reach.SESSION: 1, Reach.WEEK: 5}
_MONTHS = {Reach.MONTH: 1, Reach.QUARTER: 3, Reach.HALF_YEAR: 6, Reach.YEAR: 12, Reach.FIVE_YEARS: 60}


def reach_back(held: pl.Series, reach: Reach) -> tuple[dt.date, dt.date]:
    """The session dates [start, end) of the last so long a time that is held.

    Parameters
    ----------
    held
        Dates of sessions, oldest first.

    Raises
    ------
    NotFoundError
        If none is held.

    Examples
    --------
    >>> days = pl.Series([dt.date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 31)])
    >>> [str(day) for day in reach_back(days, Reach.WEEK)]
    ['2024-01-04', '2024-02-01']
    >>> [str(day) for day in reach_back(days, Reach.MONTH)]
    ['2024-01-02', '2024-02-01']
    """
    if held.is_empty():
        raise NotFoundError("no session is held: ingest the symbol first.")
    last: dt.date = held[-1]
    end = last + dt.timedelta(days=1)
    if reach in _SESSIONS:
        return held.tail(_SESSIONS[reach])[0], end
    if reach is Reach.ALL:
        return held[0], end
    earliest = pl.Series([end]).dt.offset_by(f"-{_MONTHS[reach]}mo")[0]
    return max(earliest, held[0]), end


def stretch(found: Candles, first: int, last: int) -> tuple[dt.datetime | dt.date, dt.datetime | dt.date] | None:
    """The range [start, end) that the rows from `first` to `last`, both included, cover; None where that is all of it.

    Of candles within a session the sides are instants, else session dates.
    """
    rows = found.rows
    low, high = max(first, 0), min(last, rows.height - 1)
    if low > high or (low == 0 and high == rows.height - 1):
        return None
    after = high + 1
    if not found.interval.is_intraday:
        return rows["session"][low], rows["last_session"][high] + dt.timedelta(days=1)
    start = rows["timestamp"][low] or rows["session"][low]
    if after < rows.height and rows["timestamp"][after] is not None:
        return start, rows["timestamp"][after]
    return start, rows["last_session"][high] + dt.timedelta(days=1)
