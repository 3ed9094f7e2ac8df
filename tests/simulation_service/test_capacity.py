from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation_service.capacity import LARGEST_SHARE, MOST_FILLS, capacity


def test_capacity_is_the_cash_at_which_the_tightest_fill_takes_one_per_cent() -> None:
    # 50 of 10,000 shares is half a per cent, 200 of 80,000 a quarter: with twice the cash the first takes one.
    assert capacity(np.array([50.0, -200.0]), np.array([10_000.0, 80_000.0]), 1_000.0) == pytest.approx(2_000.0)


def test_one_fill_in_twenty_may_be_beyond_it() -> None:
    shares, volume = np.full(20, 10.0), np.full(20, 1_000.0)
    volume[7] = 10.0
    assert capacity(shares, volume, 5_000.0) == pytest.approx(5_000.0)
    assert capacity(shares[:19], volume[:19], 5_000.0) == pytest.approx(50.0)


def test_fills_where_nothing_traded_leave_no_room() -> None:
    assert capacity(np.array([5.0]), np.array([0.0]), 100.0) == 0.0


def test_without_a_fill_there_is_nothing_to_estimate() -> None:
    assert capacity(np.array([]), np.array([]), 100.0) is None


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 10**6)), min_size=1, max_size=80))
def test_with_that_cash_enough_fills_stay_within_the_share(fills: list[tuple[int, int]]) -> None:
    shares, volume = np.array(fills, dtype=float).T
    cash = capacity(shares, volume, 1.0)
    assert cash is not None
    within = shares * cash <= LARGEST_SHARE * volume * (1 + 1e-9)
    assert within.mean() >= MOST_FILLS
    assert (shares * cash >= LARGEST_SHARE * volume * (1 - 1e-9)).any()
