"""Clock, session position and the session before, against plain loops over the bars."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from barlake.keys import SessionFilter
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import compute_features, on_sessions
from feature_service.inputs import FeatureInputs
from feature_service.sets import FULL
from tests.feature_service.independent import assert_equal

Session = list[dict[str, Any]]


@pytest.fixture(scope="module")
def sessions(history: pl.DataFrame) -> list[Session]:
    """The bars, session by session."""
    rows = history.iter_rows(named=True)
    return [list(bars) for _, bars in itertools.groupby(rows, key=lambda row: row["session"])]


def each(sessions: list[Session], value: Any) -> np.ndarray:
    """`value(bars of the session until now)` for every bar."""
    return np.array([value(bars[: row + 1]) for bars in sessions for row in range(len(bars))])


def beside_prior(sessions: list[Session], value: Any) -> np.ndarray:
    """`value(bars of the session until now, bars of the session before)`; NaN in the first session."""
    first = [math.nan] * len(sessions[0])
    pairs = itertools.pairwise(sessions)
    return np.array(first + [value(now[: row + 1], prior) for prior, now in pairs for row in range(len(now))])


def high(bars: Session) -> float:
    return max(bar["high"] for bar in bars)


def low(bars: Session) -> float:
    return min(bar["low"] for bar in bars)


def close(bars: Session) -> float:
    return float(bars[-1]["close"])


def test_the_clock_on_a_circle(sessions: list[Session], full: pl.DataFrame) -> None:
    minute = each(sessions, lambda bars: (bars[-1]["timestamp"] - bars[-1]["session_open"]).total_seconds() / 60)
    assert_equal(full["session_sine"], np.sin(2 * np.pi * minute / 390))
    assert_equal(full["session_cosine"], np.cos(2 * np.pi * minute / 390))
    lengths = each(sessions, lambda bars: 210 if str(bars[0]["session"]) == "2024-07-03" else 390)
    assert_equal(full["session_minutes"], lengths)


def test_minutes_without_a_bar_are_counted(history: pl.DataFrame, full: pl.DataFrame) -> None:
    gaps = [math.nan] + [(b - a).total_seconds() / 60 - 1 for a, b in itertools.pairwise(history["timestamp"])]
    assert_equal(full["minutes_since_bar"], np.array(gaps))


def test_the_place_in_the_session_so_far(sessions: list[Session], full: pl.DataFrame) -> None:
    assert_equal(full["session_return"], each(sessions, lambda bars: math.log(close(bars) / bars[0]["open"])))
    assert_equal(full["session_high_distance"], each(sessions, lambda bars: close(bars) / high(bars) - 1))
    assert_equal(full["session_low_distance"], each(sessions, lambda bars: close(bars) / low(bars) - 1))
    position = each(sessions, lambda bars: (close(bars) - low(bars)) / (high(bars) - low(bars)))
    assert_equal(full["session_range_position"], position)


def test_the_opening_range_is_known_once_its_minutes_are_over(sessions: list[Session], full: pl.DataFrame) -> None:
    def position(bars: Session) -> float:
        opened = bars[-1]["session_open"]
        if bars[-1]["timestamp"] < opened + dt.timedelta(minutes=29):
            return math.nan
        first = [bar for bar in bars if bar["timestamp"] < opened + dt.timedelta(minutes=30)]
        return (close(bars) - low(first)) / (high(first) - low(first))

    assert_equal(full["opening_range_position_30"], each(sessions, position))


def test_the_price_against_the_session_before(sessions: list[Session], full: pl.DataFrame) -> None:
    expected = {
        "prior_close_return": lambda now, prior: math.log(close(now) / close(prior)),
        "prior_high_distance": lambda now, prior: close(now) / high(prior) - 1,
        "prior_low_distance": lambda now, prior: close(now) / low(prior) - 1,
        "pivot_distance": lambda now, prior: close(now) / ((high(prior) + low(prior) + close(prior)) / 3) - 1,
        "prior_volume_share": lambda now, prior: (
            sum(bar["volume"] for bar in now) / sum(bar["volume"] for bar in prior)
        ),
    }
    for name, value in expected.items():
        assert_equal(full[name], beside_prior(sessions, value))


def test_a_session_after_one_that_is_not_held_has_no_prior(history: pl.DataFrame) -> None:
    days = history["session"].unique(maintain_order=True)
    part = history.filter(pl.col("session") != days[3])
    names = [one for one in FULL.features if one.history_sessions == 1]
    found = part.select("session").hstack(compute_features(FeatureInputs(part), names))
    nulls = found.group_by("session", maintain_order=True).agg(pl.exclude("session").is_null().all())
    for one in names:
        assert nulls.filter(pl.col(one.name))["session"].to_list() == [days[0], days[4]], one.name


def test_an_opening_without_a_bar_leaves_no_opening_range(history: pl.DataFrame) -> None:
    late = history.filter(pl.col("timestamp") >= pl.col("session_open") + pl.duration(minutes=30))
    wanted = [one for one in FULL.features if one.name == "opening_range_position_30"]
    assert compute_features(FeatureInputs(late), wanted).to_series().null_count() == late.height


def test_all_hours_reach_before_the_opening_and_after_the_close(calendar: Calendar) -> None:
    bars = make_bars([dt.date(2024, 6, 17), dt.date(2024, 6, 18)])
    early = bars.head(60).with_columns(pl.col("timestamp") - pl.duration(minutes=60))
    late = bars.slice(330, 60).with_columns(pl.col("timestamp") + pl.duration(minutes=60))
    whole = on_sessions(pl.concat([early, bars.head(390), late, bars.tail(390)]), calendar, SessionFilter.ALL)
    found = whole.hstack(compute_features(FeatureInputs(whole), FULL.features))
    first = found.filter(pl.col("session") == dt.date(2024, 6, 17))
    assert first["session_return"][-1] == pytest.approx(math.log(late["close"][-1] / early["open"][0]))
    # The opening range is that of the regular opening, not of the first minutes that trade.
    opening = bars.head(30)
    width = opening["high"].max() - opening["low"].min()  # type: ignore[operator]
    row = first.filter(pl.col("timestamp") == first["session_open"][0] + dt.timedelta(minutes=29))
    assert row["opening_range_position_30"][0] == pytest.approx((row["close"][0] - opening["low"].min()) / width)
    assert first["opening_range_position_30"].head(60).null_count() == 60
