"""Always in the stronger of two."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from simulation_service.strategies.base import Strategy
from simulation_service.strategies.checks import require_bars, require_number
from simulation_service.strategies.together import CommonMinutes, parse_roles

__all__ = ["Switch"]


class Switch(Strategy):
    """Long whichever of two symbols rose more over the last bars, and out of the other.

    Parameters
    ----------
    first, second
        The symbols.
    window_bars
        Minutes over which strength is measured, of those in which both have a bar.
    lead
        The other one must be ahead by more than this simple return before it is switched to.
    least_return
        The stronger one is held only while its own return is above this, else neither; None: always.

    Notes
    -----
    Null until `window_bars` minutes lie before; nothing is held before one first leads. Source: relative and, with
    `least_return` 0, absolute momentum of Antonacci (2013), "Risk Premia Harvesting Through Dual Momentum".
    """

    each_symbol: ClassVar[bool] = False

    def __init__(
        self, first: str, second: str, window_bars: int = 390, lead: float = 0.0, least_return: float | None = None
    ) -> None:
        self.first = first
        self.second = second
        self.window_bars = window_bars
        self.lead = lead
        self.least_return = least_return

    def traded_symbols(self) -> tuple[str, ...]:
        """The symbols of its parameters."""
        return parse_roles(first=self.first, second=self.second)

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """1 for the stronger one, 0 for the other."""
        first, second = self.traded_symbols()
        window = require_bars("window_bars", self.window_bars)
        lead = require_number("lead", self.lead, least=0.0)
        minutes = CommonMinutes.of(bars, [first, second])
        rise = {name: close / close.shift(window) - 1.0 for name, close in minutes.closes.items()}
        ahead = rise[first] - rise[second]
        is_first = pl.select(pl.when(ahead > lead).then(1.0).when(ahead < -lead).then(0.0).forward_fill()).to_series()
        wanted = {first: is_first, second: 1.0 - is_first}
        if self.least_return is not None:
            least = require_number("least_return", self.least_return)
            wanted = {name: share * (rise[name] > least).cast(pl.Float64) for name, share in wanted.items()}
        return minutes.beside(wanted)
