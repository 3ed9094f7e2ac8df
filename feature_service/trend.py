"""Trend: where the price stands against its own averages. Windows count bars, not minutes."""

from __future__ import annotations

from typing import Literal

import polars as pl
import polars_talib as ta

from feature_service.declare import feature
from feature_service.flat import is_flat, ratio

__all__ = [
    "adx",
    "aroon_oscillator",
    "bollinger_band",
    "bollinger_position",
    "bollinger_width",
    "channel_position",
    "ema",
    "macd",
    "price_oscillator",
    "sma",
    "sma_cross",
    "sma_distance",
    "trend_distance",
    "trend_slope",
    "trix",
]

HIGH, LOW, CLOSE = pl.col("high"), pl.col("low"), pl.col("close")


@feature(unit="dollars", history_bars=lambda p: p["window_bars"] - 1)
def sma(*, window_bars: int) -> pl.Expr:
    """Simple moving average of the close.

    Formula: sum of the last `window_bars` closes / `window_bars`.
    Source: TA-Lib SMA.
    """
    return ta.sma(CLOSE, timeperiod=window_bars)


@feature(unit="dollars", history_bars=lambda p: p["window_bars"] - 1)
def ema(*, window_bars: int) -> pl.Expr:
    """Exponential moving average of the close.

    Formula: EMA = a * close + (1 - a) * previous EMA, a = 2 / (`window_bars` + 1), begun with the simple
    average of the first `window_bars` closes.
    Source: TA-Lib EMA.
    """
    return ta.ema(CLOSE, timeperiod=window_bars)


@feature(
    unit="dollars",
    history_bars=lambda p: p["slow_bars"] + p["signal_bars"] - 2,
)
def macd(
    *, line: Literal["macd", "macdsignal", "macdhist"], fast_bars: int, slow_bars: int, signal_bars: int
) -> pl.Expr:
    """Moving average convergence/divergence.

    Formula: `macd` = EMA(`fast_bars`) - EMA(`slow_bars`) of the close; `macdsignal` = EMA(`signal_bars`)
    of it; `macdhist` = `macd` - `macdsignal`.
    Source: Appel; TA-Lib MACD.
    """
    lines = ta.macd(CLOSE, fastperiod=fast_bars, slowperiod=slow_bars, signalperiod=signal_bars)
    return lines.struct.field(line)


def _bands(window_bars: int, deviations: float) -> pl.Expr:
    return ta.bbands(CLOSE, timeperiod=window_bars, nbdevup=deviations, nbdevdn=deviations)


@feature(unit="dollars", history_bars=lambda p: p["window_bars"] - 1)
def bollinger_band(*, band: Literal["upperband", "lowerband"], window_bars: int, deviations: float) -> pl.Expr:
    """Bollinger band of the close.

    Formula: mean of the last `window_bars` closes, plus (`upperband`) or minus (`lowerband`) `deviations`
    times their standard deviation over n.
    Source: Bollinger; TA-Lib BBANDS.
    """
    return _bands(window_bars, deviations).struct.field(band)


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def bollinger_position(*, window_bars: int, deviations: float) -> pl.Expr:
    """Where the close stands between the Bollinger bands (%B).

    Formula: (close - lower) / (upper - lower): 0 on the lower band, 1 on the upper one, outside beyond.
    Null when all closes of the window are equal.
    Source: Bollinger; TA-Lib SMA and STDDEV.
    """
    # The same as (close - lower) / (upper - lower), from two indicators instead of a struct made four times.
    place = ratio(CLOSE - sma(window_bars=window_bars), 2 * deviations * _deviation(window_bars)) + 0.5
    return pl.when(~is_flat(CLOSE, window_bars)).then(place)


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def bollinger_width(*, window_bars: int, deviations: float) -> pl.Expr:
    """Width of the Bollinger bands against their middle.

    Formula: (upper - lower) / middle.
    Source: Bollinger; TA-Lib SMA and STDDEV.
    """
    return 2 * deviations * _deviation(window_bars) / sma(window_bars=window_bars)


def _deviation(window_bars: int) -> pl.Expr:
    """Standard deviation of the last closes over n."""
    value: pl.Expr = ta.stddev(CLOSE, timeperiod=window_bars, nbdev=1.0)
    return value


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def sma_distance(*, window_bars: int) -> pl.Expr:
    """How far the close stands from its simple moving average.

    Formula: close / SMA(`window_bars`) - 1.
    Source: the definition; average by TA-Lib SMA.
    """
    return CLOSE / sma(window_bars=window_bars) - 1


@feature(unit="fraction", history_bars=lambda p: p["slow_bars"] - 1)
def sma_cross(*, fast_bars: int, slow_bars: int) -> pl.Expr:
    """How far a fast moving average stands from a slow one: above zero in a rising trend.

    Formula: SMA(`fast_bars`) / SMA(`slow_bars`) - 1.
    Source: the definition; averages by TA-Lib SMA.
    """
    return sma(window_bars=fast_bars) / sma(window_bars=slow_bars) - 1


@feature(unit="percent", history_bars=lambda p: p["slow_bars"] - 1)
def price_oscillator(*, fast_bars: int, slow_bars: int) -> pl.Expr:
    """Percentage price oscillator: MACD's line without the price level.

    Formula: 100 * (EMA(`fast_bars`) / EMA(`slow_bars`) - 1) of the close.
    Source: Appel; averages by TA-Lib EMA.
    """
    return 100 * (ema(window_bars=fast_bars) / ema(window_bars=slow_bars) - 1)


@feature(unit="fraction per bar", history_bars=lambda p: p["window_bars"] - 1)
def trend_slope(*, window_bars: int) -> pl.Expr:
    """Slope of the straight line fitted to the last closes, against the close.

    Formula: least-squares slope of the last `window_bars` closes over their bar numbers / close.
    Source: TA-Lib LINEARREG_SLOPE.
    """
    slope: pl.Expr = ta.linearreg_slope(CLOSE, timeperiod=window_bars)
    return slope / CLOSE


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def trend_distance(*, window_bars: int) -> pl.Expr:
    """How far the close stands from the straight line fitted to the last closes.

    Formula: close / value of the least-squares line at this bar - 1, over `window_bars` closes.
    Source: TA-Lib LINEARREG.
    """
    line: pl.Expr = ta.linearreg(CLOSE, timeperiod=window_bars)
    return CLOSE / line - 1


@feature(unit="0 to 100", history_bars=lambda p: 2 * p["window_bars"] - 1)
def adx(*, window_bars: int) -> pl.Expr:
    """Average directional index: how one-sided the moves of highs and lows are, whichever way.

    Formula: Wilder average of 100 * abs(D+ - D-) / (D+ + D-), D+ and D- being Wilder sums of the rises of
    the high and the falls of the low, whichever is larger. Null when neither has moved.
    Source: Wilder 1978; TA-Lib ADX.
    """
    value = ta.adx(HIGH, LOW, CLOSE, timeperiod=window_bars)
    never_moved = is_flat(HIGH, 2 * window_bars) & is_flat(LOW, 2 * window_bars)
    return pl.when((value != 0) | ~never_moved).then(value)


@feature(unit="-100 to 100", history_bars=lambda p: p["window_bars"])
def aroon_oscillator(*, window_bars: int) -> pl.Expr:
    """Whether the highest high or the lowest low is the newer one, and by how much.

    Formula: 100 * (bars since the lowest low - bars since the highest high) / `window_bars`, of this bar and
    the `window_bars` before it; of equal ones the last counts.
    Source: Chande 1995; TA-Lib AROONOSC.
    """
    value: pl.Expr = ta.aroonosc(HIGH, LOW, timeperiod=window_bars)
    return value


@feature(unit="percent", history_bars=lambda p: 3 * (p["window_bars"] - 1) + 1)
def trix(*, window_bars: int) -> pl.Expr:
    """Change from bar to bar of the close's threefold exponential average.

    Formula: 100 * (E / previous E - 1), E = EMA(EMA(EMA(close))), each over `window_bars`.
    Source: Hutson 1983; TA-Lib TRIX.
    """
    value: pl.Expr = ta.trix(CLOSE, timeperiod=window_bars)
    return value


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def channel_position(*, window_bars: int) -> pl.Expr:
    """Where the close stands between the lowest low and the highest high: 0 to 1.

    Formula: (close - lowest low) / (highest high - lowest low) of the last `window_bars`. Null when both
    are equal.
    Source: Donchian; TA-Lib MIN and MAX.
    """
    lowest, highest = ta.min(LOW, timeperiod=window_bars), ta.max(HIGH, timeperiod=window_bars)
    return ratio(CLOSE - lowest, highest - lowest)
