"""Event studies on the bars of a lake."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError
from barlake.keys import SYNTHETIC_FEED, Adjustment, SessionFilter, Timeframe, parse_member, parse_symbol
from barlake.lake import Lake
from barlake.ranges import Boundary
from simulation_service.scenarios.event_study import EventStudy, Window, minute_study, session_study
from simulation_service.scenarios.resampling import IndexArray
from simulation_service.ticks import FloatArray

__all__ = ["EventReport", "Unit", "study_events", "window_of"]


class Unit(StrEnum):
    """What a window is counted in."""

    SESSIONS = "sessions"
    MINUTES = "minutes"


_USUAL = {Unit.SESSIONS: Window(5, 5), Unit.MINUTES: Window(60, 60)}


@dataclass(frozen=True, eq=False)
class EventReport:
    """A study, and what it was made of.

    Parameters
    ----------
    events
        The events that have a whole window, in the order of the study's rows: name, date, instant.
    left_out
        Events outside the bars, or without a whole window.
    """

    symbol: str
    feed: str
    unit: Unit
    window: Window
    benchmark: str | None
    study: EventStudy
    events: pl.DataFrame
    left_out: int

    @property
    def is_synthetic(self) -> bool:
        """Whether the bars are made up."""
        return self.feed == SYNTHETIC_FEED

    def each(self) -> pl.DataFrame:
        """One row per event: name, date, instant, and its whole abnormal return as cumulative."""
        return self.events.with_columns(pl.Series("cumulative", self.study.cumulative[:, -1]))

    def remarks(self) -> list[str]:
        """A sentence where events were left out."""
        if not self.left_out:
            return []
        have = "1 event has" if self.left_out == 1 else f"{self.left_out:,} events have"
        return [f"{have} no whole window among the bars: left out."]

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "symbol": self.symbol,
            "feed": self.feed,
            "synthetic": self.is_synthetic,
            "unit": self.unit.value,
            "benchmark": self.benchmark,
            "left_out": self.left_out,
            **self.study.as_dict(),
            "each": self.each().to_dicts(),
        }


def window_of(
    unit: str, *, before: int | None = None, after: int | None = None, expected_from: int | None = None
) -> Window:
    """The window of a unit: five sessions before and after, or sixty minutes, where nothing else is said."""
    usual = _USUAL[parse_member(Unit, "unit", unit)]
    given = {"before": before, "after": after, "expected_from": expected_from}
    return replace(usual, **{name: value for name, value in given.items() if value is not None})


def study_events(
    lake: Lake,
    symbol: str,
    events: pl.DataFrame,
    *,
    unit: str = Unit.SESSIONS,
    window: Window | None = None,
    benchmark: str | None = None,
    feed: str | None = None,
    adjustment: str = Adjustment.ALL,
    start: Boundary = None,
    end: Boundary = None,
) -> EventReport:
    """What a symbol did around events.

    An event of which only the date is known belongs to that session, or to the next one. One with an instant
    belongs to the first session that closes after it: what is released after the close moves the next session.

    Parameters
    ----------
    events
        name, date, instant, from `event_dates`.
    window
        Default: that of `window_of`.
    benchmark
        Over sessions: the symbol whose returns say what was to be expected.
    adjustment
        Of prices; in raw ones a split or a dividend would be an event of its own.
    start, end
        Narrow the bars [start, end).

    Raises
    ------
    NotFoundError
        If a symbol is not held.
    InvalidInputError
        If no event has a whole window, or over minutes the instant of an event is not known.
    """
    counted = parse_member(Unit, "unit", unit)
    if counted is Unit.MINUTES and benchmark is not None:
        raise InvalidInputError(f"benchmark {benchmark!r} goes with sessions: over minutes nothing is expected.")
    window = window or window_of(counted)
    name = parse_symbol(symbol)
    names = [name] if benchmark is None else [name, parse_symbol(benchmark)]
    chosen = lake.feed_of(names, feed)
    timeframe = Timeframe.MINUTE if counted is Unit.MINUTES else Timeframe.DAY
    hours = SessionFilter.REGULAR.value
    bars = lake.bars(names, start, end, timeframe=timeframe, feed=chosen, adjustment=adjustment, session=hours)
    sessions = lake.calendar.of(chosen).frame.filter(pl.col("session").is_in(bars["session"].unique().implode()))
    if counted is Unit.MINUTES:
        study, held = _over_minutes(bars, sessions, events, window)
    else:
        study, held = _over_sessions(bars, names, sessions, events, window)
    used = held[study.used.tolist()]
    return EventReport(name, chosen, counted, window, benchmark, study, used, events.height - used.height)


def _over_sessions(
    daily: pl.DataFrame, names: list[str], sessions: pl.DataFrame, events: pl.DataFrame, window: Window
) -> tuple[EventStudy, pl.DataFrame]:
    """Study of the first of the names beside the second, if there is one, and the events among the bars."""
    table = sessions.select("session", "close")
    for number, name in enumerate(names):
        closes = daily.filter(symbol=name).select("session", pl.col("close").log().alias(f"log_{number}"))
        table = table.join(closes, on="session", maintain_order="left")
    held = _within(events, table["session"])
    own, *market = (table[f"log_{number}"].diff().fill_null(float("nan")).to_numpy() for number in range(len(names)))
    return session_study(own, _sessions_of(held, table), window, market=market[0] if market else None), held


def _over_minutes(
    bars: pl.DataFrame, sessions: pl.DataFrame, events: pl.DataFrame, window: Window
) -> tuple[EventStudy, pl.DataFrame]:
    """Study over the regular minutes of the sessions, and the events among the bars."""
    held = _within(events, bars["session"])
    if held["instant"].null_count():
        first = held.filter(pl.col("instant").is_null()).row(0, named=True)
        raise InvalidInputError(
            f"of event {first['name']!r} on {first['date']} only the date is known: give the New York time of all "
            "such events (--time 08:30), or count in sessions."
        )
    axis = _minutes_of(sessions).join_asof(bars.select("timestamp", "close"), on="timestamp").drop_nulls("close")
    positions = axis["timestamp"].search_sorted(held["instant"], side="left").to_numpy().astype(np.int64)
    close: FloatArray = axis["close"].to_numpy()
    numbers = [axis[name].to_numpy().astype(np.int64) for name in ("minute", "number")]
    return minute_study(close, numbers[0], numbers[1], positions, window), held


def _within(events: pl.DataFrame, sessions: pl.Series) -> pl.DataFrame:
    """Events between the first and the last of sessions, oldest first, that have bars."""
    first, last = sessions[0], sessions[-1]
    held = events.filter(pl.col("date").is_between(first, last))
    if held.is_empty():
        raise InvalidInputError(
            f"none of {events.height} events lies among the bars, which run from {first} to {last}: "
            "take other dates, or ingest the bars around these."
        )
    return held


def _sessions_of(events: pl.DataFrame, closes: pl.DataFrame) -> IndexArray:
    """Row of the session that each event belongs to; one past the last where it comes after all of them."""
    by_date = closes["session"].search_sorted(events["date"], side="left").to_numpy()
    by_instant = closes["close"].search_sorted(
        events["instant"].fill_null(dt.datetime(1970, 1, 1, tzinfo=dt.UTC)), side="right"
    )
    return np.where(events["instant"].is_null().to_numpy(), by_date, by_instant.to_numpy()).astype(np.int64)


def _minutes_of(sessions: pl.DataFrame) -> pl.DataFrame:
    """timestamp, number (of the session, from 0), minute (of the session, from 0) of every regular minute."""
    minute = dt.timedelta(minutes=1)
    spread = sessions.sort("session").select(
        pl.int_range(pl.len()).alias("number"),
        pl.datetime_ranges("open", pl.col("close") - minute, interval="1m").alias("timestamp"),
    )
    return spread.explode("timestamp").with_columns(pl.int_range(pl.len()).over("number").alias("minute"))
