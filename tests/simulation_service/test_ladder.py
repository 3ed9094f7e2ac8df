from __future__ import annotations

import json
import math

import numpy as np
import pytest

from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import replay
from simulation_service.ladder import TYPICAL_VOLUME_SHARE, RungName, climb, rung_executions
from simulation_service.market import Market


def test_each_rung_keeps_what_the_ones_before_it_have_added() -> None:
    costs = Costs(
        half_spread_bps=1.5, slippage_bps=2.5, per_share_usd=0.01, per_order_usd=1.0, sell_fee_rate=0.00003,
        sell_fee_per_share_usd=0.0002, sell_fee_most_usd=9.0,
    )  # fmt: skip
    found = rung_executions(Execution(Fill.NEXT_CLOSE, delay_bars=3, costs=costs, volume_share=0.1))
    assert list(found) == list(RungName)
    assert list(found.values()) == [
        Execution(Fill.SAME_CLOSE),
        Execution(Fill.NEXT_OPEN),
        Execution(Fill.NEXT_OPEN, costs=Costs(half_spread_bps=1.5)),
        Execution(Fill.NEXT_OPEN, costs=Costs(half_spread_bps=1.5, slippage_bps=2.5)),
        Execution(Fill.NEXT_OPEN, costs=costs),
        Execution(Fill.NEXT_OPEN, delay_bars=3, costs=costs, volume_share=0.1),
    ]


def test_where_nobody_says_what_trading_costs_typical_costs_are_assumed_and_said_to_be() -> None:
    found = rung_executions(Execution())
    assert found[RungName.FEES].costs == Costs.typical()
    assert found[RungName.DELAY] == Execution(
        Fill.NEXT_OPEN, delay_bars=1, costs=Costs.typical(), volume_share=TYPICAL_VOLUME_SHARE
    )


def test_six_rungs_of_one_trade_equal_pencil_arithmetic() -> None:
    opens, closes = np.array([100.0, 101, 104, 105]), np.array([100.0, 102, 103, 106])
    market = Market.from_ticks(opens * 10_000, closes * 10_000, volume=np.array([50.0, 10.0, 50.0, 50.0]))
    costs = Costs(half_spread_bps=100.0, slippage_bps=100.0, per_share_usd=0.05, per_order_usd=1.0, sell_fee_rate=0.001)
    found = climb(
        np.array([1.0, 0.0, 0.0, 0.0]),
        market,
        cash_ticks=10_000_000,
        execution=Execution(costs=costs, volume_share=0.5),
    )
    assert [rung.as_dict()["final_value"] for rung in found.rungs] == [
        "1020.00",  # 10 at 100, sold at 102
        "1027.00",  # 9 at 101, sold at 104
        "1008.55",  # 9 at 102.01, sold at 102.96
        "990.10",  # 9 at 103.02, sold at 101.92
        "986.2827",  # and 1.45 for each order, and 0.9173 of the sale of 917.28
        "981.0855",  # 5 (half the volume before) at 106.08 and 1.25, sold at 102.90 less 1.25 and 0.5145
    ]
    assert [rung.fills for rung in found.rungs] == [2] * 6
    assert not found.assumed
    assert not found.volume_share_assumed
    assert found["next open"].costs_paid == 0
    assert found["+ spread"].costs_paid == 9 * (10_100 + 10_400)
    assert found["+ fees"].costs_paid == 9 * (20_200 + 20_800) + 2 * 14_500 + 9_173
    assert found.break_even_trade_usd == pytest.approx(27.0)
    # 27 of profit over 909 bought and 936 sold of an account of 1,009 and 1,027 dollars.
    assert found.break_even_cost_bps == pytest.approx(math.tanh(math.log(1.027) / (909 / 1009 + 936 / 1027)) * 1e4)


@pytest.mark.parametrize("seed", range(5))
def test_with_the_break_even_cost_an_account_ends_where_it_began(seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = 4_000_000 * np.exp(np.cumsum(rng.normal(2e-5, 5e-4, 8_000)))
    market = Market.from_ticks(np.rint(path[::2]), np.rint(path[1::2]))
    # Knows a little of the bar to come, so that there is a profit to lose.
    hint = np.append(np.diff(path[::2])[1:], [0.0, 0.0]) + rng.normal(0, 8_000, 4_000)
    signal = (hint > 0).astype(float)
    found = climb(signal, market, cash_ticks=10**12)
    assert found.break_even_cost_bps is not None
    cost = Costs(half_spread_bps=round(found.break_even_cost_bps, 4))
    done = replay(signal, market, cash_ticks=10**12, execution=Execution(costs=cost))
    assert found["next open"].total_return > 0.5
    assert done.final_value / 10**12 - 1 == pytest.approx(0, abs=0.01)


def test_without_a_profit_or_a_trade_there_is_no_break_even() -> None:
    falling = Market.from_ticks(np.array([30_000.0, 20_000, 10_000]), np.array([30_000.0, 20_000, 10_000]))
    for signal in ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0]):
        found = climb(np.array(signal), falling, cash_ticks=10**8)
        assert (found.break_even_cost_bps, found.break_even_trade_usd) == (None, None)


def test_a_ladder_is_json() -> None:
    prices = np.full(3, 10_000.0)
    found = climb(np.ones(3), Market.from_ticks(prices, prices), cash_ticks=10**8).as_dict()
    assert json.loads(json.dumps(found)) == found
    assert [rung["name"] for rung in found["rungs"]] == [name.value for name in RungName]
    assert found["assumed"]
