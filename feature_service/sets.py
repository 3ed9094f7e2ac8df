"""Feature sets: which features, under which names, with which parameters.

A set's version is the hash of its parameters, of the feed and hours it was built over, and of the code
of every module that a value passes through. Change one of them and the version is another one.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from barlake.artifacts import artifact_id, code_hash
from barlake.errors import InvalidInputError, NotFoundError, did_you_mean
from barlake.keys import FeatureSetKey, SessionFilter, parse_feed
from feature_service import compute, declare, flat
from feature_service.clock import day_of_week, minute_of_session, minutes_to_close
from feature_service.declare import Feature
from feature_service.momentum import cci, mfi, roc, rsi, stochastic_d, stochastic_k
from feature_service.returns import lagged_log_return, log_return, overnight_gap, simple_return
from feature_service.trend import bollinger_band, bollinger_position, bollinger_width, ema, macd, sma
from feature_service.volatility import atr, natr, volatility
from feature_service.volume import session_vwap, volume_ratio, vwap_distance

__all__ = ["CORE", "FEATURE_SETS", "FeatureSet", "find_feature_set"]


@dataclass(frozen=True)
class FeatureSet:
    """A named group of features, in the order of their columns.

    Raises
    ------
    InvalidInputError
        If two columns would have the same name, the bars' own among them.
    """

    name: str
    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        taken = set(compute.BAR_COLUMNS)
        for one in self.features:
            if one.name in taken:
                raise InvalidInputError(
                    f"feature set {self.name!r} names {one.name!r} twice, or like a column of the bars: rename it."
                )
            taken.add(one.name)

    @property
    def code(self) -> str:
        """SHA-256 over the source of every module that takes part in a value of this set."""
        modules = {one.module.__name__: one.module for one in self.features}
        modules.update({module.__name__: module for module in (compute, declare, flat)})
        # A family may build on another one's function (volatility on returns): what it imports counts too.
        for module in list(modules.values()):
            for value in vars(module).values():
                if isinstance(value, declare.FeatureMaker):
                    name = value.function.__module__
                    modules[name] = sys.modules[name]
        return code_hash(*modules.values())

    def parameters(self, *, feed: str, session: SessionFilter) -> dict[str, Any]:
        """What tells this build of the set from another, besides code and bars."""
        return {
            "feed": parse_feed(feed),
            "session": session.value,
            "dtype": "float32",
            "features": [one.as_dict() for one in self.features],
        }

    def key(self, *, feed: str, session: SessionFilter) -> FeatureSetKey:
        """Name and version of the set over one feed's bars of these hours."""
        parameters = {"set": self.name, **self.parameters(feed=feed, session=session)}
        return FeatureSetKey(self.name, artifact_id(parameters=parameters, inputs={}, code=self.code))

    def definition(self, *, feed: str, session: SessionFilter) -> dict[str, Any]:
        """The set as a manifest states it: parameters, columns with unit and formula, code hash."""
        described = [{**one.as_dict(), "description": one.description} for one in self.features]
        return {**self.parameters(feed=feed, session=session), "features": described, "code": self.code}


_MACD = {"fast_bars": 12, "slow_bars": 26, "signal_bars": 9}

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

FEATURE_SETS: dict[str, FeatureSet] = {CORE.name: CORE}


def find_feature_set(name: str) -> FeatureSet:
    """The feature set of that name.

    Raises
    ------
    NotFoundError
        If there is none; the message lists those there are.
    """
    if name not in FEATURE_SETS:
        known = ", ".join(FEATURE_SETS)
        hint = did_you_mean(name, FEATURE_SETS)
        raise NotFoundError(f"feature set {name!r} is not declared: use one of {known}.{hint}")
    return FEATURE_SETS[name]
