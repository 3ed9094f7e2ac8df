"""What a range still lacks, and the requests that would fill it. Pure: frames in, dates out.

A session is missing when nobody has answered for it to the last page: never because minutes are absent,
for a minute without an eligible trade has no bar. A session is suspicious when it was answered but its
neighbours say there should be more; it is asked for again a bounded number of times.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from barlake.records import AnswerStatus

__all__ = ["Window", "missing_sessions", "request_windows", "suspicious_sessions"]

DENSE_SHARE = 0.9
"""A symbol whose median session has this share of its regular minutes is expected to have all of them."""

MAX_ATTEMPTS = 3
"""How often one session is asked for in all: once, and twice more while the answers differ."""

MAX_EMPTY_ATTEMPTS = 2


@dataclass(frozen=True)
class Window:
    """Consecutive sessions of one month or year, asked for together; [start, end) in session dates."""

    start: dt.date
    end: dt.date
    sessions: tuple[dt.date, ...]


def missing_sessions(expected: pl.DataFrame, answers: pl.DataFrame) -> list[dt.date]:
    """Sessions of `expected` that no answer covers, oldest first.

    Parameters
    ----------
    expected
        Rows of the calendar: `session` and more.
    answers
        `Manifest.answers` of one feed and symbol.
    """
    missing = expected.join(answers, on="session", how="anti")
    return missing["session"].sort().to_list()


def suspicious_sessions(
    expected: pl.DataFrame, held: pl.DataFrame, answers: pl.DataFrame, calendar: pl.DataFrame
) -> list[dt.date]:
    """Answered sessions that should be asked for once more, oldest first.

    Either minutes are absent in a symbol that usually has them all, or a session came back empty between
    sessions that did not.

    Parameters
    ----------
    expected
        The sessions that may be asked for.
    held, answers
        All of `Manifest.held` and `Manifest.answers` of one feed and symbol.
    calendar
        All sessions, with `open` and `close`: what is usual shows in every session held, not only in a
        range that may be one session long.
    """
    if held.is_empty():
        return []
    minutes = (pl.col("close") - pl.col("open")).dt.total_minutes()
    known = calendar.select("session", minutes.alias("minutes")).join(
        held.select("session", "regular_rows"), on="session", how="left"
    )
    shares = known.select(pl.col("regular_rows") / pl.col("minutes")).to_series().drop_nulls()
    dense = not shares.is_empty() and float(shares.median() or 0) >= DENSE_SHARE  # type: ignore[arg-type] # polars types a median as anything
    asked = known.join(expected.select("session"), on="session", how="semi")
    asked = asked.join(answers.select("session", "status", "attempts"), on="session", how="inner")
    first, last = held["session"].min(), held["session"].max()
    incomplete = (
        (pl.col("status") == AnswerStatus.COMPLETE.value)
        & (pl.col("regular_rows") < pl.col("minutes"))
        & (pl.col("attempts") < MAX_ATTEMPTS)
    )
    hole = (
        (pl.col("status") == AnswerStatus.EMPTY.value)
        & pl.col("regular_rows").is_null()
        & pl.col("session").is_between(first, last)
        & (pl.col("attempts") < MAX_EMPTY_ATTEMPTS)
    )
    found = asked.filter((incomplete & dense) | hole)
    return found["session"].sort().to_list()


def request_windows(sessions: Sequence[dt.date], calendar: pl.DataFrame) -> list[Window]:
    """Requests that cover exactly these sessions: whole years as one, else consecutive ones of a month.

    The last page of a window is seldom full, so long windows make fewer requests. Parts of a year stay short:
    tomorrow they have other ends, and a page that a run had reached is only known of a window that is the same.

    Parameters
    ----------
    sessions
        Oldest first.
    calendar
        The sessions of the exchange around them: two are consecutive when none lies between.
    """
    days = calendar["session"].to_list()
    position = {day: index for index, day in enumerate(days)}
    in_year = Counter(day.year for day in days)
    runs: list[list[dt.date]] = []
    for _, year in itertools.groupby(sessions, key=lambda day: day.year):
        whole = list(year)
        runs += [whole] if len(whole) == in_year[whole[0].year] else _consecutive_in_months(whole, position)
    return [Window(run[0], run[-1] + dt.timedelta(days=1), tuple(run)) for run in runs]


def _consecutive_in_months(sessions: Sequence[dt.date], position: Mapping[dt.date, int]) -> list[list[dt.date]]:
    runs: list[list[dt.date]] = []
    for day in sessions:
        last = runs[-1][-1] if runs else None
        if last is not None and position[day] == position[last] + 1 and day.month == last.month:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs
