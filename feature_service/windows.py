"""Moments over a moving window, from moving means: what families share. Null until the window is full."""

from __future__ import annotations

import polars as pl

from feature_service.flat import ratio

__all__ = ["correlation", "covariance"]


def covariance(one: pl.Expr, other: pl.Expr, window_bars: int) -> pl.Expr:
    """Covariance over n of the last values: mean of the product less the product of the means.

    For values around zero, such as returns: with a mean far from it the difference would lose its digits.
    """
    product = (one * other).rolling_mean(window_bars)
    return product - one.rolling_mean(window_bars) * other.rolling_mean(window_bars)


def correlation(one: pl.Expr, other: pl.Expr, window_bars: int) -> pl.Expr:
    """Pearson's correlation of the last values, -1 to 1; null when one of them does not vary."""
    variances = covariance(one, one, window_bars).clip(0) * covariance(other, other, window_bars).clip(0)
    return ratio(covariance(one, other, window_bars), variances.sqrt()).clip(-1, 1)
