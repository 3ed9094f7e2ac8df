"""Minute bars to longer ones, and back to the minutes at which each of them is known. Pure.

Buckets lie on the clock and stop at the opening and the close, as the lake's own longer bars do (decision
0005). A bucket may be used once it is over, whether or not its last minutes have bars; a session's bar once
a later session has begun.
"""

from __future__ import annotations

import polars as pl

from barlake.keys import Timeframe
from feature_service.inputs import MINUTE

__all__ = ["KNOWN", "known_rows", "longer_bars", "with_known"]

KNOWN = "_known"
"""Since when a bar counts: an instant, or of session bars the date after theirs. Sorted."""

_LENGTH = {Timeframe.MINUTE_5: "5m", Timeframe.MINUTE_15: "15m", Timeframe.HOUR: "1h"}
_STAMP, _OPEN, _CLOSE = pl.col("timestamp"), pl.col("session_open"), pl.col("session_close")
_AGGREGATES = (
    pl.col("session", "session_number", "session_open", "session_close").first(),
    pl.col("timestamp").first(),
    pl.col("open").first(),
    pl.col("high").max(),
    pl.col("low").min(),
    pl.col("close").last(),
    pl.col("volume").sum(),
)


def longer_bars(bars: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    """Bars of a timeframe with the columns of minute bars, and `KNOWN`; oldest first.

    The last one may still be growing: nothing reads it before it is known.
    """
    if timeframe is Timeframe.MINUTE:
        return bars.with_columns(_row_known(timeframe).alias(KNOWN))
    if timeframe is Timeframe.DAY:
        made = bars.group_by("session", maintain_order=True).agg(*_without_session())
        return made.with_columns((pl.col("session") + pl.duration(days=1)).alias(KNOWN).set_sorted())
    length = _LENGTH[timeframe]
    start = _STAMP.dt.truncate(length)
    part = (_STAMP >= _OPEN).cast(pl.Int8) + (_STAMP >= _CLOSE).cast(pl.Int8)
    made = (
        bars.with_columns(start.alias("_start"), part.alias("_part"))
        .group_by("_start", "_part", maintain_order=True)
        .agg(*_AGGREGATES)
    )
    over = pl.col("_start").dt.offset_by(length)
    border = pl.when(pl.col("_part") == 0).then(_OPEN).when(pl.col("_part") == 1).then(_CLOSE)
    known = pl.min_horizontal(over, border)
    return made.with_columns(known.alias(KNOWN).set_sorted()).drop("_start", "_part")


def known_rows(bars: pl.DataFrame, longer: pl.DataFrame, timeframe: Timeframe) -> pl.Series:
    """For each minute bar the row number of the last longer bar known by then; null before the first."""
    known = longer.select(KNOWN).with_row_index("row")
    rows = bars.select(_row_known(timeframe).alias(KNOWN).set_sorted())
    return rows.join_asof(known, on=KNOWN, strategy="backward")["row"]


def with_known(longer: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Columns of `other` (with `KNOWN`, sorted) as known when each row of `longer` is; rows and order of `longer`."""
    return longer.select(KNOWN).join_asof(other, on=KNOWN, strategy="backward").drop(KNOWN)


def _row_known(timeframe: Timeframe) -> pl.Expr:
    """Up to when a row of a minute bar may see bars of a timeframe, in the terms of `KNOWN`."""
    return pl.col("session") if timeframe is Timeframe.DAY else _STAMP + MINUTE


def _without_session() -> tuple[pl.Expr, ...]:
    return (pl.col("session_number", "session_open", "session_close").first(), *_AGGREGATES[1:])
