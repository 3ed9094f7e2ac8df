"""Prices as whole millionths of a dollar, of which sums over windows are exact.

A moving sum of floats drifts with every bar it has seen, so that two averages that are equal come out
different, and a signal depends on where history began. Whole numbers have neither fault.
"""

from __future__ import annotations

import polars as pl

__all__ = ["PARTS_PER_DOLLAR", "rolling_mean", "whole"]

PARTS_PER_DOLLAR = 1_000_000
"""Finer than a tick, because adjusted prices lie between ticks."""


def whole(prices: pl.Series) -> pl.Series:
    """Prices in dollars as Int64 millionths of a dollar, each the nearest one."""
    return (prices * PARTS_PER_DOLLAR).round().cast(pl.Int64)


def rolling_mean(parts: pl.Series, window_bars: int) -> pl.Series:
    """Mean of the last `window_bars` whole numbers, null until there are so many.

    The sum is exact and divided once, so equal means are equal floats, and the larger of two is never the smaller.
    """
    return parts.rolling_sum(window_bars).cast(pl.Float64) / window_bars
