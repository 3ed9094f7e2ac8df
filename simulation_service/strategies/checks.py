"""Checks that strategies share: of parameters, when they are used, and of columns of bars."""

from __future__ import annotations

import math
from numbers import Integral, Real

import polars as pl

from barlake.errors import InvalidInputError, did_you_mean

__all__ = ["column", "require_bars", "require_below", "require_most", "require_number"]

_FROM_A_MODEL = frozenset({"prediction", "model_signal"})


def require_bars(name: str, value: object, *, least: int = 1) -> int:
    """A number of bars, at least `least`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise InvalidInputError(f"{name} {value!r} is no number of bars: give a whole number from {least} up.")
    return int(value)


def require_below(low_name: str, low: float, high_name: str, high: float) -> None:
    """The first must be below the second."""
    if low >= high:
        raise InvalidInputError(f"{low_name} {low:g} must be below {high_name} {high:g}: swap them or change one.")


def require_most(low_name: str, low: float, high_name: str, high: float) -> None:
    """The first must be at most the second."""
    if low > high:
        raise InvalidInputError(f"{low_name} {low:g} must be at most {high_name} {high:g}: swap them or change one.")


def require_number(name: str, value: object, *, least: float = -math.inf, above: float = -math.inf) -> float:
    """A finite number, from `least` up, or above `above`."""
    rule = f"above {above:g}" if above > -math.inf else f"from {least:g} up" if least > -math.inf else "and finite"
    is_number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(float(value))
    if not is_number or float(value) < least or float(value) <= above:  # type: ignore[arg-type]
        raise InvalidInputError(f"{name} {value!r} is not allowed: give a number {rule}.")
    return float(value)  # type: ignore[arg-type]


def column(bars: pl.DataFrame, name: str) -> pl.Series:
    """A column of numbers as Float64, NaN as null.

    Raises
    ------
    InvalidInputError
        If there is no such column, or it holds no numbers.
    """
    if name not in bars.columns:
        way = "give a model with --model" if name in _FROM_A_MODEL else f"use one of {', '.join(bars.columns)}"
        raise InvalidInputError(f"bars have no column {name!r}: {way}.{did_you_mean(name, bars.columns)}")
    found = bars[name]
    if not found.dtype.is_numeric():
        raise InvalidInputError(f"column {name!r} holds {found.dtype}, no numbers: name another.")
    return found.cast(pl.Float64).fill_nan(None)
