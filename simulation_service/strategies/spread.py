"""Positions against a spread: a sum of log prices that is expected to return to its average."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from simulation_service.strategies.deviations import deviations_from_mean
from simulation_service.strategies.held import outside_band
from simulation_service.strategies.together import CommonMinutes

__all__ = ["spread_signals"]


def spread_signals(
    bars: pl.DataFrame, weights: Mapping[str, float], *, window_bars: int, entry: float, exit_: float
) -> pl.Series:
    """Long the spread when it is far below its average, short when it is far above, flat when it is near again.

    Parameters
    ----------
    weights
        Of the log price of each symbol; positions have the same weights, scaled so that their sizes add up to 1.

    Returns
    -------
    Signals beside the rows of `bars`: null before `window_bars` minutes in which every symbol has a bar, and in
    the minutes between, in which one of them has none.
    """
    minutes = CommonMinutes.of(bars, list(weights))
    value = pl.DataFrame(minutes.closes).select(
        pl.sum_horizontal(weight * pl.col(name).log() for name, weight in weights.items()).alias("spread")
    )
    position = outside_band(deviations_from_mean(value["spread"], window_bars), entry=entry, exit_=exit_)
    gross = sum(abs(weight) for weight in weights.values())
    return minutes.beside({name: position * (weight / gross) for name, weight in weights.items()})
