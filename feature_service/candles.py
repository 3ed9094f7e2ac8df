"""Candles: what one bar, or a row of them, looks like. In logs, so that a bar without a range has a value too."""

from __future__ import annotations

import polars as pl
import polars_talib as ta

from feature_service.declare import feature
from feature_service.flat import is_flat, ratio

__all__ = [
    "balance_of_power",
    "bar_gap",
    "bar_range",
    "body",
    "engulfing",
    "lower_shadow",
    "range_expansion",
    "run_length",
    "upper_shadow",
]

OPEN, HIGH, LOW, CLOSE = pl.col("open"), pl.col("high"), pl.col("low"), pl.col("close")
_PATTERN = 100
"""TA-Lib's number for a pattern that is there."""


@feature(unit="log return")
def body() -> pl.Expr:
    """Move within the bar.

    Formula: ln(close / open).
    Source: the definition.
    """
    return (CLOSE / OPEN).log()


@feature(unit="log return")
def upper_shadow() -> pl.Expr:
    """How far the bar reached above its body.

    Formula: ln(high / max(open, close)).
    Source: the definition.
    """
    return (HIGH / pl.max_horizontal(OPEN, CLOSE)).log()


@feature(unit="log return")
def lower_shadow() -> pl.Expr:
    """How far the bar reached below its body.

    Formula: ln(min(open, close) / low).
    Source: the definition.
    """
    return (pl.min_horizontal(OPEN, CLOSE) / LOW).log()


@feature(unit="log return")
def bar_range() -> pl.Expr:
    """Height of the bar.

    Formula: ln(high / low).
    Source: the definition.
    """
    return (HIGH / LOW).log()


@feature(unit="log return", history_bars=1)
def bar_gap() -> pl.Expr:
    """What the price did between the last bar and this one.

    Formula: ln(open / previous close).
    Source: the definition.
    """
    return (OPEN / CLOSE.shift(1)).log()


@feature(unit="ratio", history_bars=lambda p: p["window_bars"] - 1)
def range_expansion(*, window_bars: int) -> pl.Expr:
    """Height of the bar against the usual.

    Formula: (high - low) / mean of high - low over the last `window_bars`, this bar included. Null when all
    are zero.
    Source: the definition.
    """
    height = HIGH - LOW
    # A moving mean keeps a rest of rounding when the last window of it is all zeros.
    return pl.when(~_all_zero(height, window_bars)).then(ratio(height, height.rolling_mean(window_bars)))


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def balance_of_power(*, window_bars: int) -> pl.Expr:
    """Whether bars close above or below their open, against their heights: -1 to 1.

    Formula: sum of close - open / sum of high - low, of the last `window_bars`. Null when no bar has a range.
    Source: Livshin 2001, summed before dividing.
    """
    height = HIGH - LOW
    value = ratio((CLOSE - OPEN).rolling_sum(window_bars), height.rolling_sum(window_bars)).clip(-1, 1)
    return pl.when(~_all_zero(height, window_bars)).then(value)


@feature(unit="bars", history_bars=1)
def run_length() -> pl.Expr:
    """How many bars in a row have closed higher (above zero) or lower (below); 0 after no change.

    Formula: sign of the last change of the close times the bars since that sign was another one.
    Source: the definition.
    """
    direction = (CLOSE - CLOSE.shift(1)).sign()
    row = pl.int_range(pl.len())
    begins = direction.ne_missing(direction.shift(1))
    return direction * (row - pl.when(begins).then(row).forward_fill() + 1)


@feature(unit="-1, 0 or 1", history_bars=2)
def engulfing() -> pl.Expr:
    """Engulfing pattern: 1 when a rising body covers the falling one before it, -1 the other way round.

    Formula: TA-Lib CDLENGULFING / 100; bodies that share one end count 0.8.
    Source: Nison 1991; TA-Lib CDLENGULFING.
    """
    # TA-Lib answers 0 where there are not yet enough bars.
    return pl.when(CLOSE.shift(2).is_not_null()).then(ta.cdlengulfing(OPEN, HIGH, LOW, CLOSE) / _PATTERN)


def _all_zero(values: pl.Expr, window_bars: int) -> pl.Expr:
    return is_flat(values, window_bars) & (values == 0)
