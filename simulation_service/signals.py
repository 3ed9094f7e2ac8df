"""Signals from a file or from a model's predictions, checked row by row before anything is traded on them.

A signal frame has the columns timestamp (Datetime us, UTC: the opening instant of the bar it was made from)
and signal (Float64, null: no prediction, hold), sorted, one row per timestamp; one of several symbols has symbol, too,
and one row per timestamp and symbol. `place` puts the signals of one symbol beside its bars.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from barlake.artifacts import Artifact, ArtifactStore
from barlake.errors import InvalidInputError, LookAheadError, did_you_mean

__all__ = ["PREDICTIONS_FILE", "Placed", "place", "read_predictions", "read_signals_file", "read_signals_of"]

PREDICTIONS_FILE = "predictions.parquet"

_INSTANT = pl.Datetime("us", "UTC")
_PREDICTED = ("timestamp", "symbol", "fitted_before", "prediction", "signal")
_READABLE = "columns timestamp (with a time zone) and signal (a number; above 0 buys, 0 or below sells)"
# A clock time followed by Z or an offset; without the clock, the -02 of 2024-01-02 would pass for an offset.
_ZONED = r"\d{2}:\d{2}.*?(Z|[+-]\d{2}(:?\d{2})?)$"


@dataclass(frozen=True)
class Placed:
    """Bars of the simulated period with their signals.

    Parameters
    ----------
    bars
        The bars from the first to the last one that a signal belongs to, with one more column: signal
        (null where a bar has none).
    bars_without_signal
        Bars between them that hold because they have no signal.
    unmatched_signals
        Signals whose minute has no bar; they are not used.
    """

    bars: pl.DataFrame
    bars_without_signal: int
    unmatched_signals: int


def read_signals_file(path: Path, *, symbol: str) -> pl.DataFrame:
    """Signal frame of one symbol from a CSV or Parquet file; rules and errors as `read_signals_of`."""
    return read_signals_of(path, symbols=(symbol,)).drop("symbol")


def read_signals_of(path: Path, *, symbols: Sequence[str]) -> pl.DataFrame:
    """Signal frame with symbol from a CSV (`.csv`, `.csv.gz`) or Parquet file.

    The column of values is `signal`, or `prediction` when there is no `signal`. Of several symbols the file needs
    a column `symbol`; where it has one, every row must name one of `symbols`. If it has `fitted_before`, no row may
    lie before it.

    Raises
    ------
    InvalidInputError
        If the file is absent, not readable as its ending says, or empty; lacks a column; holds a timestamp
        without time zone or twice, or a value that is not a finite number. The message names the first row.
    LookAheadError
        If a row lies before its own `fitted_before`.
    """
    frame = _read(path)
    value = next((name for name in ("signal", "prediction") if name in frame.columns), None)
    for name, present in (("timestamp", "timestamp" in frame.columns), ("signal", value is not None)):
        if not present:
            hint = did_you_mean(name, frame.columns)
            raise InvalidInputError(
                f"signals file {path} has no column {name!r}, only {frame.columns}: it needs {_READABLE}.{hint}"
            )
    signals = frame.select(
        _instants(frame["timestamp"], path),
        _symbols(frame, path, symbols),
        _numbers(frame[value or ""], path).alias("signal"),
    )
    if "fitted_before" in frame.columns:
        fitted = _instants(frame["fitted_before"], path)
        _require_fitted_before(signals.with_columns(fitted), f"signals file {path}")
    return _one_per_bar(signals, f"signals file {path}")


def read_predictions(store: ArtifactStore, model: Artifact, *, symbol: str) -> pl.DataFrame:
    """A model's out-of-sample predictions, after their file's hash was verified: a signal frame with more columns.

    Returns
    -------
    timestamp, symbol, fitted_before, prediction and signal (null where they are no number); one row per timestamp.

    Raises
    ------
    InvalidInputError
        If `symbol` is not the one the model predicts.
    LookAheadError
        If a prediction lies before the instant its model had seen labels up to.
    FormatError
        If the file of predictions is not the one that was written.
    """
    primary, *context = model.parameters["symbols"]
    if symbol != primary:
        role = "only looks at" if symbol in context else "does not know"
        raise InvalidInputError(
            f"symbol {symbol!r}: model {model.id} predicts {primary!r} and {role} {symbol!r}. "
            f"Simulate {primary!r}, or train a model whose first symbol is {symbol!r}."
        )
    name = f"model {model.id}"
    predictions = pl.read_parquet(store.verified_file(model, PREDICTIONS_FILE)).filter(symbol=symbol)
    _require_fitted_before(predictions, name)
    of_bars = predictions.with_columns(
        pl.col("timestamp").cast(_INSTANT), pl.col("prediction", "signal").cast(pl.Float64).fill_nan(None)
    )
    return _one_per_bar(of_bars.select(_PREDICTED), name)


def place(signals: pl.DataFrame, bars: pl.DataFrame) -> Placed:
    """Bars from the first to the last that has a signal, with the signals beside them.

    Parameters
    ----------
    signals
        A signal frame of the same period.
    bars
        Bars of one symbol, sorted by timestamp.

    Raises
    ------
    InvalidInputError
        If no signal belongs to any bar.
    """
    if signals.height == bars.height and (signals["timestamp"] == bars["timestamp"]).all():
        # The usual case, and ten times as fast as a join.
        return Placed(bars.with_columns(signals["signal"]), signals["signal"].null_count(), 0)
    marked = signals.select("timestamp", "signal", pl.lit(value=True).alias("matched"))
    joined = bars.join(marked, on="timestamp", how="left", validate="1:1", maintain_order="left")
    rows = joined["matched"].fill_null(value=False).arg_true()
    if rows.is_empty():
        raise InvalidInputError(_nothing_matches(signals, bars))
    first, last = int(rows[0]), int(rows[-1])
    used = joined.drop("matched").slice(first, last - first + 1)
    return Placed(used, used["signal"].null_count(), signals.height - rows.len())


def _nothing_matches(signals: pl.DataFrame, bars: pl.DataFrame) -> str:
    spans = [
        f"from {frame['timestamp'][0]} to {frame['timestamp'][-1]}" if frame.height else "none"
        for frame in (signals, bars)
    ]
    return (
        f"none of {signals.height:,} signals belongs to a bar. Signals: {spans[0]}; bars: {spans[1]}. "
        "A signal carries the opening instant of its bar: compare time zones, symbol, session and dates."
    )


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        wrong = "is no file" if path.exists() else "does not exist"
        raise InvalidInputError(f"signals file {path} {wrong}: give a CSV or Parquet file with {_READABLE}.")
    name = path.name.lower()
    try:
        if name.endswith((".parquet", ".pq")):
            frame = pl.read_parquet(path)
        elif name.endswith((".csv", ".csv.gz")):
            # As text, so that a bad cell can be shown as it stands.
            frame = pl.read_csv(path, infer_schema=False)
        else:
            raise InvalidInputError(f"signals file {path} is neither .csv, .csv.gz nor .parquet: rename or convert it.")
    except (pl.exceptions.PolarsError, OSError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise InvalidInputError(
            f"signals file {path} cannot be read as its ending says ({first_line}): it needs {_READABLE}."
        ) from error
    if frame.is_empty():
        raise InvalidInputError(f"signals file {path} has no rows: it needs {_READABLE}.")
    return frame


def _row(mask: pl.Series) -> int:
    """First true row, counted from 1 as a reader of the file does."""
    return int(mask.arg_true()[0]) + 1


def _symbols(frame: pl.DataFrame, path: Path, symbols: Sequence[str]) -> pl.Expr:
    """The symbol of each row: what the file says, or the only one there is."""
    if "symbol" not in frame.columns:
        if len(symbols) > 1:
            raise InvalidInputError(
                f"signals file {path} has no column 'symbol', and {', '.join(symbols)} are traded: say of which one "
                "each row is."
            )
        return pl.lit(symbols[0]).alias("symbol")
    others = sorted(str(name) for name in frame["symbol"].unique() if name not in symbols)
    if others:
        raise InvalidInputError(
            f"signals file {path} also has rows of {others[:5]}: keep only those of {', '.join(symbols)}, or name "
            "the others with --symbol, too."
        )
    return pl.col("symbol").cast(pl.String)


def _instants(column: pl.Series, path: Path) -> pl.Series:
    """Datetimes in UTC; text must carry a time zone, and nothing else is taken for an instant."""
    where = f"signals file {path}: {column.name}"
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        found, zoned = column.dt.convert_time_zone("UTC").cast(_INSTANT), column.is_not_null()
    elif column.dtype == pl.String:
        text = column.str.strip_chars()
        zoned = text.str.contains(_ZONED).fill_null(value=False)
        # polars guesses one format from the first row; a row in another format comes out null.
        found = (
            pl.select(
                pl.when(pl.lit(zoned)).then(pl.lit(text)).str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
            )
            .to_series()
            .alias(column.name)
        )
    else:
        found, zoned = column, pl.select(pl.repeat(value=False, n=column.len())).to_series()
    if not zoned.all():
        row = _row(~zoned)
        raise InvalidInputError(
            f"{where} {str(column[row - 1])!r} in row {row} has no time zone: write UTC such as "
            "2024-01-02T14:30:00Z or an offset such as 2024-01-02T09:30:00-05:00."
        )
    if found.null_count():
        row = _row(found.is_null())
        raise InvalidInputError(
            f"{where} {str(column[row - 1])!r} in row {row} is not a date and time: write it as 2024-01-02T14:30:00Z."
        )
    return found


def _numbers(column: pl.Series, path: Path) -> pl.Series:
    """Values as Float64; an empty cell, null or NaN is null, anything else must be a finite number."""
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        column = text.set(text.str.to_lowercase().is_in(["", "nan", "null"]), None)
    if column.dtype.is_numeric() or column.dtype in {pl.String, pl.Boolean, pl.Null}:
        found = column.cast(pl.Float64, strict=False).fill_nan(None)
    else:
        found = pl.Series([None] * column.len(), dtype=pl.Float64)
    absent = column.is_null() | column.is_nan() if column.dtype.is_float() else column.is_null()
    bad = (found.is_null() & ~absent) | found.is_infinite().fill_null(value=False)
    if bad.any():
        row = _row(bad)
        raise InvalidInputError(
            f"signals file {path}: {column.name} {str(column[row - 1])!r} in row {row} is not a finite "
            "number: above 0 buys, 0 or below sells, empty holds."
        )
    return found


def _require_fitted_before(frame: pl.DataFrame, name: str) -> None:
    """No row may come from a model that had seen labels later than the row itself."""
    late = frame.filter((pl.col("timestamp") < pl.col("fitted_before")).fill_null(value=True))
    if late.height:
        row = late.row(0, named=True)
        raise LookAheadError(
            f"{name}: the prediction at {row['timestamp']} comes from a fit that knew labels up to "
            f"{row['fitted_before']} ({late.height:,} such rows): "
            "predict only with a model fitted before. Train again."
        )


def _one_per_bar(signals: pl.DataFrame, name: str) -> pl.DataFrame:
    """Sort by time and symbol, after a check that no bar comes twice."""
    stamps = signals["timestamp"]
    if stamps.len() < 2 or bool((stamps.diff(null_behavior="drop") > dt.timedelta()).all()):  # noqa: PLR2004 - a pair
        return signals
    keys = [column for column in ("timestamp", "symbol") if column in signals.columns]
    doubled = signals.select(pl.struct(keys).is_duplicated()).to_series()
    if doubled.any():
        twice = signals["timestamp"].filter(doubled)
        raise InvalidInputError(
            f"{name} has {twice.n_unique():,} timestamps more than once, first {twice.sort()[0]}: keep one row per bar."
        )
    return signals.sort(keys)
