from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation_service.charts import MOST_POINTS, bar_labels, curve, drawdowns, thin_out, value_labels


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(4, 40))
def test_thinned_curve_keeps_first_last_lowest_and_highest(values: list[float], most: int) -> None:
    array = np.array(values)
    kept = thin_out(array, most=most)
    assert kept.size <= max(most, 1)
    assert (kept[0], kept[-1]) == (0, array.size - 1)
    assert (array[kept].min(), array[kept].max()) == (array.min(), array.max())
    assert (np.diff(kept) > 0).all()


def test_a_million_bars_make_at_most_two_thousand_points() -> None:
    values = np.cumsum(np.random.default_rng(0).normal(size=1_000_000))
    line = curve("own", "Own", values, low=float(values.min()), high=float(values.max()))
    assert line.path.count("L") < MOST_POINTS
    assert len(line.path) < 40_000


def test_one_bar_is_drawn_without_dividing_by_nothing() -> None:
    assert curve("own", "Own", np.array([5.0]), low=0.0, high=10.0).path == "M0.0 500.0"


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_value_labels_hold_the_range_in_round_steps(low: float, width: float) -> None:
    bottom, top, marks = value_labels(low, low + width)
    slack = 1e-9 * max(abs(low), width, 1.0)
    assert bottom <= low + slack
    assert top >= low + width - slack
    assert 2 <= len(marks) <= 9


def test_drawdown_of_the_first_bar_is_from_the_starting_cash() -> None:
    assert drawdowns(np.array([80.0, 100.0, 50.0]), 100.0) == pytest.approx([-0.2, 0.0, -0.5])


def test_bar_labels_span_the_chart_and_name_sessions() -> None:
    sessions = [dt.date(2024, 1, day) for day in range(1, 31) for _ in range(10)]
    labels = bar_labels(sessions)
    assert [labels[0].position, labels[-1].position] == [0.0, 100.0]
    assert [labels[0].text, labels[-1].text] == ["2024-01-01", "2024-01-30"]


def test_one_session_has_one_label() -> None:
    assert [label.text for label in bar_labels([dt.date(2024, 1, 2)] * 3)] == ["2024-01-02"]
