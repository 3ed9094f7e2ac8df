from __future__ import annotations

from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.ladder import TYPICAL_VOLUME_SHARE, RungName, rung_executions


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
