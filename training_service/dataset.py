"""One table to learn from: the primary symbol's features and labels, joined with those of context symbols.

The primary keeps its column names; a context column carries its symbol, as in `close_QQQ` and `rsi_14_QQQ`.
The join is on the minute and strict: where any symbol lacks a bar the row is dropped and counted, never
filled.
"""

from __future__ import annotations

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
        primary, then close and features of each context symbol. Features are Float64, null where not known.
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
    selected = {symbol: _selected(symbol, table, columns) for symbol, table in tables.items()}
    symbol, *context = selected
    frame = _labelled(symbol, selected[symbol], spec, calendar)
    names = feature_columns(selected[symbol])
    missing = {}
    for name in context:
        renamed = _as_context(name, selected[name])
        missing[name] = tables[symbol].join(renamed, on="timestamp", how="anti").height
        frame = frame.join(renamed, on="timestamp", how="inner", validate="1:1", maintain_order="left")
        names += [column for column in renamed.columns if column not in {"timestamp", f"close_{name}"}]
    if frame.is_empty():
        raise InvalidInputError(
            f"{', '.join(tables)} share no minute: nothing is left after the join. "
            "Look at `barlake coverage`, or leave a symbol out."
        )
    return Dataset(symbol, spec, frame, tuple(names), JoinReport(tables[symbol].height, frame.height, missing))


def _labelled(symbol: str, table: pl.DataFrame, spec: TargetSpec, calendar: Calendar | None) -> pl.DataFrame:
    labels = make_labels(table, spec, calendar=calendar)
    if labels["label"].null_count() == labels.height:
        raise InvalidInputError(
            f"{spec.title} gives no bar of {symbol} a label: the bars up to the horizon must be in the same "
            "session (390 minutes for a regular one). Use a shorter horizon."
        )
    return pl.concat(
        [
            table.select("session", "timestamp", "close"),
            labels.select("label", "known_at"),
            table.select(feature_columns(table)),
        ],
        how="horizontal",
    )


def _as_context(symbol: str, table: pl.DataFrame) -> pl.DataFrame:
    columns = ["close", *feature_columns(table)]
    return table.select("timestamp", pl.col(columns).name.suffix(f"_{symbol}"))


def _selected(symbol: str, table: pl.DataFrame, wanted: Sequence[str] | None) -> pl.DataFrame:
    """Keys, close and the wanted features of a table, as Float64 with null for what is not known."""
    held = feature_columns(table)
    if not held:
        raise InvalidInputError(
            f"the feature table of {symbol} has no feature: build one with `barlake features {symbol}`."
        )
    unknown = [name for name in wanted or () if name not in held]
    if unknown:
        raise InvalidInputError(
            f"feature {unknown[0]!r} is not in the table of {symbol}: it has {', '.join(held)}."
            f"{did_you_mean(unknown[0], held)}"
        )
    if table["timestamp"].is_duplicated().any():
        raise InvalidInputError(f"the feature table of {symbol} holds a minute twice: build it again.")
    columns = held if wanted is None else [name for name in held if name in wanted]
    cleaned = table.select("session", "timestamp", "close", pl.col(columns).cast(pl.Float64).fill_nan(None))
    _require_finite(symbol, cleaned, columns)
    return cleaned


def _require_finite(symbol: str, table: pl.DataFrame, columns: Sequence[str]) -> None:
    infinite = table.select(pl.col(columns).is_infinite().any()).row(0, named=True)
    names = [name for name, found in infinite.items() if found]
    if names:
        raise InvalidInputError(
            f"feature {names[0]} of {symbol} is infinite somewhere: a feature is a number or null. Mend the "
            "feature and build it again."
        )
