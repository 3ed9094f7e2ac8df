"""Returns and their lags. Spans count bars, not minutes: a span may reach over a hole or a night."""

from __future__ import annotations

import polars as pl

from feature_service.declare import feature

__all__ = ["lagged_log_return", "log_return", "overnight_gap", "simple_return"]

CLOSE = pl.col("close")


@feature(unit="fraction", history_bars=lambda p: p["span_bars"])
def simple_return(*, span_bars: int) -> pl.Expr:
    """Simple return over the last bars; adds across symbols.

    Formula: close / close `span_bars` bars ago - 1.
    Source: the definition.
    """
    return CLOSE / CLOSE.shift(span_bars) - 1


@feature(unit="log return", history_bars=lambda p: p["span_bars"])
def log_return(*, span_bars: int) -> pl.Expr:
    """Log return over the last bars; adds across time.

    Formula: ln(close) - ln(close `span_bars` bars ago).
    Source: the definition.
    """
    return CLOSE.log() - CLOSE.log().shift(span_bars)


@feature(unit="log return", history_bars=lambda p: p["lag_bars"] + 1)
def lagged_log_return(*, lag_bars: int) -> pl.Expr:
    """Log return from bar to bar, as it was some bars ago.

    Formula: ln(close / previous close), `lag_bars` bars ago.
    Source: the definition.
    """
    return log_return(span_bars=1).shift(lag_bars)


@feature(unit="fraction", history_bars=0, history_sessions=1)
def overnight_gap() -> pl.Expr:
    """What the price did between the previous session's last bar and this session's first.

    Formula: first open of the session / last close of the session before - 1, the same on every bar of
    the session. Null when the history does not hold the session directly before.
    Source: the definition.
    """
    is_first = pl.col("session").ne_missing(pl.col("session").shift(1))
    follows = pl.col("session_number") == pl.col("session_number").shift(1) + 1
    gap = pl.when(follows).then(pl.col("open") / CLOSE.shift(1) - 1).otherwise(float("nan"))
    # NaN, not null, so that an unknown gap is carried through its session instead of the last known one.
    return pl.when(is_first).then(gap).forward_fill()
