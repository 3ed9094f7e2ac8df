"""Volume: what was paid on average, and how busy a bar is. No running total over the whole history.

A total such as on-balance volume is a level that depends on where the history starts: a backfill would
change every value of it. Only ratios, windows and sums that begin anew each session are here.
"""

from __future__ import annotations

import polars as pl

from feature_service.declare import feature
from feature_service.flat import is_flat, ratio
from feature_service.returns import log_return

__all__ = [
    "illiquidity",
    "log_dollar_volume",
    "money_flow",
    "relative_volume",
    "session_vwap",
    "signed_volume_share",
    "volume_ratio",
    "volume_regime",
    "volume_z_score",
    "vwap_distance",
    "window_vwap_distance",
]

HIGH, LOW, CLOSE, VOLUME = pl.col("high"), pl.col("low"), pl.col("close"), pl.col("volume")
TYPICAL = (HIGH + LOW + CLOSE) / 3


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


@feature(unit="ratio", history_bars=0, history_sessions=5)
def relative_volume() -> pl.Expr:
    """Volume of the bar against the same minute of earlier sessions.

    Formula: volume / mean volume of the last 5 bars that opened as many minutes after their session's
    opening. Null when all are zero, and on a date that is no session.
    Source: the definition.
    """
    minute = (pl.col("timestamp") - pl.col("session_open")).dt.total_minutes()
    usual = VOLUME.shift(1).rolling_mean(5).over(minute)
    return pl.when(minute.is_not_null()).then(ratio(VOLUME, usual))


@feature(unit="ratio", history_bars=lambda p: p["slow_bars"] - 1)
def volume_regime(*, fast_bars: int, slow_bars: int) -> pl.Expr:
    """Volume of late against the usual.

    Formula: mean of the last `fast_bars` volumes / mean of the last `slow_bars`. Null when all are zero.
    Source: the definition.
    """
    return ratio(VOLUME.rolling_mean(fast_bars), VOLUME.rolling_mean(slow_bars))


@feature(unit="standard deviations", history_bars=lambda p: p["window_bars"] - 1)
def volume_z_score(*, window_bars: int) -> pl.Expr:
    """How unusual the bar's volume is.

    Formula: (volume - mean) / standard deviation over n - 1 of the last `window_bars`, this bar included.
    Null when all are equal.
    Source: the definition.
    """
    value = ratio(VOLUME - VOLUME.rolling_mean(window_bars), VOLUME.cast(pl.Float64).rolling_std(window_bars))
    return pl.when(~is_flat(VOLUME, window_bars)).then(value)


@feature(unit="ln dollars", history_bars=0)
def log_dollar_volume() -> pl.Expr:
    """What the bar turned over.

    Formula: ln(1 + p * volume), p = (high + low + close) / 3.
    Source: the definition.
    """
    return (TYPICAL * VOLUME).log1p()


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def window_vwap_distance(*, window_bars: int) -> pl.Expr:
    """How far the close stands from the average price paid of late.

    Formula: close / (sum of p * volume / sum of volume) - 1 over the last `window_bars`, p = (high + low +
    close) / 3. Null when nothing was traded.
    Source: the definition.
    """
    paid = (TYPICAL * VOLUME).rolling_sum(window_bars)
    return _when_traded(window_bars, CLOSE * VOLUME.rolling_sum(window_bars) / paid - 1)


@feature(unit="fraction", history_bars=lambda p: p["window_bars"] - 1)
def money_flow(*, window_bars: int) -> pl.Expr:
    """Chaikin money flow: whether volume came with closes near the high or near the low, -1 to 1.

    Formula: sum of volume * ((close - low) - (high - close)) / (high - low) / sum of volume, of the last
    `window_bars`; a bar without a range counts as zero. Null when nothing was traded.
    Source: Chaikin.
    """
    spread = HIGH - LOW
    place = pl.when(spread > 0).then((2 * CLOSE - HIGH - LOW) / spread).otherwise(0.0)
    flow = (place * VOLUME).rolling_sum(window_bars)
    return _when_traded(window_bars, flow / VOLUME.rolling_sum(window_bars))


@feature(unit="fraction", history_bars=lambda p: p["window_bars"])
def signed_volume_share(*, window_bars: int) -> pl.Expr:
    """Volume of rising bars less that of falling ones, against all: the change of on-balance volume, -1 to 1.

    Formula: sum of volume * sign(close - previous close) / sum of volume, of the last `window_bars`. Null
    when nothing was traded.
    Source: Granville 1963.
    """
    signed = (CLOSE - CLOSE.shift(1)).sign().cast(pl.Int64) * VOLUME
    return _when_traded(window_bars, signed.rolling_sum(window_bars) / VOLUME.rolling_sum(window_bars))


@feature(unit="fraction per million dollars", history_bars=lambda p: p["window_bars"])
def illiquidity(*, window_bars: int) -> pl.Expr:
    """How far the price moves for a million dollars traded.

    Formula: 1,000,000 * sum of abs(log return from bar to bar) / sum of p * volume, of the last
    `window_bars`, p = (high + low + close) / 3. Null when nothing was traded.
    Source: Amihud 2002, summed before dividing.
    """
    moves = log_return(span_bars=1).abs().rolling_sum(window_bars)
    return _when_traded(window_bars, 1e6 * moves / (TYPICAL * VOLUME).rolling_sum(window_bars))


def _when_traded(window_bars: int, value: pl.Expr) -> pl.Expr:
    """Null where the last bars have no volume; counted in whole shares, because sums of dollars keep a rest."""
    return pl.when(VOLUME.rolling_sum(window_bars) > 0).then(value)
