"""The four accounts of one simulation: the signals at either fill, and buy and hold beside each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay, buy_and_hold, replay
from simulation_service.market import Market
from simulation_service.metrics import Metrics, measure
from simulation_service.ticks import TICKS_PER_DOLLAR, ExactRangeError, usd_text
from simulation_service.trades import round_trips

__all__ = ["Accounts", "unkept"]

_BOUGHT_AT = {Fill.NEXT_OPEN: "first open", Fill.SAME_CLOSE: "first close"}


@dataclass(frozen=True, eq=False)
class Accounts:
    """What became of the cash, four ways.

    Parameters
    ----------
    bars
        Bars of one symbol with a column signal (null holds), as `simulation_service.signals.place` gives them.
    strategy, held
        By fill: the signals traded, and buy and hold. A fill whose account left the exact range is not in `strategy`.
    trips
        By fill: the round trips of `strategy`.
    left_out
        By fill: why `strategy` has none.
    """

    bars: pl.DataFrame
    market: Market
    strategy: dict[Fill, Replay]
    held: dict[Fill, Replay]
    trips: dict[Fill, pl.DataFrame]
    left_out: dict[Fill, str]
    _figures: dict[int, dict[str, Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def replayed(cls, bars: pl.DataFrame, *, cash_ticks: int, market: Market | None = None) -> Accounts:
        """Both fills and both ways to buy and hold over the same bars.

        Parameters
        ----------
        market
            The same bars as the kernel reads them; None makes one that knows no halts.
        """
        market = market or Market.of(bars, halts=())
        signal = bars["signal"].to_numpy()
        ways = {fill: Execution(fill) for fill in _BOUGHT_AT}
        strategy, left_out = {}, {}
        for fill, way in ways.items():
            try:
                strategy[fill] = replay(signal, market, cash_ticks=cash_ticks, execution=way)
            except ExactRangeError as error:
                left_out[fill] = str(error)
        held = {fill: buy_and_hold(market, cash_ticks=cash_ticks, execution=way) for fill, way in ways.items()}
        trips = {
            fill: round_trips(done, timestamp=bars["timestamp"], close_ticks=market.close)
            for fill, done in strategy.items()
        }
        return cls(bars, market, strategy, held, trips, left_out)

    def results(self) -> dict[str, Any]:
        """Figures of all four as JSON can hold them, by fill, and how many prices had to be rounded."""
        held = {fill.value: {"bought_at": _BOUGHT_AT[fill]} | self.figures(done) for fill, done in self.held.items()}
        strategy = {
            fill.value: {"optimistic": fill.is_optimistic}
            | (self.figures(self.strategy[fill]) if fill in self.strategy else unkept(self.left_out[fill]))
            for fill in _BOUGHT_AT
        }
        return {
            **strategy,
            "buy_and_hold": held,
            "prices_rounded": self.market.prices_rounded,
            "largest_rounding_usd": self.market.largest_rounding_usd,
        }

    def trips_of(self, done: Replay) -> pl.DataFrame:
        """Round trips of a replay over these bars."""
        known = next((fill for fill, one in self.strategy.items() if one is done), None)
        if known is not None:
            return self.trips[known]
        return round_trips(done, timestamp=self.bars["timestamp"], close_ticks=self.market.close)

    def figures(self, done: Replay) -> dict[str, Any]:
        """What became of the cash in a replay over these bars; measured once for each."""
        if id(done) not in self._figures:
            self._figures[id(done)] = self._measured(done)
        return self._figures[id(done)]

    def _measured(self, done: Replay) -> dict[str, Any]:
        measured = measure(
            done,
            self.trips_of(done),
            timestamp=self.bars["timestamp"],
            session=self.bars["session"],
            fill_volume=self.market.volume[done.fill_bars],
        )
        return {
            "final_value": usd_text(done.final_value),
            "final_value_usd": done.final_value / TICKS_PER_DOLLAR,
            "fills": int(done.fill_bars.size),
            "shares_bought": done.shares_bought,
            "metrics": measured.as_dict(),
        }


def unkept(reason: str) -> dict[str, Any]:
    """Figures of an account beside the run that left the exact range: none, and why."""
    names = ("final_value", "final_value_usd", "fills", "shares_bought")
    return dict.fromkeys(names) | {"metrics": Metrics.undefined(), "reason": reason}
