"""Expressions to clean columns: computed in batches, checked one by one, never NaN. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl
from polars.exceptions import ShapeError

from barlake.errors import InvalidInputError
from feature_service.declare import Feature

__all__ = ["evaluate"]

_BATCH = 8
"""Columns held in float64 at a time: what bounds memory where the table is float32."""


def evaluate(frame: pl.DataFrame, features: Sequence[Feature], dtype: type[pl.DataType]) -> list[pl.Series]:
    """One column per feature, one value per row of `frame`; NaN is null.

    Raises
    ------
    InvalidInputError
        Names the first feature that reads a column that is not there, raises, gives another number of rows,
        something else than numbers, or an infinity.
    """
    for one in features:
        _check_columns(one, frame)
    whole = _materialised(frame)
    batches = [features[start : start + _BATCH] for start in range(0, len(features), _BATCH)]
    found = [column for batch in batches for column in _batch(whole, batch, dtype)]
    return [column.head(frame.height) for column in found]


def _materialised(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows, every value of its own, in one piece; a single row twice.

    A column that is held as one value, as that of a single row is, is divided by a number; any other is
    multiplied by the reciprocal. The last bit of a row would depend on whether later ones are there.
    """
    columns = frame.get_columns()
    if frame.height == 1:
        columns = [pl.concat([column, column]) for column in columns]
    return pl.DataFrame([column.rechunk() for column in columns])


def _batch(frame: pl.DataFrame, features: Sequence[Feature], dtype: type[pl.DataType]) -> list[pl.Series]:
    try:
        raw = _computed(frame, features)
    except Exception as error:
        if len(features) == 1:
            raise _as_refusal(features[0], frame, error) from error
        # One of them fails: alone, it says which.
        return [column for one in features for column in _batch(frame, [one], dtype)]
    for one in features:
        _check_type(one, raw[one.name].dtype)
    # Cleaned in a second pass: in one with the formula, an expression is computed once for the test, once
    # for the value.
    clean = raw.select(_clean(raw[one.name], dtype) for one in features).get_columns()
    for one, values in zip(features, clean, strict=True):
        _check_finite(one, values, frame)
    return clean


def _clean(values: pl.Series, dtype: type[pl.DataType]) -> pl.Expr:
    named = pl.col(values.name)
    return (pl.when(named.is_not_nan()).then(named) if values.dtype.is_float() else named).cast(dtype)


def _computed(frame: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    # The streaming engine, which is the default, cuts a column where threads happen to hand over and begins
    # rolling sums anew there: the last bits would depend on the number of threads and on later rows.
    rows = pl.int_range(pl.len()).alias("_row")
    return frame.lazy().select(rows, *(one.expression for one in features)).collect(engine="in-memory")


def _check_columns(one: Feature, frame: pl.DataFrame) -> None:
    missing = [name for name in one.inputs if name not in frame.columns]
    if missing:
        raise InvalidInputError(
            f"feature {one.name!r} reads {missing[0]!r}, which bars of {one.timeframe.value} do not have: use the "
            "columns of the bars, context_*, or with bars of 1Min macro_* and news_*."
        )


def _check_type(one: Feature, dtype: pl.DataType) -> None:
    if not (dtype.is_numeric() or dtype in {pl.Boolean, pl.Null}):
        raise InvalidInputError(
            f"feature {one.name!r} gives {dtype}, and must give numbers: cast it, or count something."
        )


def _check_finite(one: Feature, values: pl.Series, frame: pl.DataFrame) -> None:
    if values.max() == math.inf or values.min() == -math.inf:
        row = values.is_infinite().arg_true()[0]
        raise InvalidInputError(
            f"feature {one.name!r} is {values[row]} at row {row} ({frame['timestamp'][row]}): a value must be "
            "finite or null. Divide only where the divisor is not 0 (flat.ratio does)."
        )


def _as_refusal(one: Feature, frame: pl.DataFrame, error: Exception) -> Exception:
    """What a feature that fails alone is told."""
    if isinstance(error, MemoryError):
        return error
    if isinstance(error, ShapeError):
        reason = f"gives another number of rows than the {frame.height} of its bars"
    else:
        reason = f"raises {type(error).__name__}: {error}"
    return InvalidInputError(f"feature {one.name!r} {reason}. It must make one number for each row.")
