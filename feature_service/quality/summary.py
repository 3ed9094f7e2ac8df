"""Where a feature has no value, and what its values look like. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from feature_service.quality.drift import sorted_values

__all__ = ["nulls_by_session", "summarise"]

_QUANTILES = {"p01": 0.01, "p25": 0.25, "median": 0.5, "p75": 0.75, "p99": 0.99}
_COUNTS = ("rows", "nulls", "leading_nulls", "later_nulls", "sessions_with_later_nulls", "distinct")
_SCHEMA = {
    "feature": pl.String(),
    **dict.fromkeys(_COUNTS, pl.Int64()),
    **dict.fromkeys(("mean", "deviation", "least", *_QUANTILES, "most"), pl.Float64()),
}


def nulls_by_session(table: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
    """One row per session and feature that lacks a value in it: session, feature, nulls, rows (of the session).

    A session and feature without a row here lacks nothing. Ordered by session, then as the features are given.
    """
    counted = table.group_by("session", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("rows"), pl.col(features).fill_nan(None).null_count().cast(pl.Int64)
    )
    long = counted.unpivot(features, index=("session", "rows"), variable_name="feature", value_name="nulls")
    places = {name: place for place, name in enumerate(features)}
    place = pl.col("feature").replace_strict(places, return_dtype=pl.Int64)
    return long.filter(pl.col("nulls") > 0).sort("session", place).select("session", "feature", "nulls", "rows")


def summarise(table: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
    """One row per feature: how many values are absent and where, and how the others are spread.

    Returns
    -------
    feature, rows, nulls, leading_nulls (before its first value: the warm-up), later_nulls (after it),
    sessions_with_later_nulls, distinct (values), mean, deviation (of a sample), least, p01, p25, median, p75,
    p99, most. A quantile is the least value that as great a share of the values does not exceed. What no value
    gives is null.
    """
    rows = [{"feature": name, **_gaps(table, name), **_spread(table[name])} for name in features]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _gaps(table: pl.DataFrame, name: str) -> dict[str, int]:
    absent = table[name].fill_nan(None).is_null() if table[name].dtype.is_float() else table[name].is_null()
    first = absent.arg_min()
    leading = table.height if first is None or absent.all() else first
    later = absent.slice(leading)
    nulls = int(absent.sum())
    return {
        "rows": table.height,
        "nulls": nulls,
        "leading_nulls": leading,
        "later_nulls": nulls - leading,
        "sessions_with_later_nulls": table["session"].slice(leading).filter(later).n_unique(),
    }


def _spread(column: pl.Series) -> dict[str, Any]:
    values = sorted_values(column)
    if not len(values):
        return {"distinct": 0}
    places = {name: max(int(np.ceil(share * len(values))) - 1, 0) for name, share in _QUANTILES.items()}
    return {
        "distinct": 1 + int(np.count_nonzero(values[1:] != values[:-1])),
        "mean": float(values.mean()),
        "deviation": float(values.std(ddof=1)) if len(values) > 1 else None,
        "least": float(values[0]),
        **{name: float(values[place]) for name, place in places.items()},
        "most": float(values[-1]),
    }
