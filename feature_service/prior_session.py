"""Prior session: where the price stands against the session directly before, as it ended.

Null throughout a session when the history does not hold the one before it.
"""

from __future__ import annotations

import polars as pl

from feature_service.declare import feature
from feature_service.flat import ratio

__all__ = ["pivot_distance", "prior_close_return", "prior_high_distance", "prior_low_distance", "prior_volume_share"]

HIGH, LOW, CLOSE, VOLUME = pl.col("high"), pl.col("low"), pl.col("close"), pl.col("volume")


def _of_prior(so_far: pl.Expr) -> pl.Expr:
    """What a running figure was at the end of the session before; NaN when that session is not held.

    NaN, not null, so that an unknown session is carried through the one after it instead of the last known one.
    """
    is_first = pl.col("session").ne_missing(pl.col("session").shift(1))
    follows = pl.col("session_number") == pl.col("session_number").shift(1) + 1
    before = pl.when(follows).then(so_far.shift(1).cast(pl.Float64)).otherwise(float("nan"))
    return pl.when(is_first).then(before).forward_fill()


def _prior_high() -> pl.Expr:
    return _of_prior(HIGH.cum_max().over("session"))


def _prior_low() -> pl.Expr:
    return _of_prior(LOW.cum_min().over("session"))


@feature(unit="log return", history_sessions=1)
def prior_close_return() -> pl.Expr:
    """Log return since the last bar of the session before.

    Formula: ln(close / last close of the session before).
    Source: the definition.
    """
    return (CLOSE / _of_prior(CLOSE)).log()


@feature(unit="fraction", history_sessions=1)
def prior_high_distance() -> pl.Expr:
    """How far the close stands from the high of the session before; above 0 beyond it.

    Formula: close / highest high of the session before - 1.
    Source: the definition.
    """
    return CLOSE / _prior_high() - 1


@feature(unit="fraction", history_sessions=1)
def prior_low_distance() -> pl.Expr:
    """How far the close stands from the low of the session before; below 0 beyond it.

    Formula: close / lowest low of the session before - 1.
    Source: the definition.
    """
    return CLOSE / _prior_low() - 1


@feature(unit="fraction", history_sessions=1)
def pivot_distance() -> pl.Expr:
    """How far the close stands from the pivot of the session before.

    Formula: close / ((high + low + close of the session before) / 3) - 1.
    Source: the floor traders' pivot.
    """
    return 3 * CLOSE / (_prior_high() + _prior_low() + _of_prior(CLOSE)) - 1


@feature(unit="ratio", history_sessions=1)
def prior_volume_share() -> pl.Expr:
    """Volume of the session so far against the whole session before.

    Formula: sum of volume since the session's first bar / volume of the session before. Null when that is 0.
    Source: the definition.
    """
    so_far = VOLUME.cum_sum().over("session")
    return ratio(so_far, _of_prior(so_far))
