"""Volume: what was paid on average, and how busy a bar is. No running total over the whole history.

A total such as on-balance volume is a level that depends on where the history starts: a backfill would
change every value of it. Only ratios, windows and sums that begin anew each session are here.
"""

from __future__ import annotations

import polars as pl

from feature_service.declare import feature
from feature_service.flat import ratio

__all__ = ["session_vwap", "volume_ratio", "vwap_distance"]

CLOSE, VOLUME = pl.col("close"), pl.col("volume")
TYPICAL = (pl.col("high") + pl.col("low") + CLOSE) / 3


@feature(unit="dollars", history_bars=0)
def session_vwap() -> pl.Expr:
    """Volume-weighted average price of the session so far, this bar included.

    Formula: sum of p * volume / sum of volume since the session's first bar, p = (high + low + close) / 3.
    Null until something was traded.
    Source: the definition; p stands for the traded price, because a feed's own vwap may be missing.
    """
    paid = (TYPICAL * VOLUME).cum_sum().over("session")
    return ratio(paid, VOLUME.cum_sum().over("session"))


@feature(unit="fraction", history_bars=0)
def vwap_distance() -> pl.Expr:
    """How far the close stands from the session's average price so far.

    Formula: close / session VWAP - 1.
    Source: the definition.
    """
    return CLOSE / session_vwap() - 1


@feature(unit="ratio", history_bars=lambda p: p["window_bars"] - 1)
def volume_ratio(*, window_bars: int) -> pl.Expr:
    """Volume of the bar against the recent average.

    Formula: volume / mean of the last `window_bars` volumes, this bar included. Null when all are zero.
    Source: the definition.
    """
    return ratio(VOLUME, VOLUME.rolling_mean(window_bars))
