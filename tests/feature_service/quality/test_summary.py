"""Where values are absent and how they are spread, beside numpy and by hand."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_service.quality.summary import nulls_by_session, summarise

ONE, TWO = dt.date(2024, 1, 2), dt.date(2024, 1, 3)
TABLE = pl.DataFrame(
    {
        "session": [ONE, ONE, ONE, TWO, TWO],
        "warm": [None, None, 1.0, 2.0, 3.0],
        "holes": [1.0, None, 1.0, None, 1.0],
        "empty": pl.Series([None] * 5, dtype=pl.Float32),
        "whole": [5, 4, 3, 2, 1],
    }
)
NAMES = ["warm", "holes", "empty", "whole"]


def test_only_sessions_that_lack_a_value_are_rows() -> None:
    assert nulls_by_session(TABLE, NAMES).rows() == [
        (ONE, "warm", 2, 3), (ONE, "holes", 1, 3), (ONE, "empty", 3, 3), (TWO, "holes", 1, 2), (TWO, "empty", 2, 2),
    ]  # fmt: skip


def test_nulls_before_the_first_value_are_told_from_those_after_it() -> None:
    columns = ("feature", "rows", "nulls", "leading_nulls", "later_nulls", "sessions_with_later_nulls")
    assert summarise(TABLE, NAMES).select(columns).rows() == [
        ("warm", 5, 2, 2, 0, 0), ("holes", 5, 2, 0, 2, 2), ("empty", 5, 5, 5, 0, 0), ("whole", 5, 0, 0, 0, 0),
    ]  # fmt: skip


def test_what_no_value_gives_is_null() -> None:
    row = summarise(TABLE, ["empty"]).row(0, named=True)
    assert row["distinct"] == 0
    assert {row[name] for name in ("mean", "deviation", "least", "median", "most")} == {None}


@given(st.lists(st.integers(-4, 4) | st.floats(-1e3, 1e3), min_size=2, max_size=80))
def test_the_spread_is_numpys(values: list[float]) -> None:
    table = pl.DataFrame({"session": [ONE] * len(values), "x": pl.Series(values, dtype=pl.Float64)})
    row = summarise(table, ["x"]).row(0, named=True)
    array = np.array(values, dtype=np.float64)
    expected = {"p01": 0.01, "p25": 0.25, "median": 0.5, "p75": 0.75, "p99": 0.99}
    assert {name: row[name] for name in expected} == {
        name: np.quantile(array, share, method="inverted_cdf") for name, share in expected.items()
    }
    assert (row["least"], row["most"], row["distinct"]) == (array.min(), array.max(), len(np.unique(array)))
    assert row["mean"] == pytest.approx(array.mean(), abs=1e-9)
    assert row["deviation"] == pytest.approx(array.std(ddof=1), abs=1e-9)
