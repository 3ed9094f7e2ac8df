"""One table to learn from: the primary symbol's features and labels, joined with those of context symbols.

The primary keeps its column names; a context column carries its symbol, as in `close_QQQ` and `rsi_14_QQQ`.
The join is on the minute and strict: where any symbol lacks a bar the row is dropped and counted, never
filled.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from barlake.errors import InvalidInputError, did_you_mean
from barlake.sessions import Calendar
from training_service.labels import TargetSpec, make_labels

__all__ = ["Dataset", "JoinReport", "feature_columns", "make_dataset"]

NOT_FEATURES = frozenset(
    (
        "feed",
        "symbol",
        "session",
        "timestamp",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "trade_count",
        "vwap",
    )
)
"""Columns of a feature table that no model sees: keys, and prices and volumes as they stand."""


@dataclass(frozen=True)
class JoinReport:
    """What the strict join cost.

    Parameters
    ----------
    primary_rows
        Bars of the primary symbol before the join.
    rows
        Rows after it.
    missing
        By context symbol: bars of the primary for which that symbol has none in the same minute.
    """

    primary_rows: int
    rows: int
    missing: Mapping[str, int]

    @property
    def drop_rate(self) -> float:
        """Fraction of the primary's bars that the join dropped.

        Examples
        --------
        >>> JoinReport(primary_rows=200, rows=198, missing={"QQQ": 2}).drop_rate
        0.01
        """
        return (self.primary_rows - self.rows) / self.primary_rows

    def as_dict(self) -> dict[str, Any]:
        """Give the report as JSON can hold it, with every rate as a fraction of the primary's bars."""
        rates = {symbol: missing / self.primary_rows for symbol, missing in self.missing.items()}
        return {
            "primary_rows": self.primary_rows,
            "rows": self.rows,
            "drop_rate": self.drop_rate,
            "missing": dict(self.missing),
            "drop_rate_by_symbol": rates,
        }


@dataclass(frozen=True)
class Dataset:
    """Rows in time order, and the names of the columns a model sees.

    Parameters
    ----------
    frame
        session, timestamp, close, label (null: none), known_at (null with it), the features of the
        primary, then close and features of each context symbol. Features have the type they were built with,
        and are null where not known.
    spec
        What the labels say.
    columns
        The features of all symbols, in the order of the frame.
    """

    symbol: str
    spec: TargetSpec
    frame: pl.DataFrame
    columns: tuple[str, ...]
    join: JoinReport


def feature_columns(frame: pl.DataFrame) -> list[str]:
    """Names of the columns of a feature table that are features, in its order.

    Examples
    --------
    >>> feature_columns(pl.DataFrame(schema=["timestamp", "close", "sma_20", "rsi_14"]))
    ['sma_20', 'rsi_14']
    """
    return [name for name in frame.columns if name not in NOT_FEATURES]


def make_dataset(
    tables: Mapping[str, pl.DataFrame],
    *,
    spec: TargetSpec,
    columns: Sequence[str] | None = None,
    calendar: Calendar | None = None,
) -> Dataset:
    """Label the first symbol's bars, then join the others to them.

    Parameters
    ----------
    tables
        Feature tables by symbol, the primary first: session, timestamp, open to volume, features; one row
        per minute, oldest first.
    spec
        What is predicted, from the primary's own bars before the join.
    columns
        Features to keep of every table, in the order of the table; None keeps all.
    calendar
        As in `make_labels`.

    Raises
    ------
    InvalidInputError
        If no symbol or no feature is given, a feature is not in a table, a table holds a minute twice, a
        feature is infinite, the symbols share no minute, or no bar gets a label.
    """
    if not tables:
        raise InvalidInputError("no symbol was given: name at least one, the one to predict first.")
    cleaned = {symbol: _cleaned(symbol, table, columns) for symbol, table in tables.items()}
    symbol, *context = cleaned
    labelled = _labelled(symbol, cleaned[symbol], spec, calendar)
    rows = _common_rows(cleaned)
    missing = {name: rows[name].null_count() for name in context}
    rows = rows.drop_nulls()
    if rows.is_empty():
        raise InvalidInputError(
            f"{', '.join(tables)} share no minute: nothing is left after the join. "
            "Look at `barlake coverage`, or leave a symbol out."
        )
    parts = [
        _rows_of(labelled, rows[symbol]),
        *(_rows_of(_as_context(name, cleaned[name]), rows[name]) for name in context),
    ]
    frame = pl.concat(parts, how="horizontal")
    keys = {"session", "timestamp", "close", "label", "known_at", *(f"close_{name}" for name in context)}
    names = tuple(name for name in frame.columns if name not in keys)
    return Dataset(symbol, spec, frame, names, JoinReport(labelled.height, frame.height, missing))


def _common_rows(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One column per symbol: the row of each minute of the first symbol, null where another lacks the minute.

    Joining row numbers and gathering each column once afterwards costs a third of joining all columns.
    """
    symbol, *context = tables
    rows = tables[symbol].select("timestamp").with_row_index(symbol)
    for name in context:
        other = tables[name].select("timestamp").with_row_index(name)
        rows = rows.join(other, on="timestamp", how="left", validate="1:1", maintain_order="left")
    return rows.select(*tables)


def _rows_of(table: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """The rows of these numbers, which rise; the table itself when they are all of it."""
    return table if rows.len() == table.height else table[rows]


def _labelled(symbol: str, table: pl.DataFrame, spec: TargetSpec, calendar: Calendar | None) -> pl.DataFrame:
    labels = make_labels(table, spec, calendar=calendar)
    if labels["label"].null_count() == labels.height:
        raise InvalidInputError(f"{spec.title} gives no bar of {symbol} a label: {_why_no_label(table, spec)}")
    return pl.concat(
        [
            table.select("session", "timestamp", "close"),
            labels.select("label", "known_at"),
            table.select(feature_columns(table)),
        ],
        how="horizontal",
    )


def _why_no_label(table: pl.DataFrame, spec: TargetSpec) -> str:
    longest = table.group_by("session").len()["len"].max()
    if spec.horizon is None:
        return "no session of it has its closing bar. Ingest whole sessions, or give the horizon in minutes."
    if isinstance(longest, int) and spec.horizon >= longest:
        return (
            f"its longest session has {longest} bars, and no label crosses a session. Use a horizon below {longest}, "
            "or close."
        )
    if "volatility_window" in spec.parameters:
        return (
            f"nowhere are {spec.parameters['volatility_window']:g} one-minute returns and every minute to the horizon "
            "there, with a price that moved. Use a shorter volatility_window or horizon, or ingest more sessions."
        )
    return "everywhere a minute up to the horizon is missing. Use a shorter horizon, or a symbol that trades more."


def _as_context(symbol: str, table: pl.DataFrame) -> pl.DataFrame:
    columns = ["close", *feature_columns(table)]
    return table.select(pl.col(columns).name.suffix(f"_{symbol}"))


def _cleaned(symbol: str, table: pl.DataFrame, wanted: Sequence[str] | None) -> pl.DataFrame:
    """Keys, close and the wanted features of a table, with null for what is not known."""
    columns = _wanted_columns(symbol, table, wanted)
    if (table["timestamp"].sort().diff() == dt.timedelta(0)).any():
        raise InvalidInputError(f"the feature table of {symbol} holds a minute twice: build it again.")
    numbers = [name for name in columns if not table.schema[name].is_float()]
    selected = table.select("session", "timestamp", "close", *columns).with_columns(pl.col(numbers).cast(pl.Float64))
    finite = selected.select(pl.col(columns).is_finite().all()).row(0, named=True)
    odd = [name for name, is_finite in finite.items() if not is_finite]
    for name in odd:
        if selected[name].is_infinite().any():
            raise InvalidInputError(
                f"feature {name} of {symbol} is infinite somewhere: a feature is a number or null. Mend the "
                "feature and build it again."
            )
    return selected.with_columns(pl.col(odd).fill_nan(None))


def _wanted_columns(symbol: str, table: pl.DataFrame, wanted: Sequence[str] | None) -> list[str]:
    held = feature_columns(table)
    if not held:
        raise InvalidInputError(
            f"the feature table of {symbol} has no feature: build one with `barlake features {symbol}`."
        )
    if wanted is None:
        return held
    for name in wanted:
        if name not in held:
            raise InvalidInputError(
                f"feature {name!r} is not in the table of {symbol}: it has {', '.join(held)}.{did_you_mean(name, held)}"
            )
    if not wanted:
        raise InvalidInputError("columns is empty: name the features to keep, or None for all of them.")
    return [name for name in held if name in wanted]
