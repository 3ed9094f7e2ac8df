"""The ladder of optimism: one strategy under six assumptions, each more honest than the one before.

Most of what looks like skill at one minute is gone by the second rung: the close that a signal was made from is
the price at which a fill is no longer to be had. What each further cost takes is seen rung by rung, and the
break-even cost says how dear a trade may be before nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from simulation_service.break_even import break_even_cost
from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay, replay
from simulation_service.market import Market
from simulation_service.ratios import last_bars, session_returns, sharpe_ratio
from simulation_service.rules import Rules
from simulation_service.ticks import TICKS_PER_DOLLAR, ExactRangeError, FloatArray, usd_text

__all__ = ["TYPICAL_VOLUME_SHARE", "Ladder", "Rung", "RungName", "climb", "climb_with", "rung_executions"]

TYPICAL_VOLUME_SHARE = 0.025
"""Share of a bar's volume that is assumed where nobody names one: the default of zipline and of Lean, see
https://github.com/stefan-jansen/zipline-reloaded/blob/main/src/zipline/finance/slippage.py."""

_BASIC_EXECUTION, _BASIC_RULES = Execution(), Rules()
_NO_PROFIT: dict[str, float | None] = {"break_even_cost_bps": None, "break_even_trade_usd": None}


class RungName(StrEnum):
    """The rungs, lowest honesty first; each keeps what the ones before it have added."""

    SAME_CLOSE = "same close"
    NEXT_OPEN = "next open"
    SPREAD = "+ spread"
    SLIPPAGE = "+ slippage"
    FEES = "+ fees"
    DELAY = "+ volume cap and delay"


@dataclass(frozen=True)
class Rung:
    """What became of the account on one rung; money in ticks.

    Parameters
    ----------
    final_value, fills, costs_paid
        Costs are spread, slippage and fees. None, all three, where the account left the exact range.
    sharpe
        Yearly, from session closes; None where it is not defined.
    reason
        Why the rung has no figures; None where it has them.
    """

    name: RungName
    execution: Execution
    start_cash: int
    final_value: int | None = None
    fills: int | None = None
    costs_paid: float | None = None
    sharpe: float | None = None
    reason: str | None = None

    @property
    def total_return(self) -> float | None:
        """Final value by starting cash, minus 1."""
        return None if self.final_value is None else self.final_value / self.start_cash - 1.0

    def as_dict(self) -> dict[str, Any]:
        """Figures by name, as JSON can hold them; the final value is exact decimal text beside a number."""
        return {
            "name": self.name.value,
            "execution": self.execution.as_dict(),
            "final_value": None if self.final_value is None else usd_text(self.final_value),
            "final_value_usd": None if self.final_value is None else self.final_value / TICKS_PER_DOLLAR,
            "total_return": self.total_return,
            "sharpe": self.sharpe,
            "fills": self.fills,
            "costs_usd": None if self.costs_paid is None else self.costs_paid / TICKS_PER_DOLLAR,
            "reason": self.reason,
        }


@dataclass(frozen=True, eq=False)
class Ladder:
    """Six rungs, and what a trade may cost.

    Parameters
    ----------
    rungs
        In the order of `RungName`.
    assumed, volume_share_assumed
        Whether the costs are `Costs.typical()`, and the cap `TYPICAL_VOLUME_SHARE`, because none were given.
    break_even_cost_bps
        Cost of each dollar bought or sold, in 1e-4, with which the second rung would end where it began, as
        `break_even_cost` has it; None where it has no profit to lose.
    break_even_trade_usd
        The same as dollars for a round trip: profit of the second rung by half its fills.
    same_close
        Shape (n_bars,), equity on the first rung after each bar, ticks; None where that left the exact range.
    """

    rungs: tuple[Rung, ...]
    assumed: bool
    volume_share_assumed: bool
    break_even_cost_bps: float | None
    break_even_trade_usd: float | None
    same_close: FloatArray | None

    def __getitem__(self, name: str) -> Rung:
        """Rung of that name."""
        return next(rung for rung in self.rungs if rung.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {
            "rungs": [rung.as_dict() for rung in self.rungs],
            "assumed": self.assumed,
            "volume_share_assumed": self.volume_share_assumed,
            "break_even_cost_bps": self.break_even_cost_bps,
            "break_even_trade_usd": self.break_even_trade_usd,
        }


def rung_executions(execution: Execution) -> dict[RungName, Execution]:
    """How orders are filled on each rung, with the costs and cap of `execution`, or typical ones where it has none."""
    costs = Costs.typical() if execution.costs.is_free else execution.costs
    spread = Costs(half_spread_bps=costs.half_spread_bps)
    slippage = replace(spread, slippage_bps=costs.slippage_bps)
    return {
        RungName.SAME_CLOSE: Execution(Fill.SAME_CLOSE),
        RungName.NEXT_OPEN: Execution(Fill.NEXT_OPEN),
        RungName.SPREAD: Execution(Fill.NEXT_OPEN, costs=spread),
        RungName.SLIPPAGE: Execution(Fill.NEXT_OPEN, costs=slippage),
        RungName.FEES: Execution(Fill.NEXT_OPEN, costs=costs),
        RungName.DELAY: Execution(
            Fill.NEXT_OPEN,
            delay_bars=max(1, execution.delay_bars),
            costs=costs,
            volume_share=execution.volume_share or TYPICAL_VOLUME_SHARE,
        ),
    }


def climb(
    signal: FloatArray,
    market: Market,
    *,
    cash_ticks: int,
    execution: Execution = _BASIC_EXECUTION,
    rules: Rules = _BASIC_RULES,
) -> Ladder:
    """The ladder of one signal series over the bars of one symbol.

    Parameters
    ----------
    signal
        Shape (n_bars,), known when its bar has closed; NaN holds.
    cash_ticks
        Starting cash, whole ticks.
    execution
        Of the run: its costs, volume cap and delay are those of the rungs; its fill is not, for every rung has its own.
    rules
        Of the run; the same on every rung.

    Raises
    ------
    InvalidInputError
        As `replay`, except that a rung which leaves the exact range says so and has no figures.
    """

    def replayed(way: Execution) -> Replay:
        return replay(signal, market, cash_ticks=cash_ticks, execution=way, rules=rules)

    return climb_with(replayed, session_number=market.session_number, cash_ticks=cash_ticks, execution=execution)


def climb_with(
    replayed: Callable[[Execution], Replay],
    *,
    session_number: npt.NDArray[np.int64],
    cash_ticks: int,
    execution: Execution = _BASIC_EXECUTION,
) -> Ladder:
    """The ladder of anything that can be replayed with one execution after the other, such as a portfolio.

    Parameters
    ----------
    replayed
        Replay of the same signals with an execution; where it raises `ExactRangeError` the rung has no figures.
    session_number
        Shape (n_bars,), the same for all bars of one session.
    cash_ticks
        Starting cash, whole ticks.
    """
    session_last = last_bars(session_number)
    rungs, break_even, same_close = [], _NO_PROFIT, None
    for name, way in rung_executions(execution).items():
        # One at a time: on a million bars a replay is some thirty megabytes.
        try:
            done = replayed(way)
        except ExactRangeError as error:
            rungs.append(Rung(name, way, cash_ticks, reason=str(error)))
            continue
        rungs.append(_rung(name, way, done, session_last))
        if name is RungName.SAME_CLOSE:
            same_close = done.equity
        if name is RungName.NEXT_OPEN:
            break_even = _break_even(done)
    return Ladder(
        tuple(rungs),
        assumed=execution.costs.is_free,
        volume_share_assumed=execution.volume_share is None,
        same_close=same_close,
        **break_even,
    )


def _rung(name: RungName, way: Execution, done: Replay, session_last: npt.NDArray[np.int64]) -> Rung:
    returns = session_returns(done.equity, session_last, float(done.start_cash))
    fills = int(done.fill_bars.size)
    return Rung(name, way, done.start_cash, done.final_value, fills, done.costs_paid, sharpe_ratio(returns))


def _break_even(free: Replay) -> dict[str, float | None]:
    traded = np.abs(free.fill_shares) * free.fill_prices
    cost = break_even_cost(free.start_cash, free.final_value, traded, free.equity[free.fill_bars])
    if cost is None:
        return _NO_PROFIT
    profit_usd = (free.final_value - free.start_cash) / TICKS_PER_DOLLAR
    return {"break_even_cost_bps": cost * 1e4, "break_even_trade_usd": profit_usd / (free.fill_bars.size / 2)}
