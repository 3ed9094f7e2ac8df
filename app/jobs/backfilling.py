"""A range of history as jobs: one for each month of a symbol that lacks something, or for a whole missing year."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from app.jobs.job import Job
from barlake.coverage import finished_sessions
from barlake.keys import Period, parse_feed, parse_symbol
from barlake.lake import Lake
from barlake.ranges import Boundary, parse_session_range
from ingest_service.gaps import Window, missing_sessions, request_windows, suspicious_sessions

__all__ = ["backfill_jobs"]


def backfill_jobs(
    lake: Lake,
    symbols: Sequence[str],
    start: Boundary,
    end: Boundary,
    *,
    feed: str,
    now: dt.datetime,
    refetch: bool = False,
) -> list[Job]:
    """Jobs that bring the finished sessions in [start, end) of these symbols into the lake.

    A key names a symbol and a month, or a year that is missing as a whole, whose pages are full. Which sessions of
    it the job asks for follows from what the lake holds now. So put them with `force=True`: what was done before
    may be asked again when something is missing since, as in the running month it is every day, and what is
    complete makes no job.

    Parameters
    ----------
    now
        Market time.
    refetch
        Ask for every session, held or not, under keys of their own.

    Raises
    ------
    InvalidInputError
        If the range is reversed, or a symbol is none.
    """
    feed = parse_feed(feed)
    first, beyond = parse_session_range(start, end)
    calendar = lake.calendar.of(feed)
    expected = finished_sessions(calendar.in_range(first, beyond), now)
    parts: list[tuple[dt.date, Job]] = []
    for symbol in dict.fromkeys(parse_symbol(name) for name in symbols):
        days = expected["session"].to_list() if refetch else _lacking(lake, feed, symbol, expected, calendar.frame)
        parts += [
            (window.end, _job(feed, symbol, window, refetch=refetch))
            for window in _one_a_month(request_windows(days, calendar.frame))
        ]
    return [job for _, job in sorted(parts, key=lambda one: one[0], reverse=True)]


def _one_a_month(windows: Sequence[Window]) -> list[Window]:
    """Whole years as they are; of several windows in one month, one that spans them."""
    found: list[Window] = []
    for one in windows:
        last = found[-1] if found else None
        if last is not None and Period.of_month(last.start) == Period.of_month(one.start):
            found[-1] = Window(last.start, one.end, (*last.sessions, *one.sessions))
        else:
            found.append(one)
    return found


def _lacking(lake: Lake, feed: str, symbol: str, expected: pl.DataFrame, calendar: pl.DataFrame) -> list[dt.date]:
    """Sessions nobody has answered for, and those that look incomplete."""
    answers = lake.manifest.answers(feed=feed, symbol=symbol)
    held = lake.manifest.held(feed=feed, symbol=symbol)
    missing = missing_sessions(expected, answers)
    return sorted({*missing, *suspicious_sessions(expected, held, answers, calendar)})


def _job(feed: str, symbol: str, window: Window, *, refetch: bool) -> Job:
    first, last = window.sessions[0], window.sessions[-1]
    period = Period.of_month(first) if first.month == last.month else Period.of_year(first)
    arguments = {"feed": feed, "symbol": symbol, "start": first.isoformat(), "end": window.end.isoformat()}
    key = f"bars/{feed}/{symbol}/{period.label}"
    return Job(f"{key}/again", "bars", arguments | {"refetch": True}) if refetch else Job(key, "bars", arguments)
