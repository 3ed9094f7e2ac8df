"""Drift between periods: both measures against scipy and by hand, on samples that hurt."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from barlake.errors import InvalidInputError
from feature_service.quality.drift import (
    LEAST_SHARE,
    LEAST_VALUES,
    drift_between_periods,
    kolmogorov_smirnov,
    population_stability_index,
    sorted_values,
    with_periods,
)

# Few different values, so that ties within and between samples are common.
SAMPLES = st.lists(st.integers(-5, 5) | st.floats(-10, 10), min_size=1, max_size=60).map(
    lambda values: np.sort(np.array(values, dtype=np.float64))
)


def days(count: int) -> list[dt.date]:
    return [dt.date(2024, 1, 1) + dt.timedelta(days=day) for day in range(count)]


def a_table(values: list[list[float | None]]) -> pl.DataFrame:
    """One session per list of values."""
    sessions = [day for day, one in zip(days(len(values)), values, strict=True) for _ in one]
    flat = [value for one in values for value in one]
    return pl.DataFrame({"session": sessions, "x": pl.Series(flat, dtype=pl.Float32)})


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of scipy's p-value, which is not asked for
@given(SAMPLES, SAMPLES)
def test_the_distance_is_scipys(reference: np.ndarray, sample: np.ndarray) -> None:
    assert kolmogorov_smirnov(reference, sample) == pytest.approx(ks_2samp(reference, sample).statistic, abs=1e-12)


@given(SAMPLES, SAMPLES)
def test_the_distance_is_the_same_both_ways_and_the_index_never_negative(
    reference: np.ndarray, sample: np.ndarray
) -> None:
    assert kolmogorov_smirnov(reference, sample) == kolmogorov_smirnov(sample, reference)
    assert population_stability_index(reference, sample) >= 0


@given(SAMPLES)
def test_a_sample_beside_itself_or_itself_twice_has_not_moved(sample: np.ndarray) -> None:
    twice = np.repeat(sample, 2)
    for other in (sample, twice):
        assert kolmogorov_smirnov(sample, other) == 0
        assert population_stability_index(sample, other) == pytest.approx(0, abs=1e-12)


def test_the_index_by_hand_over_ten_bins_of_a_tenth_each() -> None:
    reference = np.arange(1.0, 101.0)
    # The five lowest bins get 2 % each, the five highest 18 %.
    sample = np.sort(np.concatenate([np.repeat(np.arange(5.0, 50, 10), 2), np.repeat(np.arange(55.0, 100, 10), 18)]))
    expected = 5 * (0.02 - 0.1) * math.log(0.2) + 5 * (0.18 - 0.1) * math.log(1.8)
    assert population_stability_index(reference, sample) == pytest.approx(expected, rel=1e-12)


def test_an_empty_bin_counts_as_a_ten_thousandth() -> None:
    reference, sample = np.repeat([0.0, 1.0], 50), np.zeros(100)
    expected = (1 - 0.5) * math.log(1 / 0.5) + (LEAST_SHARE - 0.5) * math.log(LEAST_SHARE / 0.5)
    assert population_stability_index(reference, sample) == pytest.approx(expected, rel=1e-12)


def test_values_beyond_the_reference_are_a_bin_of_their_own_where_it_has_few_values() -> None:
    reference, sample = np.repeat([1.0, 2.0], 50), np.repeat([1.0, 2.0, 3.0], [25, 25, 50])
    expected = 2 * (0.25 - 0.5) * math.log(0.5) + (0.5 - LEAST_SHARE) * math.log(0.5 / LEAST_SHARE)
    assert population_stability_index(reference, sample) == pytest.approx(expected, rel=1e-12)


def test_separate_samples_are_as_far_apart_as_can_be() -> None:
    assert kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([3.0])) == 1


def test_nulls_and_not_a_number_are_no_values() -> None:
    assert sorted_values(pl.Series([2.0, None, math.nan, 1.0])).tolist() == [1.0, 2.0]


@given(st.integers(2, 12), st.data())
def test_periods_differ_by_a_session_at_most_and_none_is_lost(periods: int, data: st.DataObject) -> None:
    sessions = data.draw(st.integers(periods, 50))
    table = pl.DataFrame({"session": days(sessions)}).select(pl.all().repeat_by(3).explode())
    dated = with_periods(table, periods)
    lengths = dated.group_by("period").agg(pl.col("session").n_unique())["session"]
    assert dated["session"].equals(table["session"])
    assert dated["period"].is_sorted()
    assert lengths.len() == periods
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("periods", [-1, 0, 1, 6])
def test_periods_that_cannot_be_are_refused(periods: int) -> None:
    with pytest.raises(InvalidInputError, match=f"periods {periods} cannot be compared in a table of 5 sessions"):
        with_periods(pl.DataFrame({"session": days(5)}), periods)


def test_each_period_is_compared_with_the_first_and_with_the_one_before() -> None:
    low, high = [float(value) for value in range(LEAST_VALUES)], [float(value + 1000) for value in range(LEAST_VALUES)]
    found = drift_between_periods(a_table([low, high, high]), ["x"], 3)
    assert found["sessions"].to_list() == [1, 1, 1]
    assert found["first"].to_list() == found["last"].to_list() == days(3)
    assert found["ks"].to_list() == [None, 1.0, 1.0]
    assert found["ks_previous"].to_list() == [None, 1.0, 0.0]
    assert found["psi_previous"].to_list()[2] == pytest.approx(0)
    assert found["psi"].to_list()[2] > 5
    assert found["mean"].to_list() == [(LEAST_VALUES - 1) / 2] + 2 * [1000 + (LEAST_VALUES - 1) / 2]


def test_too_few_values_are_not_compared() -> None:
    few, enough = [1.0] * (LEAST_VALUES - 1) + [None], [1.0] * LEAST_VALUES
    found = drift_between_periods(a_table([enough, few, enough]), ["x"], 3)
    assert found["values"].to_list() == [LEAST_VALUES, LEAST_VALUES - 1, LEAST_VALUES]
    assert found["psi"].to_list() == [None, None, 0.0]
    assert found["psi_previous"].to_list() == [None, None, None]


def test_a_feature_without_values_has_neither_mean_nor_drift() -> None:
    found = drift_between_periods(a_table([[None], [None]]), ["x"], 2)
    assert found.select("values", "mean", "deviation", "psi", "ks").rows() == 2 * [(0, None, None, None, None)]
