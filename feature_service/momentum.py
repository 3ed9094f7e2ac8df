"""Momentum: how fast and how one-sidedly the price has moved. Windows count bars, not minutes."""

from __future__ import annotations

import polars as pl
import polars_talib as ta

from feature_service.declare import feature
from feature_service.flat import is_flat, ratio
from feature_service.returns import log_return

__all__ = [
    "acceleration",
    "cci",
    "efficiency_ratio",
    "mfi",
    "return_t_statistic",
    "roc",
    "rsi",
    "stochastic_d",
    "stochastic_k",
    "ultimate_oscillator",
]

HIGH, LOW, CLOSE, VOLUME = pl.col("high"), pl.col("low"), pl.col("close"), pl.col("volume")
TYPICAL = (HIGH + LOW + CLOSE) / 3
SIMPLE = 0
"""TA-Lib's number for a simple moving average."""


def _met_no_range(window_bars: int, averaged_bars: int) -> pl.Expr:
    """Whether any of the last `averaged_bars` windows has its highest high on its lowest low."""
    is_point = is_flat(HIGH, window_bars) & is_flat(LOW, window_bars) & (HIGH == LOW)
    return pl.any_horizontal(is_point.shift(bars, fill_value=False) for bars in range(averaged_bars))


@feature(unit="0 to 100", history_bars=lambda p: p["window_bars"])
def rsi(*, window_bars: int) -> pl.Expr:
    """Relative strength index of the close.

    Formula: 100 * G / (G + L), where G and L are Wilder averages (factor 1 / `window_bars`, begun with
    the simple average) of rises and falls of the close. Null when the close has not moved and both are
    zero.
    Source: Wilder 1978; TA-Lib RSI.
    """
    value = ta.rsi(CLOSE, timeperiod=window_bars)
    # Zero stands for "falls only" and for "no movement" alike; only the first is a value.
    return pl.when((value != 0) | ~is_flat(CLOSE, window_bars + 1)).then(value)


@feature(unit="percent", history_bars=lambda p: p["window_bars"])
def roc(*, window_bars: int) -> pl.Expr:
    """Rate of change of the close.

    Formula: 100 * (close / close `window_bars` bars ago - 1).
    Source: TA-Lib ROC.
    """
    return ta.roc(CLOSE, timeperiod=window_bars)


@feature(unit="0 to 100", history_bars=lambda p: p["window_bars"] + p["smooth_bars"] - 2)
def stochastic_k(*, window_bars: int, smooth_bars: int) -> pl.Expr:
    """Where the close stands in the recent range, smoothed (slow %K).

    Formula: mean over `smooth_bars` of 100 * (close - lowest low) / (highest high - lowest low) of
    `window_bars`. Null while a range in the mean is zero.
    Source: Lane; TA-Lib STOCHF with simple averages, its %D.
    """
    lines = ta.stochf(HIGH, LOW, CLOSE, fastk_period=window_bars, fastd_period=smooth_bars, fastd_matype=SIMPLE)
    return pl.when(~_met_no_range(window_bars, smooth_bars)).then(lines.struct.field("fastd"))


@feature(
    unit="0 to 100",
    history_bars=lambda p: p["window_bars"] + p["smooth_bars"] + p["signal_bars"] - 3,
)
def stochastic_d(*, window_bars: int, smooth_bars: int, signal_bars: int) -> pl.Expr:
    """Average of the smoothed stochastic (slow %D).

    Formula: mean over `signal_bars` of slow %K.
    Null while a range in the mean is zero.
    Source: Lane; TA-Lib STOCH with simple averages.
    """
    lines = ta.stoch(
        HIGH,
        LOW,
        CLOSE,
        fastk_period=window_bars,
        slowk_period=smooth_bars,
        slowk_matype=SIMPLE,
        slowd_period=signal_bars,
        slowd_matype=SIMPLE,
    )
    averaged_bars = smooth_bars + signal_bars - 1
    return pl.when(~_met_no_range(window_bars, averaged_bars)).then(lines.struct.field("slowd"))


@feature(unit="index", history_bars=lambda p: p["window_bars"] - 1)
def cci(*, window_bars: int) -> pl.Expr:
    """Commodity channel index.

    Formula: (p - mean of p) / (0.015 * mean absolute deviation of p), p = (high + low + close) / 3 over
    `window_bars`. Null when p has not moved in the window.
    Source: Lambert 1980; TA-Lib CCI.
    """
    # On a flat window the deviation is rounding noise, and noise over noise is some tens.
    return pl.when(~is_flat(TYPICAL, window_bars)).then(ta.cci(HIGH, LOW, CLOSE, timeperiod=window_bars))


@feature(unit="0 to 100", history_bars=lambda p: p["window_bars"])
def mfi(*, window_bars: int) -> pl.Expr:
    """Money flow index.

    Formula: 100 * up / (up + down), the sums over `window_bars` of p * volume of bars whose
    p = (high + low + close) / 3 rose or fell. Null when p has not moved or nothing was traded.
    Source: Quong and Soudack 1989; TA-Lib MFI.
    """
    value = ta.mfi(HIGH, LOW, CLOSE, VOLUME, timeperiod=window_bars)
    traded = VOLUME.cum_sum()
    has_flow = ~is_flat(TYPICAL, window_bars + 1) & (traded > traded.shift(window_bars))
    return pl.when(has_flow).then(value)


@feature(unit="0 to 100", history_bars=lambda p: p["long_bars"])
def ultimate_oscillator(*, short_bars: int, middle_bars: int, long_bars: int) -> pl.Expr:
    """Buying pressure over three windows in one figure.

    Formula: 100 * (4 * A(`short_bars`) + 2 * A(`middle_bars`) + A(`long_bars`)) / 7, A being the sum of close
    - min(low, previous close) / the sum of true ranges. Null when the shortest window has no range.
    Source: Williams 1976; TA-Lib ULTOSC.
    """
    value = ta.ultosc(HIGH, LOW, CLOSE, timeperiod1=short_bars, timeperiod2=middle_bars, timeperiod3=long_bars)
    has_no_range = is_flat(HIGH, short_bars) & is_flat(LOW, short_bars) & is_flat(CLOSE, short_bars + 1)
    return pl.when(~(has_no_range & (HIGH == LOW))).then(value)


@feature(unit="fraction", history_bars=lambda p: p["window_bars"])
def efficiency_ratio(*, window_bars: int) -> pl.Expr:
    """How straight the way of the close was: 1 in one direction only, near 0 back and forth.

    Formula: abs(close - close `window_bars` bars ago) / sum of the absolute changes between. Null when the
    close has not moved.
    Source: Kaufman 1995.
    """
    way = (CLOSE - CLOSE.shift(1)).abs().rolling_sum(window_bars)
    value = ratio((CLOSE - CLOSE.shift(window_bars)).abs(), way).clip(0, 1)
    return pl.when(~is_flat(CLOSE, window_bars + 1)).then(value)


@feature(unit="t statistic", history_bars=lambda p: p["window_bars"])
def return_t_statistic(*, window_bars: int) -> pl.Expr:
    """How far the mean return lies from zero, in its standard errors.

    Formula: mean / (standard deviation over n - 1 / square root of `window_bars`) of the log returns from
    bar to bar. Null when the close has not moved.
    Source: Student's t.
    """
    returns = log_return(span_bars=1)
    value = ratio(returns.rolling_mean(window_bars), returns.rolling_std(window_bars)) * window_bars**0.5
    return pl.when(~is_flat(CLOSE, window_bars + 1)).then(value)


@feature(unit="log return", history_bars=lambda p: 2 * p["span_bars"])
def acceleration(*, span_bars: int) -> pl.Expr:
    """Return of the last bars less the return of as many bars before them.

    Formula: r - r `span_bars` bars ago, r = ln(close / close `span_bars` bars ago).
    Source: the definition.
    """
    returns = log_return(span_bars=span_bars)
    return returns - returns.shift(span_bars)
