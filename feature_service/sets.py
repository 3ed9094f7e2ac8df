"""Feature sets: which features, under which names, with which parameters."""

from __future__ import annotations

from typing import Any

from feature_service.clock import day_of_week, minute_of_session, minutes_to_close
from feature_service.feature_set import FeatureSet
from feature_service.full_set import CONTEXT_SYMBOL, MORE_FEATURES
from feature_service.loading import load_feature_set
from feature_service.momentum import cci, mfi, roc, rsi, stochastic_d, stochastic_k
from feature_service.returns import lagged_log_return, log_return, overnight_gap, simple_return
from feature_service.trend import bollinger_band, bollinger_position, bollinger_width, ema, macd, sma
from feature_service.volatility import atr, natr, volatility
from feature_service.volume import session_vwap, volume_ratio, vwap_distance

__all__ = ["CORE", "FEATURE_SETS", "FULL", "FeatureSet", "find_feature_set"]

_MACD: dict[str, Any] = {"fast_bars": 12, "slow_bars": 26, "signal_bars": 9}

CORE = FeatureSet(
    "core",
    (
        sma.named("sma_5", window_bars=5),
        sma.named("sma_20", window_bars=20),
        sma.named("sma_50", window_bars=50),
        sma.named("sma_200", window_bars=200),
        ema.named("ema_12", window_bars=12),
        ema.named("ema_26", window_bars=26),
        macd.named("macd", line="macd", **_MACD),
        macd.named("macd_signal", line="macdsignal", **_MACD),
        macd.named("macd_hist", line="macdhist", **_MACD),
        bollinger_band.named("bb_upper", band="upperband", window_bars=20, deviations=2.0),
        bollinger_band.named("bb_lower", band="lowerband", window_bars=20, deviations=2.0),
        bollinger_position.named("bb_pctb", window_bars=20, deviations=2.0),
        bollinger_width.named("bb_width", window_bars=20, deviations=2.0),
        rsi.named("rsi_14", window_bars=14),
        roc.named("roc_10", window_bars=10),
        stochastic_k.named("stoch_k", window_bars=14, smooth_bars=3),
        stochastic_d.named("stoch_d", window_bars=14, smooth_bars=3, signal_bars=3),
        cci.named("cci_20", window_bars=20),
        mfi.named("mfi_14", window_bars=14),
        atr.named("atr_14", window_bars=14),
        natr.named("natr_14", window_bars=14),
        volatility.named("volatility_30", window_bars=30),
        volatility.named("volatility_390", window_bars=390),
        session_vwap.named("session_vwap"),
        vwap_distance.named("vwap_distance"),
        volume_ratio.named("volume_ratio_20", window_bars=20),
        simple_return.named("simple_return_1", span_bars=1),
        log_return.named("log_return_1", span_bars=1),
        log_return.named("log_return_5", span_bars=5),
        log_return.named("log_return_30", span_bars=30),
        lagged_log_return.named("log_return_1_lag_1", lag_bars=1),
        lagged_log_return.named("log_return_1_lag_2", lag_bars=2),
        lagged_log_return.named("log_return_1_lag_3", lag_bars=3),
        overnight_gap.named("overnight_gap"),
        minute_of_session.named("minute_of_session"),
        minutes_to_close.named("minutes_to_close"),
        day_of_week.named("day_of_week"),
    ),
)
"""The set that is built when no other is named."""

FULL = FeatureSet("full", (*CORE.features, *MORE_FEATURES), context=CONTEXT_SYMBOL)
"""Every feature there is: what `core` has, and more families, longer bars, a context symbol and records."""

FEATURE_SETS: dict[str, FeatureSet] = {one.name: one for one in (CORE, FULL)}
"""The sets that come with the house, by name."""


def find_feature_set(name: str) -> FeatureSet:
    """The feature set of that name.

    Parameters
    ----------
    name
        A set of the house, one that an installed package brings, or a Python file that holds one:
        `my_features.py`, or `my_features.py:name` where it holds several. Loading a file runs it.

    Raises
    ------
    NotFoundError
        If there is none; the message lists those there are.
    InvalidInputError
        If a file or package cannot be loaded, or holds no feature set.
    """
    return FEATURE_SETS[name] if name in FEATURE_SETS else load_feature_set(name, FEATURE_SETS)
