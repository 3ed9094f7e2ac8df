from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation_service.drawdown import Drawdown, longest_drawdown, max_drawdown

ANSWERS = Path(__file__).parents[1] / "answers" / "metrics_drawdown.csv"
WORKED_OUT = pl.read_csv(ANSWERS, comment_prefix="#", infer_schema=False).to_dicts()


@pytest.mark.parametrize("answer", WORKED_OUT, ids=lambda answer: answer["name"])
def test_drawdown_and_its_bars_equal_the_worked_out_ones(answer: dict[str, str | None]) -> None:
    equity = np.array([float(text) for text in str(answer["equity"]).split()])
    found = max_drawdown(equity, 100.0)
    expected = [None if (text := answer[name]) is None else int(text) for name in ("peak", "trough", "recovery")]
    assert found.fraction == pytest.approx(float(str(answer["fraction"])), abs=1e-12)
    assert [found.peak, found.trough, found.recovery] == expected


@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=60))
def test_drawdown_equals_the_worst_pair_of_an_earlier_and_a_later_value(equity: list[float]) -> None:
    curve = [100.0, *equity]
    worst = max(1 - later / earlier for i, earlier in enumerate(curve) for later in curve[i:])
    assert max_drawdown(np.array(equity), 100.0).fraction == pytest.approx(worst, abs=1e-12)


def test_curve_that_never_falls_has_no_drawdown_dates() -> None:
    assert max_drawdown(np.array([100.0, 101.0]), 100.0) == Drawdown(0.0, None, None, None)


@pytest.mark.parametrize(
    ("values", "longest"),
    [
        ([101, 102, 103], 0),
        ([99, 100, 98, 97, 96, 100], 3),  # back at the height is no fall any more
        ([90, 91, 92], 3),  # never back, and counted from the start
        ([110, 100, 109, 110, 105], 2),
    ],
)
def test_longest_fall_is_the_most_values_in_a_row_below_the_height_before(values: list[float], longest: int) -> None:
    assert longest_drawdown(np.array(values, dtype=float), 100.0) == longest


@given(st.lists(st.integers(95, 105), min_size=1, max_size=60))
def test_longest_fall_equals_a_count_value_by_value(values: list[int]) -> None:
    highest = itertools.accumulate([100, *values], max)
    below = [value < height for value, height in zip([100, *values], highest, strict=True)]
    counted = max((len(list(row)) for fell, row in itertools.groupby(below) if fell), default=0)
    assert longest_drawdown(np.array(values, dtype=float), 100.0) == counted
