"""Prices as whole hundred-millionths of a dollar, of which sums over windows are exact.

A moving sum of floats drifts with every bar it has seen, so that two averages that are equal come out
different, and a signal depends on where history began. Whole numbers have neither fault.
"""

from __future__ import annotations

import polars as pl

from barlake.errors import InvalidInputError

__all__ = ["PARTS_PER_DOLLAR", "rolling_mean", "whole"]

PARTS_PER_DOLLAR = 10**8
"""Finer than a tick: adjusted prices lie between ticks, and coins are quoted with up to eight decimals."""

_LARGEST_SUM = 2**63


def whole(prices: pl.Series) -> pl.Series:
    """Prices in dollars as Int64 hundred-millionths of a dollar, each the nearest one."""
    return (prices * PARTS_PER_DOLLAR).round().cast(pl.Int64)


def rolling_mean(parts: pl.Series, window_bars: int) -> pl.Series:
    """Mean of the last `window_bars` whole numbers, null until there are so many.

    The sum is exact and divided once, so equal means are equal floats, and the larger of two is never the smaller.

    Raises
    ------
    InvalidInputError
        If a sum of so many could be too large for a whole number of 64 bits.
    """
    largest = parts.max()
    if isinstance(largest, int) and largest * window_bars >= _LARGEST_SUM:
        raise InvalidInputError(
            f"a window of {window_bars:,} bars is too long for prices up to {largest / PARTS_PER_DOLLAR:,.2f} dollars: "
            "their sum is no exact number any more. Use fewer bars."
        )
    return parts.rolling_sum(window_bars).cast(pl.Float64) / window_bars
