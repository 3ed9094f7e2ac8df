"""Indicators against TA-Lib's own C library, bar by bar, warm-up included.

polars-talib carries the same C source, so this shows that columns, parameters and order of arguments are
right; independent formulas are in test_formulas.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import talib

from feature_service.compute import compute_features
from feature_service.inputs import FeatureInputs
from feature_service.sets import CORE

Columns = dict[str, np.ndarray]

ORACLES: dict[str, Callable[[Columns], np.ndarray]] = {
    "sma_5": lambda c: talib.SMA(c["close"], 5),
    "sma_20": lambda c: talib.SMA(c["close"], 20),
    "sma_50": lambda c: talib.SMA(c["close"], 50),
    "sma_200": lambda c: talib.SMA(c["close"], 200),
    "ema_12": lambda c: talib.EMA(c["close"], 12),
    "ema_26": lambda c: talib.EMA(c["close"], 26),
    "macd": lambda c: talib.MACD(c["close"], 12, 26, 9)[0],
    "macd_signal": lambda c: talib.MACD(c["close"], 12, 26, 9)[1],
    "macd_hist": lambda c: talib.MACD(c["close"], 12, 26, 9)[2],
    "bb_upper": lambda c: talib.BBANDS(c["close"], 20, 2, 2)[0],
    "bb_lower": lambda c: talib.BBANDS(c["close"], 20, 2, 2)[2],
    "rsi_14": lambda c: talib.RSI(c["close"], 14),
    "roc_10": lambda c: talib.ROC(c["close"], 10),
    "stoch_k": lambda c: talib.STOCHF(c["high"], c["low"], c["close"], 14, 3, 0)[1],
    "stoch_d": lambda c: talib.STOCH(c["high"], c["low"], c["close"], 14, 3, 0, 3, 0)[1],
    "cci_20": lambda c: talib.CCI(c["high"], c["low"], c["close"], 20),
    "mfi_14": lambda c: talib.MFI(c["high"], c["low"], c["close"], c["volume"], 14),
    "atr_14": lambda c: talib.ATR(c["high"], c["low"], c["close"], 14),
    "natr_14": lambda c: talib.NATR(c["high"], c["low"], c["close"], 14),
}


@pytest.fixture(scope="module")
def computed(history: pl.DataFrame) -> pl.DataFrame:
    return compute_features(FeatureInputs(history), CORE.features)


@pytest.mark.parametrize("name", list(ORACLES))
def test_an_indicator_equals_the_c_library(name: str, history: pl.DataFrame, computed: pl.DataFrame) -> None:
    columns = {one: history[one].cast(pl.Float64).to_numpy() for one in ("high", "low", "close", "volume")}
    expected = ORACLES[name](columns)
    found = computed[name].fill_null(float("nan")).to_numpy()
    both = ~np.isnan(expected)
    assert np.array_equal(np.isnan(expected), np.isnan(found))
    assert np.max(np.abs(found[both] - expected[both])) <= 1e-9 * np.std(expected[both])
