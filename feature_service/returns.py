"""Returns and their lags. Spans count bars, not minutes: a span may reach over a hole or a night."""

from __future__ import annotations

import polars as pl
import polars_talib as ta

from feature_service.declare import feature
from feature_service.flat import is_flat
from feature_service.windows import correlation

__all__ = [
    "autocorrelation",
    "drawdown",
    "lagged_log_return",
    "log_return",
    "overnight_gap",
    "rebound",
    "rising_share",
    "simple_return",
]

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


@feature(unit="correlation", history_bars=lambda p: p["window_bars"] + 1)
def autocorrelation(*, window_bars: int) -> pl.Expr:
    """Whether a return is followed by one of its kind (above zero) or bounces back (below).

    Formula: correlation over `window_bars` of the log return from bar to bar with the one before it. Null
    when the close has not moved.
    Source: Pearson.
    """
    returns = log_return(span_bars=1)
    value = correlation(returns, returns.shift(1), window_bars)
    return pl.when(~is_flat(CLOSE, window_bars)).then(value)


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def drawdown(*, window_bars: int) -> pl.Expr:
    """How far the close stands below its highest of late: 0 at a new high.

    Formula: close / highest of the last `window_bars` closes - 1.
    Source: the definition; TA-Lib MAX.
    """
    return CLOSE / ta.max(CLOSE, timeperiod=window_bars) - 1


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def rebound(*, window_bars: int) -> pl.Expr:
    """How far the close stands above its lowest of late: 0 at a new low.

    Formula: close / lowest of the last `window_bars` closes - 1.
    Source: the definition; TA-Lib MIN.
    """
    return CLOSE / ta.min(CLOSE, timeperiod=window_bars) - 1


@feature(unit="fraction", history_bars=lambda p: p["window_bars"])
def rising_share(*, window_bars: int) -> pl.Expr:
    """Share of bars that closed above the one before.

    Formula: count of close > previous close in the last `window_bars` / `window_bars`.
    Source: the definition.
    """
    return (CLOSE.shift(1) < CLOSE).cast(pl.Int32).rolling_sum(window_bars) / window_bars
