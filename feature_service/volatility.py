"""Volatility: how far the price moves per bar, whichever way. Windows count bars, not minutes."""

from __future__ import annotations

import math

import polars as pl
import polars_talib as ta

from feature_service.declare import feature
from feature_service.flat import is_flat, ratio
from feature_service.returns import log_return

__all__ = [
    "atr",
    "downside_share",
    "garman_klass_volatility",
    "jump_share",
    "natr",
    "parkinson_volatility",
    "rogers_satchell_volatility",
    "skewness",
    "true_range_ratio",
    "volatility",
    "volatility_ratio",
]

OPEN, HIGH, LOW, CLOSE = pl.col("open"), pl.col("high"), pl.col("low"), pl.col("close")


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


def _root_mean(values: pl.Expr, window_bars: int) -> pl.Expr:
    # A moving mean of squares may end an ulp below zero when the market has stopped.
    return values.rolling_mean(window_bars).clip(0).sqrt()


@feature(unit="log return per bar", history_bars=lambda p: p["window_bars"] - 1)
def parkinson_volatility(*, window_bars: int) -> pl.Expr:
    """Standard deviation per bar, from highs and lows.

    Formula: square root of the mean over `window_bars` of ln(high / low)^2 / (4 * ln 2).
    Source: Parkinson 1980.
    """
    return _root_mean((HIGH / LOW).log().pow(2) / (4 * math.log(2)), window_bars)


@feature(unit="log return per bar", history_bars=lambda p: p["window_bars"] - 1)
def garman_klass_volatility(*, window_bars: int) -> pl.Expr:
    """Standard deviation per bar, from all four prices.

    Formula: square root of the mean over `window_bars` of ln(high / low)^2 / 2 - (2 * ln 2 - 1) *
    ln(close / open)^2.
    Source: Garman and Klass 1980.
    """
    terms = (HIGH / LOW).log().pow(2) / 2 - (2 * math.log(2) - 1) * (CLOSE / OPEN).log().pow(2)
    return _root_mean(terms, window_bars)


@feature(unit="log return per bar", history_bars=lambda p: p["window_bars"] - 1)
def rogers_satchell_volatility(*, window_bars: int) -> pl.Expr:
    """Standard deviation per bar, from all four prices, whatever the drift.

    Formula: square root of the mean over `window_bars` of ln(high / close) * ln(high / open) + ln(low / close)
    * ln(low / open).
    Source: Rogers and Satchell 1991.
    """
    terms = (HIGH / CLOSE).log() * (HIGH / OPEN).log() + (LOW / CLOSE).log() * (LOW / OPEN).log()
    return _root_mean(terms, window_bars)


@feature(unit="ratio", history_bars=lambda p: p["slow_bars"])
def volatility_ratio(*, fast_bars: int, slow_bars: int) -> pl.Expr:
    """Volatility of late against the usual.

    Formula: standard deviation of the log returns over `fast_bars` / the same over `slow_bars`. Null when
    the close has not moved.
    Source: the definition.
    """
    value = ratio(volatility(window_bars=fast_bars), volatility(window_bars=slow_bars))
    return pl.when(~is_flat(CLOSE, slow_bars + 1)).then(value)


@feature(unit="ratio", history_bars=lambda p: p["window_bars"])
def true_range_ratio(*, window_bars: int) -> pl.Expr:
    """True range of the bar against the average.

    Formula: (max(high, previous close) - min(low, previous close)) / ATR(`window_bars`). Null when the
    average is zero.
    Source: Wilder 1978; TA-Lib TRANGE and ATR.
    """
    return ratio(ta.trange(HIGH, LOW, CLOSE), atr(window_bars=window_bars))


@feature(unit="fraction", history_bars=lambda p: p["window_bars"])
def downside_share(*, window_bars: int) -> pl.Expr:
    """Share of falling bars in the squared returns: 0.5 when rises and falls are alike.

    Formula: sum of squared negative log returns / sum of all squared log returns, of the last
    `window_bars`. Null when the close has not moved.
    Source: Barndorff-Nielsen, Kinnebrock and Shephard 2010, realised semivariance.
    """
    returns = log_return(span_bars=1)
    falls = returns.clip(upper_bound=0).pow(2).rolling_sum(window_bars)
    value = ratio(falls, returns.pow(2).rolling_sum(window_bars)).clip(0, 1)
    return pl.when(~is_flat(CLOSE, window_bars + 1)).then(value)


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] + 1)
def jump_share(*, window_bars: int) -> pl.Expr:
    """Share of single jumps in the squared returns: 0 when every bar moved as much as its neighbour.

    Formula: max(0, 1 - pi / 2 * sum of abs(r) * abs(previous r) / sum of r^2), r the log returns of the last
    `window_bars`. Null when the close has not moved.
    Source: Barndorff-Nielsen and Shephard 2004, bipower variation.
    """
    returns = log_return(span_bars=1)
    pairs = (returns.abs() * returns.shift(1).abs()).rolling_sum(window_bars)
    value = (1 - math.pi / 2 * ratio(pairs, returns.pow(2).rolling_sum(window_bars))).clip(0, 1)
    return pl.when(~is_flat(CLOSE, window_bars + 1)).then(value)


@feature(unit="skewness", history_bars=lambda p: p["window_bars"])
def skewness(*, window_bars: int) -> pl.Expr:
    """Skewness of the log returns from bar to bar: below zero when the large moves are falls.

    Formula: third central moment / standard deviation^3, both over n, of the last `window_bars` values of
    ln(close / previous close). Null when the close has not moved.
    Source: the definition; polars rolling_skew.
    """
    value = log_return(span_bars=1).rolling_skew(window_bars)
    return pl.when(~is_flat(CLOSE, window_bars + 1)).then(value)
