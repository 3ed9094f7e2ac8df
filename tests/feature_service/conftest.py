"""Bars to compute features over: thirty made-up sessions, an early close and a missing tenth among them."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from barlake.keys import SessionFilter
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import on_sessions


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    return Calendar.default()


@pytest.fixture(scope="session")
def bars(calendar: Calendar) -> pl.DataFrame:
    """2024-06-17 to 2024-07-30; 2024-07-03 closes at 13:00. About 10,400 bars."""
    sessions = calendar.in_range(dt.date(2024, 6, 17), dt.date(2024, 7, 31))["session"].to_list()
    return make_bars(sessions, seed=7, keep=0.9, first_price=450.0)


@pytest.fixture(scope="session")
def history(bars: pl.DataFrame, calendar: Calendar) -> pl.DataFrame:
    """The same as features see them."""
    return on_sessions(bars, calendar, SessionFilter.REGULAR)
