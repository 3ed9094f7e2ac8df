"""Features of the newest minutes, from the bars held now: the rows that the table will have, before it is built.

Nothing is computed another way: the same functions run over the same history, and the last rows are taken. So a
row is, bit for bit, what the table holds of that minute later, unless bars before it are corrected meanwhile.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from barlake import Lake
from barlake.errors import InvalidInputError
from feature_service.build import builder_of
from feature_service.compute import feature_table
from feature_service.declare import Feature
from feature_service.inputs import FeatureInputs

__all__ = ["last_rows", "latest_features"]


def latest_features(
    lake: Lake,
    symbols: Sequence[str],
    *,
    rows: int = 1,
    known_by: dt.datetime | None = None,
    tail_sessions: int | None = None,
    feed: str | None = None,
    session: str = "regular",
    set_name: str = "core",
    adjustment: str = "raw",
    context: str | None = None,
) -> pl.DataFrame:
    """The newest rows of each symbol: symbol, then the columns of its table; by symbol in the order given and time.

    Parameters
    ----------
    rows
        For each symbol.
    known_by
        An aware instant: as if nothing were held that could be known only later. None takes all that is held.
    tail_sessions
        Compute over so many sessions at the end of the history, not over all of it: faster, and not the same bits.
        What looks back over a window agrees to rounding; averages without an end (EMA, RSI, ATR) agree to 1e-9 of
        a standard deviation after 4,000 bars; what needs more sessions than these is null.
    feed, session, set_name, adjustment, context
        As in `build_features`.

    Raises
    ------
    NotFoundError
        If a symbol, or the set, is not there.
    InvalidInputError
        If bars cannot carry features, an option is wrong, or `known_by` has no zone.
    """
    if known_by is not None and known_by.tzinfo is None:
        raise InvalidInputError(f"known_by {known_by} has no time zone: give one, such as {known_by}+00:00.")
    builder = builder_of(lake, set_name=set_name, context=context, session=session, adjustment=adjustment)
    found = []
    for target in builder.source.targets(symbols, feed):
        inputs = builder.read(target)
        inputs = inputs if known_by is None else inputs.known_by(known_by)
        newest = last_rows(inputs, builder.feature_set.features, rows=rows, tail_sessions=tail_sessions)
        found.append(newest.select(pl.lit(target.symbol).alias("symbol"), *newest.columns))
    return pl.concat(found)


def last_rows(
    inputs: FeatureInputs, features: Sequence[Feature], *, rows: int = 1, tail_sessions: int | None = None
) -> pl.DataFrame:
    """The last rows of the table of these inputs; `tail_sessions` as in `latest_features`.

    Raises
    ------
    InvalidInputError
        If `rows` or `tail_sessions` is below 1.
    """
    for name, value in (("rows", rows), ("tail_sessions", tail_sessions)):
        if value is not None and value < 1:
            raise InvalidInputError(f"{name} {value} leaves nothing to compute: give 1 or more.")
    if tail_sessions is not None:
        inputs = replace(inputs, bars=_tail(inputs.bars, tail_sessions))
    return feature_table(inputs, features).tail(rows)


def _tail(bars: pl.DataFrame, sessions: int) -> pl.DataFrame:
    """The bars of the last sessions; a session is taken whole, because its own VWAP and opening are in it."""
    days = bars["session"].unique().sort().tail(sessions)
    return bars.filter(pl.col("session") >= days[0]) if days.len() else bars
