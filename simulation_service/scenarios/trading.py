"""One account on one stage: the strategy decides by what it sees, and its orders fill in the market.

Of one symbol the account is the kernel's, of several the portfolio's; both are those of a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from barlake.sessions import Calendar
from simulation_service.allocation import Allocation, target_weights
from simulation_service.drawdown import max_drawdown
from simulation_service.kernel import Replay, buy_and_hold, replay
from simulation_service.market import Market
from simulation_service.panel import Panel
from simulation_service.plan import SimulationPlan
from simulation_service.portfolio import allowed, hold_evenly, replay_weights
from simulation_service.ratios import last_bars, session_returns
from simulation_service.scenarios.shocks import Stage
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.placing import signal_frame
from simulation_service.ticks import FloatArray

__all__ = ["Traded", "Trader"]


@dataclass(frozen=True, eq=False)
class Traded:
    """What became of an account, and of the same cash when it buys and holds.

    Parameters
    ----------
    bars
        session and timestamp of every bar of the account.
    """

    bars: pl.DataFrame
    account: Replay
    held: Replay

    @property
    def values(self) -> FloatArray:
        """Equity after every bar, in units of the cash at the start."""
        values: FloatArray = self.account.equity / self.account.start_cash
        return values

    @property
    def held_values(self) -> FloatArray:
        """The same for buy and hold."""
        values: FloatArray = self.held.equity / self.held.start_cash
        return values

    @property
    def session_closes(self) -> FloatArray:
        """`values` after the last bar of every session."""
        return self.values[last_bars(self.bars["session"].to_numpy())]

    @property
    def returns(self) -> FloatArray:
        """Simple returns of sessions, close to close, the first from the cash."""
        return session_returns(self.values, last_bars(self.bars["session"].to_numpy()), 1.0)

    @property
    def drawdown(self) -> float:
        """Deepest fall from the highest value so far, over all bars, a fraction."""
        return max_drawdown(self.values, 1.0).fraction


@dataclass(frozen=True, eq=False)
class Trader:
    """A plan, ready to be traded on any bars.

    Parameters
    ----------
    strategy
        What decides. None: the bars bring a column signal, which belongs to its minute whatever prices do.
    feed, hours, calendar
        Whose sessions are traded, which part of them, and when those end.
    run_id
        The run whose plan it is, if it is one's.
    earlier_closes
        Of several symbols: session closes before the bars, for sizes that are estimated from the past.
    """

    plan: SimulationPlan
    strategy: Strategy | None
    feed: str
    hours: str
    calendar: Calendar
    run_id: str = ""
    earlier_closes: pl.DataFrame | None = None

    @property
    def symbol(self) -> str:
        """What is traded; of several the first."""
        return self.plan.symbols[0]

    @property
    def title(self) -> str:
        """What is traded, for eyes."""
        return ", ".join(self.plan.symbols)

    def decide(self, seen: pl.DataFrame) -> pl.DataFrame:
        """What is wanted by bars that are seen: timestamp, symbol, signal."""
        signals = seen if self.strategy is None else signal_frame(self.strategy, seen)
        return signals.select("timestamp", "symbol", "signal")

    def trade(self, stage: Stage, *, made_up: bool = False) -> Traded:
        """The account after the stage's last bar. In a minute that is not seen, nothing new is decided.

        Parameters
        ----------
        made_up
            Whether the bars only stand on the dates they have: the halts of those dates are not theirs.
        """
        terms: dict[str, Any] = {
            "feed": self.feed,
            "hours": self.hours,
            "calendar": self.calendar,
            "halts": () if made_up else None,
        }
        wanted = self.decide(stage.seen)
        own = {name: stage.market.filter(pl.col("symbol") == name) for name in self.plan.symbols}
        if isinstance(self.plan.sizing, Allocation):
            return self._traded_together(Panel.of(own, **terms), wanted, self.plan.sizing)
        bars = own[self.symbol].drop("signal", strict=False)
        bars = bars.join(wanted, on=["timestamp", "symbol"], how="left", maintain_order="left")
        market = Market.of(bars, **terms)
        signal = bars["signal"].fill_null(float("nan")).to_numpy()
        cash, execution = self.plan.cash_ticks, self.plan.execution
        account = replay(signal, market, cash_ticks=cash, execution=execution, rules=self.plan.rules)
        held = buy_and_hold(market, cash_ticks=cash, execution=execution)
        return Traded(bars.select("session", "timestamp"), account, held)

    def _traded_together(self, panel: Panel, wanted: pl.DataFrame, sizing: Allocation) -> Traded:
        """Several symbols on one account, beside the same cash shared out evenly and left alone."""
        cash, execution, rules = self.plan.cash_ticks, self.plan.execution, self.plan.rules
        signals = allowed(panel.place(wanted), rules.direction)
        weights = target_weights(signals, panel, sizing, earlier_closes=self.earlier_closes)
        done = replay_weights(weights, panel, cash_ticks=cash, allocation=sizing, execution=execution, rules=rules)
        held = hold_evenly(panel, cash_ticks=cash, execution=execution)
        timeline = pl.DataFrame({"session": panel.session, "timestamp": panel.timestamp})
        return Traded(timeline, done.account, held.account)
