"""Costs, execution and rules refuse what makes no sense, before anything is replayed."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from barlake.errors import InvalidInputError
from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import replay
from simulation_service.market import Market
from simulation_service.rules import Direction, Reason, Rules
from simulation_service.ticks import rate_units

REFUSED: dict[str, Callable[[], object]] = {
    "half_spread_bps -1": lambda: Costs(half_spread_bps=-1),
    "slippage_bps 6000": lambda: Costs(half_spread_bps=6000, slippage_bps=6000),
    "per_share_usd 1.5": lambda: Costs(per_share_usd=1.5),
    "sell_fee_rate nan": lambda: Costs(sell_fee_rate=float("nan")),
    "per_order_usd 1e-09 is too fine": lambda: Costs(per_order_usd=1e-9),
    "delay_bars -1": lambda: Execution(delay_bars=-1),
    "volume_share 0": lambda: Execution(volume_share=0),
    "volume_share 1.1": lambda: Execution(volume_share=1.1),
    "stop_loss 0": lambda: Rules(stop_loss=0),
    "stop_loss 1": lambda: Rules(stop_loss=1),
    "take_profit -0.1": lambda: Rules(take_profit=-0.1),
    "trailing_stop 2": lambda: Rules(trailing_stop=2),
    "max_holding_bars 0": lambda: Rules(max_holding_bars=0),
    "max_drawdown 1": lambda: Rules(max_drawdown=1),
    "direction 'up' is not known": lambda: Direction.parse("up"),
}


@pytest.mark.parametrize("message", list(REFUSED))
def test_settings_that_make_no_sense_are_refused_by_name_and_value(message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        REFUSED[message]()


def test_rates_are_the_digits_that_were_written() -> None:
    assert rate_units(0.1, name="stop_loss") == 10_000_000
    assert Costs(half_spread_bps=0.1, slippage_bps=0.2, sell_fee_rate=0.0000278).units().tolist() == [
        3000, 0, 0, 2780, 0, -1,
    ]  # fmt: skip


def test_free_costs_are_known_as_such() -> None:
    assert Costs().is_free
    assert Costs(sell_fee_most_usd=5.0).is_free
    assert not Costs(per_order_usd=0.01).is_free


def test_settings_survive_json() -> None:
    execution = Execution(Fill.NEXT_CLOSE, 2, Costs(slippage_bps=0.5), volume_share=0.1)
    assert json.loads(json.dumps(execution.as_dict()))["costs"]["slippage_bps"] == 0.5
    assert json.loads(json.dumps(Rules(Direction.BOTH, stop_loss=0.02).as_dict()))["direction"] == "both"


def test_reasons_are_written_in_small_letters() -> None:
    assert [Reason.SIGNAL.label, Reason.DAILY_LOSS.label] == ["signal", "daily_loss"]


def test_negative_cash_is_refused() -> None:
    prices = np.full(2, 1e6)
    with pytest.raises(InvalidInputError, match="cash_ticks -1 is below 0"):
        replay(np.ones(2), Market.from_ticks(prices, prices), cash_ticks=-1)
