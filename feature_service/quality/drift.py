"""How far the values of a feature in one period lie from those in another. Pure.

Both measures compare distributions, not rows. Minute values hang together, so neither has a p-value here:
a table of independent rows does not apply, and the figure itself is what to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError

__all__ = [
    "BINS",
    "LEAST_SHARE",
    "LEAST_VALUES",
    "PERIODS",
    "drift_between_periods",
    "kolmogorov_smirnov",
    "population_stability_index",
    "sorted_values",
    "with_periods",
]

PERIODS = 4
BINS = 10
LEAST_SHARE = 1e-4
"""What an empty bin counts as, so that its logarithm is finite."""
LEAST_VALUES = 200
"""With fewer values on either side chance alone moves both measures, and they are left null."""

_SCHEMA = {
    "feature": pl.String(), "period": pl.Int64(), "first": pl.Date(), "last": pl.Date(),
    "sessions": pl.Int64(), "values": pl.Int64(), "mean": pl.Float64(), "deviation": pl.Float64(),
    "psi": pl.Float64(), "ks": pl.Float64(),
    "psi_previous": pl.Float64(), "ks_previous": pl.Float64(),
}  # fmt: skip

Values = npt.NDArray[np.float64]


def with_periods(table: pl.DataFrame, periods: int = PERIODS) -> pl.DataFrame:
    """The table with a column `period`: its sessions cut into so many groups, from 0, alike in length to a session.

    Calendar months would leave stubs at both ends, and a stub of three days differs from anything.

    Raises
    ------
    InvalidInputError
        If `periods` < 2 or above the number of sessions.
    """
    sessions = table.select(pl.col("session").unique().sort())
    if not 1 < periods <= sessions.height:
        raise InvalidInputError(
            f"periods {periods} cannot be compared in a table of {sessions.height} sessions: give from 2 to as many "
            "as there are sessions."
        )
    numbered = sessions.with_columns((pl.int_range(pl.len()) * periods // pl.len()).alias("period"))
    return table.join(numbered, on="session", how="left", maintain_order="left")


def sorted_values(column: pl.Series) -> Values:
    """The values of a column in rising order as float64, without nulls and NaN."""
    return column.cast(pl.Float64).fill_nan(None).drop_nulls().sort().to_numpy()


def population_stability_index(reference: Values, sample: Values) -> float:
    """Population stability index (PSI) of two samples in rising order: 0 for equal shares, no upper end.

    The sum over bins of (s - r) ln(s / r), where r and s are the shares of the reference and of the sample
    in the bin: the symmetric divergence of Kullback and Leibler (On Information and Sufficiency, 1951,
    equation 2.6). The ten bins are tenths of the reference; equal edges fall together, so a feature of few
    values has a bin for each. A share below 0.0001 counts as 0.0001. In credit scoring less than 0.1 is read as
    no shift and more than 0.25 as a large one (Siddiqi, Credit Risk Scorecards, 2006, chapter 9).

    Examples
    --------
    >>> coin = np.repeat([0.0, 1.0], [50, 50])
    >>> bent = np.repeat([0.0, 1.0], [20, 80])
    >>> round(population_stability_index(coin, bent), 4)  # -0.3 ln 0.4 + 0.3 ln 1.6
    0.4159
    """
    places = np.ceil(np.arange(1, BINS) / BINS * len(reference)).astype(np.int64) - 1
    edges = np.unique(reference[np.maximum(places, 0)])
    expected, actual = (_shares(values, edges) for values in (reference, sample))
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def _shares(values: Values, edges: Values) -> Values:
    """Share of sorted values in each bin up to and including an edge, and beyond the last one."""
    upto = np.concatenate([[0], np.searchsorted(values, edges, side="right"), [len(values)]])
    shares: Values = np.maximum(np.diff(upto) / len(values), LEAST_SHARE)
    return shares


def kolmogorov_smirnov(reference: Values, sample: Values) -> float:
    """Kolmogorov-Smirnov distance of two samples in rising order, from 0 to 1.

    The largest distance between their empirical distribution functions (Smirnov, Table for Estimating the
    Goodness of Fit of Empirical Distributions, 1948).

    Examples
    --------
    >>> kolmogorov_smirnov(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0]))
    0.5
    """
    n, m = len(reference), len(sample)
    values = np.concatenate([reference, sample])
    order = np.argsort(values, kind="stable")  # merges two runs that are sorted already
    rising = values[order]
    steps = np.cumsum(np.where(order < n, m, -n))  # whole numbers: exact
    is_last_of_equals = np.append(rising[1:] != rising[:-1], True)
    return float(np.abs(steps[is_last_of_equals]).max() / (n * m))


def drift_between_periods(table: pl.DataFrame, features: Sequence[str], periods: int = PERIODS) -> pl.DataFrame:
    """One row per feature and period: how far its values lie from the first period's and the one's before.

    Parameters
    ----------
    table
        session and the features; oldest first.
    periods
        How many groups of sessions, alike in length to a session.

    Returns
    -------
    feature, period (from 0), first, last (sessions of the period, both in it), sessions, values (not null),
    mean, deviation (of them), psi and ks (against the first period), psi_previous and ks_previous (against
    the period before); null in the first period and where either side has fewer than 200 values.

    Raises
    ------
    InvalidInputError
        As `with_periods`.
    """
    dated = with_periods(table, periods)
    parts = dated.partition_by("period", maintain_order=True, include_key=False)
    spans = [
        {
            "period": number,
            "first": part["session"].min(),
            "last": part["session"].max(),
            "sessions": part["session"].n_unique(),
        }
        for number, part in enumerate(parts)
    ]
    rows = []
    for name in features:
        values = [sorted_values(part[name]) for part in parts]
        measures = _measures(values)
        rows += [{"feature": name, **span, **measure} for span, measure in zip(spans, measures, strict=True)]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _measures(periods: Sequence[Values]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "values": len(own),
            "mean": float(own.mean()) if len(own) else None,
            "deviation": float(own.std(ddof=1)) if len(own) > 1 else None,
        }
        for own in periods
    ]
    for measure, (before, own) in zip(found[1:], pairwise(periods), strict=True):
        for suffix, reference in (("", periods[0]), ("_previous", before)):
            if min(len(reference), len(own)) >= LEAST_VALUES:
                measure[f"psi{suffix}"] = population_stability_index(reference, own)
                measure[f"ks{suffix}"] = kolmogorov_smirnov(reference, own)
    return found
