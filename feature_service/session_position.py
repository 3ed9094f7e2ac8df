"""Session position: where the price stands within its session so far. Begins anew with each session."""

from __future__ import annotations

import polars as pl

from feature_service.clock import minute_of_session
from feature_service.declare import feature
from feature_service.flat import ratio

__all__ = [
    "opening_range_position",
    "session_high_distance",
    "session_low_distance",
    "session_range_position",
    "session_return",
]

OPEN, HIGH, LOW, CLOSE = pl.col("open"), pl.col("high"), pl.col("low"), pl.col("close")


def _highest(high: pl.Expr) -> pl.Expr:
    return high.cum_max().over("session")


def _lowest(low: pl.Expr) -> pl.Expr:
    return low.cum_min().over("session")


@feature(unit="log return")
def session_return() -> pl.Expr:
    """Log return since the session's first bar opened.

    Formula: ln(close / first open of the session).
    Source: the definition.
    """
    return (CLOSE / OPEN.first().over("session")).log()


@feature(unit="fraction")
def session_high_distance() -> pl.Expr:
    """How far the close stands below the session's high so far: 0 at the high.

    Formula: close / highest high since the session's first bar - 1.
    Source: the definition.
    """
    return CLOSE / _highest(HIGH) - 1


@feature(unit="fraction")
def session_low_distance() -> pl.Expr:
    """How far the close stands above the session's low so far: 0 at the low.

    Formula: close / lowest low since the session's first bar - 1.
    Source: the definition.
    """
    return CLOSE / _lowest(LOW) - 1


@feature(unit="fraction")
def session_range_position() -> pl.Expr:
    """Where the close stands in the session's range so far: 0 at the low, 1 at the high.

    Formula: (close - low so far) / (high so far - low so far). Null while both are equal.
    Source: the definition.
    """
    return ratio(CLOSE - _lowest(LOW), _highest(HIGH) - _lowest(LOW))


@feature(unit="fraction", history_bars=0)
def opening_range_position(*, opening_minutes: int) -> pl.Expr:
    """Where the close stands against the range of the session's first minutes: below 0 or above 1 is a breakout.

    Formula: (close - low) / (high - low) of the bars in the first `opening_minutes` since the opening. Null
    until they are over, when none of them has a bar, and when that range is zero.
    Source: Crabel 1990.
    """
    minute = minute_of_session()
    is_opening = (minute >= 0) & (minute < opening_minutes)
    highest = _highest(pl.when(is_opening).then(HIGH).otherwise(0.0))
    lowest = _lowest(pl.when(is_opening).then(LOW).otherwise(float("inf")))
    is_over = (minute >= opening_minutes - 1) & (highest > 0)
    return pl.when(is_over).then(ratio(CLOSE - lowest, highest - lowest))
