"""Buy once and keep: what every other strategy is measured against."""

from __future__ import annotations

import polars as pl

from simulation_service.strategies.base import Strategy

__all__ = ["BuyAndHold"]


class BuyAndHold(Strategy):
    """Long in every bar. In a portfolio each symbol wants the whole equity: sizing shares it out."""

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """1 in every row."""
        return pl.repeat(1.0, bars.height, dtype=pl.Float64, eager=True).alias("signal")
