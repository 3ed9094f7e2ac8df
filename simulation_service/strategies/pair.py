"""Two symbols that move together: the one that lags is bought, the one that leads is sold."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from simulation_service.strategies.base import Strategy
from simulation_service.strategies.checks import require_bars, require_number
from simulation_service.strategies.deviations import deviation_levels
from simulation_service.strategies.spread import spread_signals
from simulation_service.strategies.together import parse_roles

__all__ = ["Pair"]


class Pair(Strategy):
    """Against the spread of two symbols: long `first` and short `second` when `first` lags, and the other way round.

    Parameters
    ----------
    first, second
        The symbols. The spread is log(first) - `hedge` * log(second).
    window_bars
        Minutes of its average and standard deviation, of those in which both have a bar.
    entry_deviations, exit_deviations
        Enter beyond so many standard deviations, leave when as near as so many; the second is the smaller, from 0 up.
    hedge
        Dollars of `second` against each dollar of `first`, above 0.

    Notes
    -----
    With `hedge` 1 a position is half of the equity long and half short. Source: Gatev, Goetzmann and Rouwenhorst
    (2006), "Pairs Trading: Performance of a Relative-Value Arbitrage Rule".
    """

    each_symbol: ClassVar[bool] = False

    def __init__(
        self,
        first: str,
        second: str,
        window_bars: int = 390,
        entry_deviations: float = 2.0,
        exit_deviations: float = 0.5,
        hedge: float = 1.0,
    ) -> None:
        self.first = first
        self.second = second
        self.window_bars = window_bars
        self.entry_deviations = entry_deviations
        self.exit_deviations = exit_deviations
        self.hedge = hedge

    def traded_symbols(self) -> tuple[str, ...]:
        """The symbols of its parameters."""
        return parse_roles(first=self.first, second=self.second)

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """Of each symbol its share: 1/(1 + hedge) and -hedge/(1 + hedge) while the spread is low."""
        first, second = self.traded_symbols()
        window = require_bars("window_bars", self.window_bars, least=2)
        entry, leave = deviation_levels(self.entry_deviations, self.exit_deviations)
        weights = {first: 1.0, second: -require_number("hedge", self.hedge, above=0.0)}
        return spread_signals(bars, weights, window_bars=window, entry=entry, exit_=leave)
