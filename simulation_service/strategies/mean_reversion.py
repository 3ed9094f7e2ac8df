"""Against moves: what fell far below its own average is bought, what rose far above it is sold."""

from __future__ import annotations

import polars as pl

from simulation_service.strategies.base import Strategy
from simulation_service.strategies.checks import column, require_bars
from simulation_service.strategies.deviations import deviation_levels, deviations_from_mean
from simulation_service.strategies.held import outside_band

__all__ = ["MeanReversion"]


class MeanReversion(Strategy):
    """Long when the close is far below its average, until it is near it again; short when it is far above.

    Parameters
    ----------
    window_bars
        Bars of the average and of the standard deviation, this one included, across sessions.
    entry_deviations, exit_deviations
        Enter beyond so many standard deviations, leave when as near as so many; the second is the smaller, from 0 up.

    Notes
    -----
    The deviation is the population's, as of Bollinger bands (TA-Lib BBANDS); where all closes of a window are
    equal the close is 0 deviations away. Null until `window_bars` bars are there.
    """

    def __init__(self, window_bars: int = 60, entry_deviations: float = 2.0, exit_deviations: float = 0.5) -> None:
        self.window_bars = window_bars
        self.entry_deviations = entry_deviations
        self.exit_deviations = exit_deviations

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """1 while long, -1 while short, 0 while neither."""
        window = require_bars("window_bars", self.window_bars, least=2)
        entry, leave = deviation_levels(self.entry_deviations, self.exit_deviations)
        distance = deviations_from_mean(column(bars, "close"), window)
        return outside_band(distance, entry=entry, exit_=leave).alias("signal")
