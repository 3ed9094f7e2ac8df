"""Bars to compute features over: thirty made-up sessions, an early close and a missing tenth among them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from barlake.keys import SessionFilter
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import compute_features, on_sessions
from feature_service.inputs import FeatureInputs
from feature_service.sets import FULL


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


@pytest.fixture(scope="session")
def full_inputs(history: pl.DataFrame, calendar: Calendar) -> FeatureInputs:
    """Thirty sessions with a half day; a context symbol with holes of its own; releases at 14:00 New York; news."""
    sessions = history["session"].unique().sort().to_list()
    other = make_bars(sessions, seed=8, keep=0.8, first_price=300.0)
    released = [dt.datetime(day.year, day.month, day.day, 18, tzinfo=dt.UTC) for day in sessions[3::4]]
    chance = np.random.default_rng(3)
    macro = pl.DataFrame(
        {
            "series": "PAYEMS",
            # Each value is about a week before; it is revised at the release after.
            "reference_date": [(at - dt.timedelta(days=7)).date() for at in released for _ in range(2)],
            "value": chance.normal(100, 5, 2 * len(released)),
            "known_at": [stamp for at in released for stamp in (at, at + dt.timedelta(days=5))],
        }
    )
    seconds = np.sort(chance.integers(0, 40 * 86_400, 400))
    news = pl.DataFrame({"known_at": [released[0] + dt.timedelta(seconds=int(at)) for at in seconds]})
    bars = on_sessions(other, calendar, SessionFilter.REGULAR)
    return FeatureInputs(history, context=bars, macro=macro, news=news.cast(pl.Datetime("us", "UTC")))


@pytest.fixture(scope="session")
def context(calendar: Calendar) -> pl.DataFrame:
    """A context symbol in the same sessions, which lacks every fifth minute and the first session."""
    sessions = calendar.in_range(dt.date(2024, 6, 18), dt.date(2024, 7, 31))["session"].to_list()
    return on_sessions(make_bars(sessions, seed=8, keep=0.8, first_price=100.0), calendar, SessionFilter.REGULAR)


@pytest.fixture(scope="session")
def full(history: pl.DataFrame, context: pl.DataFrame) -> pl.DataFrame:
    """The set `full` over the history beside the context symbol, in float64."""
    return compute_features(FeatureInputs(history, context=context), FULL.features)
