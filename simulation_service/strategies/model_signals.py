"""A model's own signals: what training made of its predictions."""

from __future__ import annotations

import polars as pl

from simulation_service.strategies.base import Strategy
from simulation_service.strategies.checks import column

__all__ = ["ModelSignals"]


class ModelSignals(Strategy):
    """Long while the model expects a rise; of a regression also short while it expects a fall.

    Notes
    -----
    A classifier's signal is 1 where it gives a rise more than even odds and else 0; a regression's is the
    return it predicts, which is below 0 for a fall. Null, hold, where the model predicted nothing.
    """

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """The column `model_signal`."""
        return column(bars, "model_signal").alias("signal")
