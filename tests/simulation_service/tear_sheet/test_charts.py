from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation_service.tear_sheet.charts import MOST_POINTS, Scale, date_labels, line, thin_out


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
    scale = Scale.holding(float(values.min()), float(values.max()), height=300)
    path = line("own", "Own", values, scale).path
    assert path.count("L") < MOST_POINTS
    assert len(path) < 40_000


def test_one_bar_is_drawn_without_dividing_by_nothing() -> None:
    assert line("own", "Own", np.array([5.0]), Scale.holding(0.0, 10.0, height=300)).path == "M0.0 150.0"


def test_line_is_broken_where_nothing_is_known() -> None:
    scale = Scale.holding(0.0, 10.0, height=100)
    values = np.array([np.nan, 10.0, 0.0, np.nan, 5.0])
    assert line("own", "Own", values, scale).path == "M250.0 0.0L500.0 100.0M1000.0 50.0"
    assert line("own", "Own", np.full(3, np.nan), scale).path == ""


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_scale_holds_the_range_in_round_steps(low: float, width: float) -> None:
    scale = Scale.holding(low, low + width, height=100)
    slack = 1e-9 * max(abs(low), width, 1.0)
    assert scale.low <= low + slack
    assert scale.high >= low + width - slack
    assert 2 <= len(scale.marks) <= 9


def test_marks_stand_where_their_value_is_drawn() -> None:
    scale = Scale.holding(-10.0, 10.0, height=200)
    assert [(label.text, label.position) for label in scale.labels("{:.0f}")] == [
        ("\N{MINUS SIGN}10", 100.0),
        ("\N{MINUS SIGN}5", 75.0),
        ("0", 50.0),
        ("5", 25.0),
        ("10", 0.0),
    ]
    assert scale.down(np.array([5.0])) == pytest.approx([50.0])


@pytest.mark.parametrize(
    ("count", "texts"),
    [
        (1, ["2 Jan"]),
        (3, ["2 Jan", "3 Jan", "4 Jan"]),
        (40, ["2 Jan", "6 Jan", "10 Jan", "14 Jan", "18 Jan", "22 Jan", "26 Jan", "30 Jan", "3 Feb", "7 Feb"]),
        (100, ["Feb 2024", "Mar 2024", "Apr 2024"]),
        (1500, ["Jul 2024", "Jan 2025", "Jul 2025", "Jan 2026", "Jul 2026", "Jan 2027", "Jul 2027"]),
        (9000, ["2025", "2030", "2035", "2040", "2045"]),
    ],
)
def test_dates_stand_where_sessions_months_or_years_begin(count: int, texts: list[str]) -> None:
    sessions = [dt.date(2024, 1, 2) + dt.timedelta(days=number) for number in range(count)]
    labels = date_labels(sessions, np.arange(count) * 10, count * 10)
    assert [label.text for label in labels] == texts
    assert all(0.0 <= label.position <= 93.0 for label in labels)


def test_labels_of_months_stand_on_their_first_session() -> None:
    sessions = [dt.date(2024, 1, 2) + dt.timedelta(days=number) for number in range(100)]
    february = date_labels(sessions, np.arange(100) * 10, 1000)[0]
    assert february.position == pytest.approx(300 / 999 * 100)
    assert not february.minor
