"""Butterfly: a body against its two wings."""

from __future__ import annotations

from typing import ClassVar

import polars as pl

from simulation_service.strategies.base import Strategy
from simulation_service.strategies.checks import require_bars
from simulation_service.strategies.deviations import deviation_levels
from simulation_service.strategies.spread import spread_signals
from simulation_service.strategies.together import parse_roles

__all__ = ["Fly"]


class Fly(Strategy):
    """Against the curve of three symbols: long the wings and short the body when the body leads, and the reverse.

    Parameters
    ----------
    left, body, right
        The symbols, such as three maturities. The spread is log(left) - 2 log(body) + log(right).
    window_bars
        Minutes of its average and standard deviation, of those in which all three have a bar.
    entry_deviations, exit_deviations
        Enter beyond so many standard deviations, leave when as near as so many; the second is the smaller, from 0 up.

    Notes
    -----
    A position is a quarter of the equity in each wing and half of it in the body, on the other side.
    """

    each_symbol: ClassVar[bool] = False

    def __init__(
        self,
        left: str,
        body: str,
        right: str,
        window_bars: int = 390,
        entry_deviations: float = 2.0,
        exit_deviations: float = 0.5,
    ) -> None:
        self.left = left
        self.body = body
        self.right = right
        self.window_bars = window_bars
        self.entry_deviations = entry_deviations
        self.exit_deviations = exit_deviations

    def traded_symbols(self) -> tuple[str, ...]:
        """The symbols of its parameters."""
        return parse_roles(left=self.left, body=self.body, right=self.right)

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """0.25, -0.5 and 0.25 while the spread is low, the reverse while it is high."""
        left, body, right = self.traded_symbols()
        window = require_bars("window_bars", self.window_bars, least=2)
        entry, leave = deviation_levels(self.entry_deviations, self.exit_deviations)
        weights = {left: 1.0, body: -2.0, right: 1.0}
        return spread_signals(bars, weights, window_bars=window, entry=entry, exit_=leave)
