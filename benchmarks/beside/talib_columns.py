"""Sixty-four features by TA-Lib's C library called from numpy, and by numpy where TA-Lib has none.

What several columns need is computed once: this is the fastest way found, not column for column.
"""

from __future__ import annotations

import numpy as np
import talib
from history import Columns

__all__ = ["indicators", "others"]


def indicators(c: Columns) -> Columns:
    """Columns of which every step but the last division is TA-Lib's."""
    close, high, low, volume = c["close"], c["high"], c["low"], c["volume"]
    found = {f"sma_{window}": talib.SMA(close, window) for window in (5, 20, 50, 200)}
    found |= {f"ema_{window}": talib.EMA(close, window) for window in (12, 26)}
    found["macd"], found["macd_signal"], found["macd_hist"] = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    found |= {"bb_upper": upper, "bb_lower": lower}
    found |= {"bb_pctb": (close - lower) / (upper - lower), "bb_width": (upper - lower) / middle}
    found |= {"rsi_14": talib.RSI(close, 14), "rsi_30": talib.RSI(close, 30), "roc_10": talib.ROC(close, 10)}
    found["stoch_k"] = talib.STOCHF(high, low, close, 14, 3, 0)[1]
    found["stoch_d"] = talib.STOCH(high, low, close, 14, 3, 0, 3, 0)[1]
    found |= {"cci_20": talib.CCI(high, low, close, 20), "mfi_14": talib.MFI(high, low, close, volume, 14)}
    found |= {"atr_14": talib.ATR(high, low, close, 14), "natr_14": talib.NATR(high, low, close, 14)}
    found |= {f"sma_distance_{window}": close / found[f"sma_{window}"] - 1 for window in (20, 200)}
    found["sma_cross_20_50"] = found["sma_20"] / found["sma_50"] - 1
    found["ppo_12_26"] = 100 * (found["ema_12"] / found["ema_26"] - 1)
    found["trend_slope_30"] = talib.LINEARREG_SLOPE(close, 30) / close
    found["trend_distance_30"] = close / talib.LINEARREG(close, 30) - 1
    found |= {"adx_14": talib.ADX(high, low, close, 14), "aroon_25": talib.AROONOSC(high, low, 25)}
    found |= {"trix_15": talib.TRIX(close, 15), "ultimate_7_14_28": talib.ULTOSC(high, low, close, 7, 14, 28)}
    lowest, highest = talib.MIN(low, 60), talib.MAX(high, 60)
    found["channel_position_60"] = (close - lowest) / (highest - lowest)
    found["true_range_ratio_14"] = talib.TRANGE(high, low, close) / found["atr_14"]
    found["drawdown_390"] = close / talib.MAX(close, 390) - 1
    return found


def others(c: Columns) -> Columns:
    """What numpy makes of the rest, with TA-Lib's moving averages and deviations."""
    return _returns(c) | _of_prices(c) | _of_volume(c) | _of_sessions(c)


def _returns(c: Columns) -> Columns:
    close, log = c["close"], np.log(c["close"])
    found = {f"log_return_{span}": _after(span, log[span:] - log[:-span]) for span in (1, 5, 30, 60)}
    one, five = found["log_return_1"], found["log_return_5"]
    for window in (30, 390):
        deviation = talib.STDDEV(one[1:], window) * np.sqrt(window / (window - 1))
        found[f"volatility_{window}"] = _after(1, deviation)
    found |= {f"log_return_1_lag_{lag}": _after(lag, one[:-lag]) for lag in (1, 2, 3)}
    found["simple_return_1"] = _after(1, close[1:] / close[:-1] - 1)
    found["acceleration_5"] = five - _after(5, five[:-5])
    change = np.diff(close)
    way = talib.SUM(np.abs(change), 30)
    found["efficiency_30"] = _after(30, np.abs(close[30:] - close[:-30]) / way[29:])
    found["rising_share_30"] = _after(1, talib.SUM((change > 0).astype(np.float64), 30) / 30)
    return found


def _of_prices(c: Columns) -> Columns:
    open_, high, low, close = c["open"], c["high"], c["low"], c["close"]
    height, body = np.log(high / low), np.log(close / open_)
    squares = height**2
    klass = squares / 2 - (2 * np.log(2) - 1) * body**2
    return {
        "bar_range": height,
        "body": body,
        "upper_shadow": np.log(high / np.maximum(open_, close)),
        "lower_shadow": np.log(np.minimum(open_, close) / low),
        "bar_gap": _after(1, np.log(open_[1:] / close[:-1])),
        "parkinson_30": np.sqrt(talib.SMA(squares / (4 * np.log(2)), 30)),
        "garman_klass_30": np.sqrt(np.maximum(talib.SMA(klass, 30), 0)),
    }


def _of_volume(c: Columns) -> Columns:
    volume = c["volume"]
    typical = (c["high"] + c["low"] + c["close"]) / 3
    deviation = talib.STDDEV(volume, 60) * np.sqrt(60 / 59)
    return {
        "volume_ratio_20": volume / talib.SMA(volume, 20),
        "volume_z_60": (volume - talib.SMA(volume, 60)) / deviation,
        "log_dollar_volume": np.log1p(typical * volume),
    }


def _of_sessions(c: Columns) -> Columns:
    close, volume = c["close"], c["volume"]
    first = c["first"].astype(np.int64)
    length = np.diff(np.append(first, len(close)))
    paid = _running_by_session((c["high"] + c["low"] + close) / 3 * volume, first, length)
    vwap = paid / _running_by_session(volume, first, length)
    gap = np.full(len(first), np.nan)
    gap[1:] = c["open"][first[1:]] / close[first[1:] - 1] - 1
    return {
        "session_vwap": vwap,
        "vwap_distance": close / vwap - 1,
        "overnight_gap": np.repeat(gap, length),
        "minute_of_session": (c["timestamp"] - c["session_open"]) // 60_000_000,
        "minutes_to_close": (c["session_close"] - c["timestamp"]) // 60_000_000 - 1,
        "day_of_week": (c["session"] + 3) % 7 + 1,
    }


def _after(rows: int, values: np.ndarray) -> np.ndarray:
    return np.concatenate([np.full(rows, np.nan), values])


def _running_by_session(values: np.ndarray, first: np.ndarray, length: np.ndarray) -> np.ndarray:
    running = np.cumsum(values)
    before = np.concatenate([[0.0], running[first[1:] - 1]])
    return running - np.repeat(before, length)
