"""How far the bars of one feed are from those of another, minute by minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

__all__ = ["BarDifference", "bar_difference"]


@dataclass(frozen=True)
class BarDifference:
    """How the bars of another feed differ from the run's own, over the same period, prices raw.

    Parameters
    ----------
    common, own_only, other_only
        Minutes that both have, and that one side alone has.
    equal_closes
        Share of the common minutes; None without one.
    mean_distance_bps, largest_distance_bps
        Of the closes of common minutes, 1e-4.
    """

    feed: str
    common: int
    own_only: int
    other_only: int
    equal_closes: float | None
    mean_distance_bps: float | None
    largest_distance_bps: float | None


def bar_difference(own: pl.DataFrame, other: pl.DataFrame, *, feed: str) -> BarDifference:
    """How two tables of bars (symbol, timestamp, close) differ.

    Parameters
    ----------
    feed
        Where `other` comes from.
    """
    joined = own.join(other, on=["symbol", "timestamp"], suffix="_other")
    distance = ((joined["close_other"] / joined["close"]).log().abs() * 1e4).alias("bps")
    return BarDifference(
        feed=feed,
        common=joined.height,
        own_only=own.height - joined.height,
        other_only=other.height - joined.height,
        equal_closes=_float((joined["close"] == joined["close_other"]).mean()),
        mean_distance_bps=_float(distance.mean()),
        largest_distance_bps=_float(distance.max()),
    )


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
