"""A flat window is one whose values are all equal, to the row."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from feature_service.flat import is_flat

PRICES = st.lists(st.sampled_from([1.0, 1.01]), max_size=30)


@given(prices=PRICES, window=st.integers(2, 6))
def test_a_window_is_flat_exactly_when_it_holds_one_value(prices: list[float], window: int) -> None:
    frame = pl.DataFrame({"close": pl.Series(prices, dtype=pl.Float64)})
    found = frame.select(is_flat(pl.col("close"), window)).to_series().to_list()
    expected = [row >= window - 1 and len(set(prices[row - window + 1 : row + 1])) == 1 for row in range(len(prices))]
    assert found == expected
