"""Trend following by two moving averages of the close."""

from __future__ import annotations

import polars as pl

from simulation_service.strategies.base import Strategy
from simulation_service.strategies.checks import column, require_bars, require_below
from simulation_service.strategies.exact import rolling_mean, whole

__all__ = ["MovingAverageCross"]


class MovingAverageCross(Strategy):
    """Long while the fast average of the close is above the slow one, short (1 and -1) while it is below.

    Parameters
    ----------
    fast_bars, slow_bars
        Bars in each simple average, across sessions; the slow one is the longer.

    Notes
    -----
    Equal averages are 0, flat; null until `slow_bars` bars are there. Source: Brock, Lakonishok and LeBaron (1992),
    "Simple Technical Trading Rules and the Stochastic Properties of Stock Returns", the variable-length rule.
    """

    def __init__(self, fast_bars: int = 20, slow_bars: int = 100) -> None:
        self.fast_bars = fast_bars
        self.slow_bars = slow_bars

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """1, 0 or -1: the sign of the fast average minus the slow one."""
        fast = require_bars("fast_bars", self.fast_bars)
        slow = require_bars("slow_bars", self.slow_bars)
        require_below("fast_bars", fast, "slow_bars", slow)
        closes = whole(column(bars, "close"))
        return (rolling_mean(closes, fast) - rolling_mean(closes, slow)).sign().alias("signal")
