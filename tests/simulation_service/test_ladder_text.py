from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from simulation_service.costs import Costs
from simulation_service.execution import Execution
from simulation_service.ladder import RungName, climb
from simulation_service.ladder_text import print_deflation, print_ladder, print_random_entries
from simulation_service.market import Market
from simulation_service.random_entries import RandomEntries

PRICES = np.array([10.0, 11.0, 12.0]) * 10_000
MARKET = Market.from_ticks(PRICES, PRICES)


def printed(show: Callable[[Mapping[str, Any], Console], None], facts: Mapping[str, Any]) -> str:
    text = io.StringIO()
    show(facts, Console(file=text, width=200))
    return text.getvalue()


def test_a_ladder_shows_each_rung_and_what_a_trade_may_cost() -> None:
    ladder = climb(np.array([1.0, 0.0, 0.0]), MARKET, cash_ticks=1_000_000)
    text = printed(print_ladder, ladder.as_dict())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert lines[0] == "ladder of optimism, with typical costs: none were given"
    rungs = [line.split("  ")[0] for line in lines if line.startswith(("same", "next", "+"))]
    assert rungs == [name.value for name in RungName]
    # 9 shares at 11, sold at 12.
    assert "109.00" in text
    assert "dollars a round trip" in text
    assert "9.00 dollars" in text


def test_costs_of_the_run_are_not_called_typical_and_a_loss_has_no_break_even() -> None:
    costs = Execution(costs=Costs(half_spread_bps=10.0))
    ladder = climb(np.array([0.0, 0.0, 0.0]), MARKET, cash_ticks=1_000_000, execution=costs)
    text = printed(print_ladder, ladder.as_dict())
    assert "typical" not in text
    assert "there is no profit that costs could eat" in text


def test_random_entries_are_one_sentence() -> None:
    quantiles = {"0.05": -0.1, "0.25": 0.0, "0.5": 0.01, "0.75": 0.02, "0.95": 0.3}
    entries = RandomEntries(200, 0, 12, 0.5, 1.0, 0.4, 0.4, quantiles, lower=0.98)
    text = printed(print_random_entries, entries.as_dict())
    assert text == (
        "better than 98% of 200 accounts with as many trades, held as long and entered at random; nine in ten of those "
        "made -10.00% to +30.00%\n"
    )


@pytest.mark.parametrize(("trials", "words"), [(1, "1 try on record"), (1200, "1,200 tries on record")])
def test_a_deflated_sharpe_ratio_is_told_with_the_number_of_tries(trials: int, words: str) -> None:
    text = printed(print_deflation, {"probability": 0.532, "trials": trials})
    assert text.startswith(f"deflated Sharpe ratio 53% with {words}: ")
