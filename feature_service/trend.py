"""Trend: where the price stands against its own averages. Windows count bars, not minutes."""

from __future__ import annotations

from typing import Literal

import polars as pl
import polars_talib as ta

from feature_service.declare import feature
from feature_service.flat import is_flat, ratio

__all__ = ["bollinger_band", "bollinger_position", "bollinger_width", "ema", "macd", "sma"]

CLOSE = pl.col("close")


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
    Source: Bollinger; bands by TA-Lib BBANDS.
    """
    lower = _bands(window_bars, deviations).struct.field("lowerband")
    upper = _bands(window_bars, deviations).struct.field("upperband")
    return pl.when(~is_flat(CLOSE, window_bars)).then(ratio(CLOSE - lower, upper - lower))


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def bollinger_width(*, window_bars: int, deviations: float) -> pl.Expr:
    """Width of the Bollinger bands against their middle.

    Formula: (upper - lower) / middle.
    Source: Bollinger; bands by TA-Lib BBANDS.
    """
    bands = _bands(window_bars, deviations)
    width = bands.struct.field("upperband") - bands.struct.field("lowerband")
    return width / bands.struct.field("middleband")
