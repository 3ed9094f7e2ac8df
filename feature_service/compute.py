"""From bars to feature columns: the gate before, the features, each as known at its minute. Pure.

Features see the bars of one symbol as one continuous history, oldest first, with the columns that
`FeatureInputs` names, and those of `known_columns.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from barlake.errors import InvalidInputError
from barlake.keys import SessionFilter, Timeframe
from barlake.sessions import XNYS_FEED, Calendar, session_of
from feature_service.declare import Feature
from feature_service.evaluate import evaluate
from feature_service.inputs import FeatureInputs
from feature_service.known_columns import known_columns
from feature_service.longer_bars import known_rows, longer_bars

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
    inputs: FeatureInputs, features: Sequence[Feature], *, dtype: type[pl.DataType] = pl.Float64
) -> pl.DataFrame:
    """The feature columns alone, one row per row of `inputs.bars`, in the order given.

    A value uses what is known at `timestamp` + 1 minute and nothing else; not one bit of it depends on rows
    that come later. What has no value is null: the warm-up, zero over zero. No NaN remains.

    Parameters
    ----------
    inputs
        Bars as `on_sessions` makes them and `check_bars` lets pass, and what else was known.
    dtype
        Of the columns; computed in float64 whatever it is.

    Raises
    ------
    InvalidInputError
        Names the first feature that raises, or whose values are not one finite number or null per row.
    """
    found: dict[str, pl.Series] = {}
    for timeframe in dict.fromkeys(one.timeframe for one in features):
        group = [one for one in features if one.timeframe is timeframe]
        found |= {column.name: column for column in _of_timeframe(inputs, group, timeframe, dtype)}
    return pl.DataFrame([found[one.name] for one in features])


def _of_timeframe(
    inputs: FeatureInputs, features: Sequence[Feature], timeframe: Timeframe, dtype: type[pl.DataType]
) -> list[pl.Series]:
    frame = longer_bars(inputs.bars, timeframe)
    frame = frame.hstack(known_columns(frame, inputs, (name for one in features for name in one.inputs), timeframe))
    columns = evaluate(frame, features, dtype)
    if timeframe is Timeframe.MINUTE:
        return columns
    rows = known_rows(inputs.bars, frame, timeframe)
    return [column.gather(rows) for column in columns]


def feature_table(inputs: FeatureInputs, features: Sequence[Feature]) -> pl.DataFrame:
    """Wide table: session, timestamp, prices (float64), volume (int64), then features (float32)."""
    return inputs.bars.select(BAR_COLUMNS).hstack(compute_features(inputs, features, dtype=pl.Float32))
