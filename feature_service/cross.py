"""Cross: the symbol beside the set's context symbol, each as known at the minute.

Both returns of a pair run between the same two rows of the symbol: from what was known of the context then to
what is known now. A minute without a bar of the context symbol keeps its last bar, so its return is 0 there and
caught up with later. Null while there is no context, or none within a week.
"""

from __future__ import annotations

import polars as pl

from feature_service.declare import feature
from feature_service.flat import is_flat, ratio
from feature_service.returns import log_return
from feature_service.windows import correlation, covariance

__all__ = [
    "beta",
    "context_correlation",
    "context_return",
    "context_volatility",
    "pair_z_score",
    "relative_strength",
    "residual_return",
]

CLOSE, CONTEXT = pl.col("close"), pl.col("context_close")


@feature(unit="log return", history_bars=lambda p: p["span_bars"] + p["lag_bars"])
def context_return(*, span_bars: int, lag_bars: int = 0) -> pl.Expr:
    """Log return of the context symbol over the last bars of this one.

    Formula: ln(context close / context close `span_bars` bars ago), `lag_bars` bars ago.
    Source: the definition.
    """
    return (CONTEXT.log() - CONTEXT.log().shift(span_bars)).shift(lag_bars)


@feature(unit="log return per bar", history_bars=lambda p: p["window_bars"])
def context_volatility(*, window_bars: int) -> pl.Expr:
    """Standard deviation of the context symbol's log returns from bar to bar.

    Formula: standard deviation over n - 1 of the last `window_bars` values.
    Source: the definition; polars rolling_std.
    """
    return context_return(span_bars=1).rolling_std(window_bars)


@feature(unit="log return", history_bars=lambda p: p["span_bars"])
def relative_strength(*, span_bars: int) -> pl.Expr:
    """Log return less that of the context symbol.

    Formula: ln(close / close `span_bars` bars ago) - the same of the context symbol.
    Source: the definition.
    """
    return log_return(span_bars=span_bars) - context_return(span_bars=span_bars)


@feature(unit="ratio", history_bars=lambda p: p["window_bars"])
def beta(*, window_bars: int) -> pl.Expr:
    """How much the symbol moves when the context symbol moves by one.

    Formula: covariance / variance of the context symbol, over the last `window_bars` log returns from bar to
    bar. Null when the context symbol has not moved.
    Source: Sharpe 1964.
    """
    ours, theirs = log_return(span_bars=1), context_return(span_bars=1)
    value = ratio(covariance(ours, theirs, window_bars), theirs.rolling_var(window_bars))
    return pl.when(~is_flat(CONTEXT, window_bars + 1)).then(value)


@feature(unit="correlation", history_bars=lambda p: p["window_bars"])
def context_correlation(*, window_bars: int) -> pl.Expr:
    """How closely the symbol follows the context symbol: -1 to 1.

    Formula: correlation of both log returns from bar to bar over the last `window_bars`. Null when one of
    them has not moved.
    Source: Pearson.
    """
    value = correlation(log_return(span_bars=1), context_return(span_bars=1), window_bars)
    return pl.when(~is_flat(CLOSE, window_bars + 1) & ~is_flat(CONTEXT, window_bars + 1)).then(value)


@feature(unit="log return", history_bars=lambda p: max(p["span_bars"], p["window_bars"]))
def residual_return(*, span_bars: int, window_bars: int) -> pl.Expr:
    """Log return that the context symbol's does not explain.

    Formula: ln(close / close `span_bars` bars ago) - beta(`window_bars`) * the same of the context symbol.
    Source: Sharpe 1964.
    """
    explained = beta(window_bars=window_bars) * context_return(span_bars=span_bars)
    return log_return(span_bars=span_bars) - explained


@feature(unit="standard deviations", history_bars=lambda p: p["window_bars"] - 1)
def pair_z_score(*, window_bars: int) -> pl.Expr:
    """How unusual the ratio of both prices is.

    Formula: (x - mean) / standard deviation over n - 1 of the last `window_bars`, x = ln(close / context
    close). Null when x has not moved.
    Source: Gatev, Goetzmann and Rouwenhorst 2006.
    """
    spread = (CLOSE / CONTEXT).log()
    value = ratio(spread - spread.rolling_mean(window_bars), spread.rolling_std(window_bars))
    return pl.when(~is_flat(spread, window_bars)).then(value)
