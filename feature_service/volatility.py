"""Volatility: how far the price moves per bar, whichever way. Windows count bars, not minutes."""

from __future__ import annotations

import polars as pl
import polars_talib as ta

from feature_service.declare import feature
from feature_service.returns import log_return

__all__ = ["atr", "natr", "volatility"]

HIGH, LOW, CLOSE = pl.col("high"), pl.col("low"), pl.col("close")


@feature(unit="dollars", history_bars=lambda p: p["window_bars"])
def atr(*, window_bars: int) -> pl.Expr:
    """Average true range.

    Formula: Wilder average (factor 1 / `window_bars`, begun with the simple average) of
    max(high, previous close) - min(low, previous close).
    Source: Wilder 1978; TA-Lib ATR.
    """
    value: pl.Expr = ta.atr(HIGH, LOW, CLOSE, timeperiod=window_bars)
    return value


@feature(unit="percent", history_bars=lambda p: p["window_bars"])
def natr(*, window_bars: int) -> pl.Expr:
    """Average true range against the close.

    Formula: 100 * ATR(`window_bars`) / close.
    Source: TA-Lib NATR.
    """
    value: pl.Expr = ta.natr(HIGH, LOW, CLOSE, timeperiod=window_bars)
    return value


@feature(unit="log return per bar", history_bars=lambda p: p["window_bars"])
def volatility(*, window_bars: int) -> pl.Expr:
    """Standard deviation of the log returns from bar to bar.

    Formula: standard deviation over n - 1 of the last `window_bars` values of ln(close / previous close).
    Not annualised; a night counts as one bar.
    Source: the definition; polars rolling_std.
    """
    return log_return(span_bars=1).rolling_std(window_bars)
