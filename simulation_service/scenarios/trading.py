"""One account on one stage: the strategy decides by what it sees, and its orders fill in the market."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from barlake.sessions import Calendar
from simulation_service.drawdown import max_drawdown
from simulation_service.kernel import Replay, buy_and_hold, replay
from simulation_service.market import Market
from simulation_service.plan import SimulationPlan
from simulation_service.ratios import last_bars, session_returns
from simulation_service.scenarios.shocks import Stage
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.placing import signal_frame
from simulation_service.ticks import FloatArray

__all__ = ["Traded", "Trader"]


@dataclass(frozen=True, eq=False)
class Traded:
    """What became of an account, and of the same cash in the symbol itself.

    Parameters
    ----------
    bars
        Those of the traded symbol: session, timestamp and prices.
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
    """A plan for one symbol, ready to be traded on any bars.

    Parameters
    ----------
    strategy
        What decides. None: the bars bring a column signal, which belongs to its minute whatever prices do.
    feed, hours, calendar
        Whose sessions are traded, which part of them, and when those end.
    run_id
        The run whose plan it is, if it is one's.
    """

    plan: SimulationPlan
    strategy: Strategy | None
    feed: str
    hours: str
    calendar: Calendar
    run_id: str = ""

    @property
    def symbol(self) -> str:
        """What is traded."""
        return self.plan.symbols[0]

    def decide(self, seen: pl.DataFrame) -> pl.DataFrame:
        """What is wanted of the traded symbol, timestamp and signal, by bars that are seen."""
        signals = seen if self.strategy is None else signal_frame(self.strategy, seen)
        return signals.filter(pl.col("symbol") == self.symbol).select("timestamp", "signal")

    def trade(self, stage: Stage, *, made_up: bool = False) -> Traded:
        """The account after the stage's last bar. In a minute that is not seen, nothing new is decided.

        Parameters
        ----------
        made_up
            Whether the bars only stand on the dates they have: the halts of those dates are not theirs.
        """
        own = stage.market.filter(pl.col("symbol") == self.symbol).drop("signal", strict=False)
        bars = own.join(self.decide(stage.seen), on="timestamp", how="left", maintain_order="left")
        halts = () if made_up else None
        market = Market.of(bars, feed=self.feed, hours=self.hours, calendar=self.calendar, halts=halts)
        signal = bars["signal"].fill_null(float("nan")).to_numpy()
        cash, execution = self.plan.cash_ticks, self.plan.execution
        account = replay(signal, market, cash_ticks=cash, execution=execution, rules=self.plan.rules)
        held = buy_and_hold(market, cash_ticks=cash, execution=execution)
        return Traded(bars.select("session", "timestamp", "open", "high", "low", "close"), account, held)
