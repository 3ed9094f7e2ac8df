from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from simulation_service.tick_prices import price_ticks
from simulation_service.ticks import MAX_TICKS, cash_to_ticks, to_dollars, usd_text


@given(st.lists(st.integers(1, 10**11), min_size=1, max_size=50))
def test_every_price_of_four_decimals_is_on_the_grid_and_comes_back(ticks: list[int]) -> None:
    dollars = np.array([float(Decimal(tick) / 10_000) for tick in ticks])
    found = price_ticks(dollars, name="close")
    assert found.ticks.tolist() == ticks
    assert found.rounded == 0
    assert to_dollars(found.ticks).tolist() == dollars.tolist()


def test_price_between_two_ticks_is_rounded_and_counted() -> None:
    found = price_ticks(np.array([10.00004, 10.00006, 10.5]), name="open")
    assert found.ticks.tolist() == [100_000, 100_001, 105_000]
    assert found.rounded == 2
    assert found.largest_rounding_usd == pytest.approx(4e-5)


def test_float_noise_counts_as_rounding_too() -> None:
    found = price_ticks(np.array([0.1 + 0.2]), name="close")
    assert (found.ticks.tolist(), found.rounded) == ([3000], 1)
    assert found.largest_rounding_usd < 1e-15


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf"), 0.00004, MAX_TICKS / 10_000])
def test_price_that_cannot_be_traded_is_refused_with_its_place(price: float) -> None:
    with pytest.raises(InvalidInputError, match=r"close .* at bar 1 cannot be traded"):
        price_ticks(np.array([10.0, price]), name="close")


@pytest.mark.parametrize("cash", [0, -5, "ten", float("nan"), float("inf"), "0.00001", 1e12])
def test_cash_that_cannot_start_an_account_is_refused(cash: float | str) -> None:
    with pytest.raises(InvalidInputError, match=r"cash .* is not an amount to start with"):
        cash_to_ticks(cash)


def test_cash_may_come_as_number_text_or_decimal() -> None:
    assert {cash_to_ticks(given_as) for given_as in (100_000, 100_000.0, "100000", Decimal("1e5"))} == {10**9}


def test_amounts_are_written_in_cents_or_in_ticks_when_cents_are_too_coarse() -> None:
    assert [usd_text(ticks) for ticks in (1_058_085_800, 10_000, 1, 0)] == [
        "105808.58",
        "1.00",
        "0.0001",
        "0.00",
    ]
