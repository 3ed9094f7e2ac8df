"""Positions that are entered at one level and left at another, so that noise at a single level trades nothing."""

from __future__ import annotations

import polars as pl

__all__ = ["held", "outside_band"]


def held(enter: pl.Series, leave: pl.Series) -> pl.Series:
    """1 from each bar that enters to the bar before the next one that leaves, else 0.

    Parameters
    ----------
    enter, leave
        Booleans, null where nothing is known, which changes nothing; a bar that does both enters.
    """
    frame = pl.DataFrame({"enter": enter, "leave": leave})
    state = pl.when("enter").then(1.0).when("leave").then(0.0).forward_fill().fill_null(0.0)
    return frame.select(state.alias("held")).to_series()


def outside_band(value: pl.Series, *, entry: float, exit_: float) -> pl.Series:
    """Position against a value that returns to zero: 1 when it falls below -`entry`, -1 when it rises above `entry`.

    Each is kept until the value is back within `exit_` of zero, that bar included; null where the value is.
    """
    long = held(value < -entry, value >= -exit_)
    short = held(value > entry, value <= exit_)
    return (long - short).set(value.is_null(), None)
