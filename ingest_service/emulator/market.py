"""Alpaca's calendar and clock, from the sessions table.

Their shapes are the trading API's: New York wall times, `HH:MM` for the regular session and `HHMM` for
the extended one, and instants with New York's offset.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import polars as pl

from barlake.sessions import NEW_YORK, Calendar
from ingest_service.emulator.query import RefusedError

__all__ = ["calendar_answer", "clock_answer"]

# Sessions from trade to settlement (https://www.sec.gov/newsroom/press-releases/2024-62,
# https://www.sec.gov/newsroom/press-releases/2017-68-0); bank holidays on sessions are not counted.
_SETTLEMENT = ((dt.date(2024, 5, 28), 1), (dt.date(2017, 9, 5), 2), (dt.date.min, 3))


def calendar_answer(calendar: Calendar, parameters: Mapping[str, str]) -> list[dict[str, str | None]]:
    """Sessions with start <= date <= end, both optional; the settlement date is null at the table's end.

    Raises
    ------
    RefusedError
        400 if a date cannot be read.
    """
    start = _date(parameters, "start", calendar.first)
    end = _date(parameters, "end", calendar.last)
    settled = pl.coalesce(
        *(pl.when(pl.col("session") >= since).then(pl.col("session").shift(-lag)) for since, lag in _SETTLEMENT)
    )
    chosen = (
        calendar.frame.with_columns(settled=settled)
        .filter(pl.col("session").is_between(start, end))
        .select(
            pl.col("session").cast(pl.String).alias("date"),
            _wall_time("open", "%H:%M"),
            _wall_time("close", "%H:%M"),
            _wall_time("pre_open", "%H%M").alias("session_open"),
            _wall_time("post_close", "%H%M").alias("session_close"),
            pl.col("settled").cast(pl.String).alias("settlement_date"),
        )
    )
    return chosen.to_dicts()


def clock_answer(calendar: Calendar, now: dt.datetime) -> dict[str, object]:
    """Whether the regular session runs, and the next opening and closing instants after now."""
    closes = calendar.frame.filter(pl.col("close") > now)
    opens = calendar.frame.filter(pl.col("open") > now)
    if closes.is_empty() or opens.is_empty():
        raise RefusedError(500, {"message": f"the calendar ends before {now.date()}"})
    return {
        "timestamp": _new_york(now),
        "is_open": bool(closes.item(0, "open") <= now),
        "next_open": _new_york(opens.item(0, "open")),
        "next_close": _new_york(closes.item(0, "close")),
    }


def _date(parameters: Mapping[str, str], name: str, default: dt.date) -> dt.date:
    text = parameters.get(name)
    if text is None:
        return default
    try:
        return dt.date.fromisoformat(text[:10])
    except ValueError as error:
        raise RefusedError(400, {"message": f"invalid {name}: {text}"}) from error


def _wall_time(column: str, pattern: str) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone("America/New_York").dt.strftime(pattern)


def _new_york(instant: dt.datetime) -> str:
    return instant.astimezone(NEW_YORK).isoformat()
