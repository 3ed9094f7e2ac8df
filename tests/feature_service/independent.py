"""Formulas by numpy alone, for comparing: moving windows, and equality that counts missing values too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

Values = np.ndarray


def moving(values: Values, window: int, function: Callable[[Values], Values]) -> Values:
    """`function` over each full window (one per row of its argument); NaN before the first."""
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    return np.concatenate([np.full(window - 1, np.nan), function(windows)])


def mean(values: Values, window: int) -> Values:
    return moving(values, window, lambda rows: rows.mean(axis=1))


def total(values: Values, window: int) -> Values:
    return moving(values, window, lambda rows: rows.sum(axis=1))


def deviation(values: Values, window: int) -> Values:
    """Over n - 1."""
    return moving(values, window, lambda rows: rows.std(axis=1, ddof=1))


def lowest(values: Values, window: int) -> Values:
    return moving(values, window, lambda rows: rows.min(axis=1))


def highest(values: Values, window: int) -> Values:
    return moving(values, window, lambda rows: rows.max(axis=1))


def before(values: Values, rows: int) -> Values:
    """Each value some rows later; NaN before the first."""
    return np.concatenate([np.full(rows, np.nan), values[:-rows]])


def correlation(one: Values, other: Values, window: int) -> Values:
    """Pearson's, window by window, from centred values."""
    left, right = (np.lib.stride_tricks.sliding_window_view(side, window) for side in (one, other))
    left, right = left - left.mean(axis=1, keepdims=True), right - right.mean(axis=1, keepdims=True)
    found = (left * right).sum(axis=1) / np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    return np.concatenate([np.full(window - 1, np.nan), found])


def columns_of(history: pl.DataFrame) -> dict[str, Values]:
    names = ("open", "high", "low", "close", "volume")
    return {name: history[name].cast(pl.Float64).to_numpy() for name in names}


def assert_equal(found: pl.Series, expected: Values, *, tolerance: float = 1e-9, after: int = 0) -> None:
    """Equal to `tolerance` standard deviations of what is expected, and missing on the same rows."""
    one = found.cast(pl.Float64).fill_null(float("nan")).to_numpy()[after:]
    other = np.asarray(expected, dtype=np.float64)[after:]
    assert np.array_equal(np.isnan(one), np.isnan(other)), np.flatnonzero(np.isnan(one) != np.isnan(other))[:5] + after
    assert (~np.isnan(other)).any()
    assert np.nanmax(np.abs(one - other)) <= tolerance * max(np.nanstd(other), 1e-12)
