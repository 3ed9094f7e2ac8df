"""From bars to feature columns: the gate before, the features, the cleaning after. Pure.

Features see the bars of one symbol as one continuous history, oldest first, with these columns:
session, session_number, session_open, session_close (null on a date that is no session), timestamp,
open, high, low, close, volume.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from barlake.errors import InvalidInputError
from barlake.keys import SessionFilter
from barlake.sessions import XNYS_FEED, Calendar, session_of
from feature_service.declare import Feature

__all__ = ["BAR_COLUMNS", "check_bars", "compute_features", "feature_table", "on_sessions"]

BAR_COLUMNS = ("session", "timestamp", "open", "high", "low", "close", "volume")
"""What a feature table repeats of the bars, prices in float64."""

_PRICES = ("open", "high", "low", "close")
_NEXT_STEP = "Mend or remove these rows at their source, then build again."


def check_bars(bars: pl.DataFrame, symbol: str) -> None:
    """Let only bars pass that every indicator can be computed over.

    One null or NaN inside a column empties a recursive indicator from there to the end of the history,
    so nothing is computed over a hole in the values. A minute without a bar is no such hole: it is not
    a row.

    Raises
    ------
    InvalidInputError
        If a price is null, not finite or not above 0, a volume null or negative, or the timestamps do
        not rise strictly; names the column, the first such row and how many there are.
    """
    faults = {name: ~(pl.col(name).is_finite() & (pl.col(name) > 0)).fill_null(value=False) for name in _PRICES}
    faults["volume"] = ~(pl.col("volume") >= 0).fill_null(value=False)
    counts = bars.select(fault.sum().alias(name) for name, fault in faults.items()).row(0, named=True)
    for name, count in counts.items():
        if count:
            first = bars.filter(faults[name]).row(0, named=True)
            rule = "a whole number not below 0" if name == "volume" else "a finite number above 0"
            raise InvalidInputError(
                f"{name} of symbol {symbol!r} is {first[name]} at {first['timestamp']}, one of {count} such "
                f"rows; it must be {rule}, because one hole empties every average after it. {_NEXT_STEP}"
            )
    rises = (pl.col("timestamp") > pl.col("timestamp").shift(1)).fill_null(value=False)
    stuck = bars.filter(~rises & (pl.int_range(pl.len()) > 0) | pl.col("timestamp").is_null())
    if stuck.height:
        raise InvalidInputError(
            f"timestamp {stuck.item(0, 'timestamp')} of symbol {symbol!r} does not come after the one before "
            f"it, one of {stuck.height} such rows; bars must be sorted, one per minute. {_NEXT_STEP}"
        )


def on_sessions(
    bars: pl.DataFrame, calendar: Calendar, session: SessionFilter, *, feed: str = XNYS_FEED
) -> pl.DataFrame:
    """Bars with the columns that features see, of the regular session only or of all hours.

    Parameters
    ----------
    bars
        timestamp (UTC), open, high, low, close, volume; oldest first. Other columns are dropped.

    Raises
    ------
    InvalidInputError
        If `session` is neither `regular` nor `all`.
    """
    if session not in {SessionFilter.REGULAR, SessionFilter.ALL}:
        raise InvalidInputError(f"session {session.value!r} has no continuous history: use regular or all.")
    sessions = (
        calendar.of(feed)
        .frame.with_row_index("session_number")
        .select(
            "session",
            pl.col("session_number").cast(pl.Int32),
            pl.col("open").alias("session_open"),
            pl.col("close").alias("session_close"),
        )
    )
    dated = bars.with_columns(session_of(pl.col("timestamp"), feed).alias("session"))
    joined = dated.join(sessions, on="session", how="left", maintain_order="left")
    if session == SessionFilter.REGULAR:
        stamp = pl.col("timestamp")
        joined = joined.filter((stamp >= pl.col("session_open")) & (stamp < pl.col("session_close")))
    return joined.select(
        pl.col("session").set_sorted(),
        "session_number",
        "session_open",
        "session_close",
        *BAR_COLUMNS[1:],
    )


def compute_features(
    bars: pl.DataFrame, features: Sequence[Feature], *, dtype: type[pl.DataType] = pl.Float64
) -> pl.DataFrame:
    """The feature columns alone, one row per bar.

    What has no value is null: the warm-up, zero over zero, anything infinite. No NaN remains.

    Parameters
    ----------
    bars
        As `on_sessions` makes them and `check_bars` lets pass.
    dtype
        Of the columns; computed in float64 whatever it is.
    """
    expressions = [one.expression.cast(pl.Float64).alias(one.name) for one in features]
    # The streaming engine, which is the default, cuts a column where threads happen to hand over and begins
    # rolling sums anew there: the last bits would depend on the number of threads and on later rows.
    raw = bars.lazy().select(expressions).collect(engine="in-memory")
    # Cleaned in a second pass: in one with the formula, an expression is computed once for the test, once
    # for the value.
    clean = [pl.when(pl.col(one.name).is_finite()).then(one.name).cast(dtype) for one in features]
    return raw.select(clean)


def feature_table(bars: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """Wide table: session, timestamp, prices (float64), volume (int64), then features (float32)."""
    return bars.select(BAR_COLUMNS).hstack(compute_features(bars, features, dtype=pl.Float32))
