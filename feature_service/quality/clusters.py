"""Which features say the same as others: rank correlations and the groups they fall into. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform

__all__ = ["CLOSE", "MOST_ROWS", "Clusters", "Matrix", "cluster_features", "rank_correlation"]

CLOSE = 0.9
"""Within a cluster no two features are less correlated than this, the sign left aside."""
MOST_ROWS = 50_000
"""Longer tables give as many rows, drawn by chance with a fixed seed: a correlation is then good to about 0.005."""

_NO_SPREAD = 1e-18
"""Below it the product of two sums of squares, of ranks as fractions of the rows, is rounding: a column is constant."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Clusters:
    """Groups of features that say nearly the same.

    Parameters
    ----------
    frame
        One row per feature, in the order given: feature, cluster (from 1, numbered by their first feature),
        cluster_size, representative (of its cluster, the one closest to the others), nearest (the most correlated
        other feature, or null), nearest_correlation (with its sign).
    order
        Places of the features from left to right in the tree, so that close ones stand together.
    """

    frame: pl.DataFrame
    order: list[int]


def rank_correlation(table: pl.DataFrame, features: Sequence[str]) -> Matrix:
    """Spearman's rank correlation of every pair of features, shape (features, features).

    Pearson's correlation of ranks, ties sharing their mean rank (Spearman, The Proof and Measurement of
    Association between Two Things, 1904). A value's rank is the one among all values of its column; a pair
    counts the rows where both have one. NaN where a feature never changes or no row has both.
    """
    rows = table.select(features)
    if rows.height > MOST_ROWS:
        drawn = np.random.default_rng(0).choice(rows.height, MOST_ROWS, replace=False)
        rows = rows[np.sort(drawn)]
    ranks = rows.select(pl.all().cast(pl.Float64).fill_nan(None).rank("average"))
    centred = ranks.select((pl.all() - pl.all().mean()) / rows.height)
    present = centred.select(pl.all().is_not_null().cast(pl.Float64)).to_numpy()
    return _correlation(centred.fill_null(0.0).to_numpy(), present)


def _correlation(values: Matrix, present: Matrix) -> Matrix:
    """Correlation of columns over the rows where both are present; absent values are 0."""
    count = present.T @ present
    total = values.T @ present
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = values.T @ values - total * total.T / count
        variance = (values**2).T @ present - total**2 / count
        spread = variance * variance.T
        found: Matrix = np.where(spread > _NO_SPREAD, covariance / np.sqrt(spread), np.nan)
    return np.clip(found, -1.0, 1.0)


def cluster_features(correlation: Matrix, features: Sequence[str]) -> Clusters:
    """Features grouped so that within a group every pair has a correlation of at least 0.9, whatever its sign.

    Complete linkage on the distance 1 - abs(correlation), cut at 0.1 (`scipy.cluster.hierarchy`). An undefined
    correlation counts as 0.
    """
    closeness = np.nan_to_num(np.abs(correlation))
    np.fill_diagonal(closeness, 1.0)
    if len(features) > 1:
        distance = squareform(1.0 - (closeness + closeness.T) / 2, checks=False)
        tree = linkage(distance, method="complete", optimal_ordering=True)
        found, order = fcluster(tree, t=1.0 - CLOSE, criterion="distance"), leaves_list(tree).tolist()
    else:
        found, order = np.ones(len(features), dtype=np.int64), list(range(len(features)))
    labels = _numbered_by_first(found)
    members = labels[:, None] == labels[None, :]
    frame = pl.DataFrame(
        {
            "feature": list(features),
            "cluster": labels,
            "centrality": np.where(members, closeness, 0.0).sum(axis=1),
        }
    )
    own = pl.col("feature").sort_by("centrality", descending=True, maintain_order=True)
    described = frame.select(
        "feature",
        "cluster",
        pl.len().over("cluster").cast(pl.Int64).alias("cluster_size"),
        own.first().over("cluster").alias("representative"),
        *_nearest(closeness, correlation, features),
    )
    return Clusters(described, order)


def _numbered_by_first(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The same groups, numbered from 1 in the order they are met."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    numbers: npt.NDArray[np.int64] = np.argsort(np.argsort(first))[inverse] + 1
    return numbers


def _nearest(closeness: Matrix, correlation: Matrix, features: Sequence[str]) -> list[pl.Series]:
    """The most correlated other feature of each, where one is correlated at all, and how much."""
    names: list[str | None] = []
    values: list[float | None] = []
    for row, others in enumerate(closeness - 2.0 * np.eye(len(features))):
        place = int(np.argmax(others))
        is_any = bool(others[place] > 0)
        names.append(features[place] if is_any else None)
        values.append(float(correlation[row, place]) if is_any else None)
    return [pl.Series("nearest", names, pl.String), pl.Series("nearest_correlation", values, pl.Float64)]
