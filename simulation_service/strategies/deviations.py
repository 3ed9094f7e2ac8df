"""How far a value is from its own moving average, in its own standard deviations."""

from __future__ import annotations

import polars as pl

from simulation_service.strategies.checks import require_below, require_number

__all__ = ["deviation_levels", "deviations_from_mean"]


def deviations_from_mean(value: pl.Series, window_bars: int) -> pl.Series:
    """Value minus the mean of the last `window_bars` values, over their population standard deviation.

    Null until there are so many; 0 where they are all equal.
    """
    name = pl.col(value.name)
    distance = (name - name.rolling_mean(window_bars)) / name.rolling_std(window_bars, ddof=0)
    is_flat = name.rolling_max(window_bars) == name.rolling_min(window_bars)
    return value.to_frame().select(pl.when(is_flat).then(0.0).otherwise(distance).alias("deviations")).to_series()


def deviation_levels(entry: object, leave: object) -> tuple[float, float]:
    """Entry and exit as numbers, the exit from 0 up and below the entry."""
    levels = require_number("entry_deviations", entry, above=0.0), require_number("exit_deviations", leave, least=0.0)
    require_below("exit_deviations", levels[1], "entry_deviations", levels[0])
    return levels
