"""The features beside TA-Lib's C library called from numpy: the same columns of the same bars, in CPU seconds.

TA-Lib has no session VWAP, clock, lag or gap, so numpy makes those on its side, in the fastest way found.
Both sides hold float64 columns in memory at the end; neither reads or writes a file.

    python benchmarks/bench_indicators.py [--bars 1000000]
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import talib

from barlake.keys import SessionFilter
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import check_bars, compute_features, on_sessions
from feature_service.inputs import FeatureInputs
from feature_service.sets import CORE

Columns = dict[str, np.ndarray]
REPEATS = 5


def indicators(c: Columns) -> Columns:
    """What TA-Lib has."""
    close, high, low, volume = c["close"], c["high"], c["low"], c["volume"]
    found = {f"sma_{window}": talib.SMA(close, window) for window in (5, 20, 50, 200)}
    found |= {f"ema_{window}": talib.EMA(close, window) for window in (12, 26)}
    found["macd"], found["macd_signal"], found["macd_hist"] = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    found |= {"bb_upper": upper, "bb_lower": lower}
    found |= {"bb_pctb": (close - lower) / (upper - lower), "bb_width": (upper - lower) / middle}
    found |= {"rsi_14": talib.RSI(close, 14), "roc_10": talib.ROC(close, 10)}
    found["stoch_k"] = talib.STOCHF(high, low, close, 14, 3, 0)[1]
    found["stoch_d"] = talib.STOCH(high, low, close, 14, 3, 0, 3, 0)[1]
    found |= {"cci_20": talib.CCI(high, low, close, 20), "mfi_14": talib.MFI(high, low, close, volume, 14)}
    found |= {"atr_14": talib.ATR(high, low, close, 14), "natr_14": talib.NATR(high, low, close, 14)}
    return found


def others(c: Columns) -> Columns:
    """What numpy makes of the rest."""
    close, volume = c["close"], c["volume"]
    found: Columns = {}
    log = np.log(close)
    for span in (1, 5, 30):
        found[f"log_return_{span}"] = _after(span, log[span:] - log[:-span])
    one = found["log_return_1"]
    for window in (30, 390):
        deviation = talib.STDDEV(one[1:], window) * np.sqrt(window / (window - 1))
        found[f"volatility_{window}"] = _after(1, deviation)
    found |= {f"log_return_1_lag_{lag}": _after(lag, one[:-lag]) for lag in (1, 2, 3)}
    found["simple_return_1"] = _after(1, close[1:] / close[:-1] - 1)
    first = c["first"].astype(np.int64)
    length = np.diff(np.append(first, len(close)))
    paid = _running_by_session((c["high"] + c["low"] + close) / 3 * volume, first, length)
    found["session_vwap"] = paid / _running_by_session(volume, first, length)
    found["vwap_distance"] = close / found["session_vwap"] - 1
    found["volume_ratio_20"] = volume / talib.SMA(volume, 20)
    gap = np.full(len(first), np.nan)
    gap[1:] = c["open"][first[1:]] / close[first[1:] - 1] - 1
    found["overnight_gap"] = np.repeat(gap, length)
    found["minute_of_session"] = (c["timestamp"] - c["session_open"]) // 60_000_000
    found["minutes_to_close"] = (c["session_close"] - c["timestamp"]) // 60_000_000 - 1
    found["day_of_week"] = (c["session"] + 3) % 7 + 1
    return found


def _after(rows: int, values: np.ndarray) -> np.ndarray:
    return np.concatenate([np.full(rows, np.nan), values])


def _running_by_session(values: np.ndarray, first: np.ndarray, length: np.ndarray) -> np.ndarray:
    running = np.cumsum(values)
    before = np.concatenate([[0.0], running[first[1:] - 1]])
    return running - np.repeat(before, length)


def a_history(bars: int) -> pl.DataFrame:
    """Made-up bars of as many sessions as it takes."""
    sessions = Calendar.default().in_range(dt.date(2005, 1, 1), dt.date(2026, 1, 1))["session"]
    made = make_bars(sessions.head(bars // 380 + 1).to_list(), seed=1, first_price=100.0).head(bars)
    # Its walk may end at a price where a cent is a large step; a bounded one keeps every indicator busy.
    wave = 400 + 50 * np.sin(np.arange(made.height) / 5000)
    scale = pl.Series(wave) / made["close"]
    columns = [(pl.col(name) * scale).alias(name) for name in ("open", "high", "low", "close")]
    history = on_sessions(made.with_columns(columns), Calendar.default(), SessionFilter.REGULAR)
    noise = pl.Series(np.random.default_rng(2).normal(0, 0.05, history.height))
    history = history.with_columns((pl.col("close") + noise).clip("low", "high"))
    check_bars(history, "SPY")
    return history


def as_numpy(history: pl.DataFrame) -> Columns:
    """The same columns as numpy holds them."""
    columns = {name: history[name].to_numpy() for name in ("open", "high", "low", "close")}
    columns["volume"] = history["volume"].cast(pl.Float64).to_numpy()
    for name in ("timestamp", "session_open", "session_close"):
        columns[name] = history[name].dt.epoch("us").to_numpy()
    columns["session"] = history["session"].to_physical().to_numpy()
    columns["first"] = (history["session"] != history["session"].shift(1)).fill_null(value=True).arg_true().to_numpy()
    return columns


def cpu_seconds(work: Callable[[], object]) -> float:
    """The least of some runs, all threads counted, after one that warms up."""
    work()
    found = []
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def assert_same(ours: pl.DataFrame, theirs: Columns) -> None:
    """Both sides made the same columns, or the table below would compare different work."""
    for name, values in theirs.items():
        one = ours[name].fill_null(float("nan")).to_numpy()
        both = ~(np.isnan(one) | np.isnan(values))
        assert both.sum() > 0.99 * len(values), name  # noqa: S101 - a benchmark of different work is none
        far = np.abs(one[both] - values[both]).max()
        assert far <= 1e-5 * max(float(np.std(values[both])), 1e-9), (name, far)  # noqa: S101 - the same


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Features beside TA-Lib, in CPU seconds.")
    parser.add_argument("--bars", type=int, default=1_000_000)
    bars = parser.parse_args().bars
    history = a_history(bars)
    columns = as_numpy(history)
    known = list(indicators(columns))
    some = [one for one in CORE.features if one.name in known]
    assert_same(compute_features(FeatureInputs(history), CORE.features), indicators(columns) | others(columns))
    rows = [
        (
            "indicators that TA-Lib has",
            len(some),
            cpu_seconds(lambda: compute_features(FeatureInputs(history), some)),
            cpu_seconds(lambda: indicators(columns)),
        ),
        (
            "the whole set",
            len(CORE.features),
            cpu_seconds(lambda: compute_features(FeatureInputs(history), CORE.features)),
            cpu_seconds(lambda: indicators(columns) | others(columns)),
        ),
    ]
    print(f"### Features beside TA-Lib C from numpy, {history.height:,} bars\n")
    print("| columns | count | Barlake, CPU s | TA-Lib and numpy, CPU s | ratio | ours, us per bar and feature |")
    print("|---|---|---|---|---|---|")
    for name, count, ours, theirs in rows:
        each = 1e6 * ours / history.height / count
        print(f"| {name} | {count} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.1f} | {each:.4f} |")


if __name__ == "__main__":
    main()
