"""What is known of a test row besides its prediction, worked out by hand."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

from training_service.outcomes import Outcome, outcome_columns, session_returns
from training_service.targets import Task

NAN = float("nan")
OPEN = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)


def minute(number: int) -> dt.datetime:
    return OPEN + dt.timedelta(minutes=number)


def frame(rows: list[tuple[int, float, float | None, int | None]]) -> pl.DataFrame:
    """Rows of minute, close, label and the minute from which the label is known."""
    return pl.DataFrame(
        {
            "session": [dt.date(2024, 1, 2)] * len(rows),
            "timestamp": [minute(row[0]) for row in rows],
            "close": [row[1] for row in rows],
            "label": [row[2] for row in rows],
            "known_at": [None if row[3] is None else minute(row[3]) for row in rows],
        },
        schema_overrides={"label": pl.Float64, "known_at": pl.Datetime("us", "UTC")},
    )


def test_the_last_label_is_the_newest_one_known_when_the_bar_closes() -> None:
    # Labels over two minutes: that of minute 0 is known when bar 2 closes, at minute 3.
    rows = frame([(0, 10, 1.0, 3), (1, 10, 0.0, 4), (2, 11, 1.0, 5), (3, 9, None, None), (4, 12, None, None)])
    assert outcome_columns(rows)["last_label"].to_list() == pytest.approx([NAN, NAN, 1.0, 0.0, 1.0], nan_ok=True)


def test_a_label_that_ends_sooner_is_known_sooner() -> None:
    rows = frame([(0, 10, 1.0, 9), (1, 10, 0.0, 3), (2, 10, None, None), (3, 10, None, None)])
    assert outcome_columns(rows)["last_label"].to_list() == pytest.approx([NAN, NAN, 0.0, 0.0], nan_ok=True)


def test_the_realised_return_reaches_to_the_bar_that_the_label_ends_with() -> None:
    rows = frame([(0, 10, 1.0, 3), (1, 20, 0.0, 4), (2, 11, 1.0, 5), (4, 12, None, None)])
    # The bar of minute 3, where the second label ends, is not in the dataset.
    expected = [math.log(11 / 10), NAN, math.log(12 / 11), NAN]
    assert outcome_columns(rows)["realised_return"].to_list() == pytest.approx(expected, nan_ok=True)


def test_columns_stay_in_the_order_of_the_rows() -> None:
    rows = frame([(number, 10.0 + number, float(number), number + 2) for number in range(50)])
    found = outcome_columns(rows)
    assert found["last_label"].to_list()[1:] == [float(number) for number in range(49)]
    assert np.isnan(found["last_label"][0])


def test_only_rows_with_a_label_are_an_outcome() -> None:
    rows = frame([(0, 10, 1.0, 2), (1, 10, None, None), (2, 10, 0.0, 4)])
    rows = rows.with_columns(last_label=pl.Series([NAN, 1.0, 1.0]), realised_return=pl.Series([0.1, 0.2, 0.3]))
    found = Outcome.of(rows, np.array([0.6, 0.7, 0.8]), training_mean=0.55)
    assert found.label.tolist() == [1.0, 0.0]
    assert found.prediction.tolist() == [0.6, 0.8]
    assert found.training_mean.tolist() == [0.55, 0.55]
    assert found.realised_return.tolist() == [0.1, 0.3]


def outcome(prediction: list[float], realised: list[float], days: list[int]) -> Outcome:
    count = len(prediction)
    session = np.array([np.datetime64("2024-01-02") + day for day in days])
    return Outcome(np.ones(count), np.array(prediction), np.ones(count), np.ones(count), np.array(realised), session)


def test_the_return_of_a_session_is_what_its_predictions_earned_on_average() -> None:
    found = session_returns(outcome([0.6, 0.5, 0.9, 0.2], [0.01, 0.02, NAN, -0.03], [1, 1, 1, 0]), Task.CLASSIFICATION)
    # Long one, short two (a half is no rise), the unknown one left out; the day before, short a fall.
    assert found == {dt.date(2024, 1, 2): pytest.approx(0.03), dt.date(2024, 1, 3): pytest.approx((0.01 - 0.02) / 2)}


def test_a_number_above_zero_is_long_and_zero_is_out() -> None:
    found = session_returns(outcome([2.0, -1e-9, 0.0], [0.01, 0.02, 0.04], [0, 0, 0]), Task.REGRESSION)
    assert found == {dt.date(2024, 1, 2): pytest.approx((0.01 - 0.02) / 3)}


def test_a_session_without_realised_return_is_left_out() -> None:
    assert session_returns(outcome([0.9], [NAN], [0]), Task.CLASSIFICATION) == {}


def test_pooled_outcomes_keep_every_row_in_order() -> None:
    pooled = Outcome.pooled([outcome([0.2], [0.1], [0]), outcome([0.3, 0.4], [0.2, 0.3], [1, 2])])
    assert pooled.prediction.tolist() == [0.2, 0.3, 0.4]
    assert pooled.realised_return.tolist() == [0.1, 0.2, 0.3]
    assert pooled.session.tolist() == [dt.date(2024, 1, day) for day in (2, 3, 4)]
