"""Moments of two columns over a moving window: what families share. Null until the window is full."""

from __future__ import annotations

import polars as pl

__all__ = ["correlation", "covariance"]


def covariance(one: pl.Expr, other: pl.Expr, window_bars: int) -> pl.Expr:
    """Covariance over n - 1 of the last values.

    For values around zero, such as returns: it is a difference of means, and a mean far from zero would cost
    its digits.
    """
    return pl.rolling_cov(one, other, window_size=window_bars)


def correlation(one: pl.Expr, other: pl.Expr, window_bars: int) -> pl.Expr:
    """Pearson's correlation of the last values, -1 to 1; for values around zero, which must vary."""
    return pl.rolling_corr(one, other, window_size=window_bars).clip(-1, 1)
