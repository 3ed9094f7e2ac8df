"""The quality of one feature table as three tables: by feature, by period, by session. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from feature_service.quality.clusters import Matrix, cluster_features, rank_correlation
from feature_service.quality.drift import PERIODS, drift_between_periods
from feature_service.quality.summary import nulls_by_session, summarise

__all__ = ["COPY", "LARGE_SHIFT", "MANY_NULLS", "FeatureQuality", "feature_names", "measure_quality"]

LARGE_SHIFT = 0.25
"""A population stability index above it is read as a large shift (Siddiqi, Credit Risk Scorecards, 2006)."""
COPY = 0.999
"""Rank correlation from which on a feature is called a copy of another."""
MANY_NULLS = 0.01
"""Share of rows after a feature's first value."""

_IMPORTANCE = {"feature": pl.String(), "importance": pl.Float64(), "importance_deviation": pl.Float64()}


@dataclass(frozen=True)
class FeatureQuality:
    """What was measured of one feature table.

    Parameters
    ----------
    features
        One row per feature: feature, family, unit, what `summarise` gives, psi and ks (the largest against the
        first period), psi_previous and ks_previous (the largest against the period before), cluster,
        cluster_size, representative, nearest, nearest_correlation, importance, importance_deviation, model (null
        without a model), findings (in words; empty when there is nothing to say).
    drift
        As `drift_between_periods` gives it.
    nulls
        As `nulls_by_session` gives it.
    correlation
        Rank correlation of every pair of features, shape (features, features).
    order
        Places of the features so that correlated ones stand together.
    """

    features: pl.DataFrame
    drift: pl.DataFrame
    nulls: pl.DataFrame
    correlation: Matrix
    order: Sequence[int]

    def tables(self) -> dict[str, pl.DataFrame]:
        """The three tables by the names they have in the catalogue."""
        return {"feature_quality": self.features, "feature_drift": self.drift, "feature_nulls": self.nulls}


def feature_names(definition: Mapping[str, Any]) -> list[str]:
    """Names of the features of a version, in the order of its columns; from its definition."""
    return [str(one["name"]) for one in definition["features"]]


def measure_quality(
    table: pl.DataFrame,
    described: Sequence[Mapping[str, Any]],
    *,
    periods: int = PERIODS,
    importance: pl.DataFrame | None = None,
    model: str | None = None,
) -> FeatureQuality:
    """The quality of a feature table.

    Parameters
    ----------
    table
        session, timestamp and the features; oldest first, one row per bar.
    described
        Of each feature its name, family and unit.
    periods
        How many groups of sessions are compared, alike in length to a session.
    importance
        feature, importance, importance_deviation: how much a model's score falls without each feature.
    model
        Id of that model.

    Raises
    ------
    InvalidInputError
        If the table has fewer sessions than periods, or fewer than two periods are asked for.
    """
    names = [str(one["name"]) for one in described]
    drift = drift_between_periods(table, names, periods)
    correlation = rank_correlation(table, names)
    clusters = cluster_features(correlation, names)
    facts = pl.DataFrame(
        [(one["name"], one["family"], one["unit"]) for one in described],
        schema=dict.fromkeys(("feature", "family", "unit"), pl.String()),
        orient="row",
    )
    given = pl.DataFrame(schema=_IMPORTANCE) if importance is None else importance.select(*_IMPORTANCE)
    features = facts
    for part in (summarise(table, names), _largest(drift), clusters.frame, given):
        features = features.join(part, on="feature", how="left", maintain_order="left")
    features = features.with_columns(
        pl.when(pl.col("importance").is_not_null()).then(pl.lit(model, pl.String)).alias("model")
    )
    findings = [_findings(row) for row in features.iter_rows(named=True)]
    return FeatureQuality(
        features.with_columns(pl.Series("findings", findings, pl.String)),
        drift,
        nulls_by_session(table, names),
        correlation,
        clusters.order,
    )


def _largest(drift: pl.DataFrame) -> pl.DataFrame:
    return drift.group_by("feature", maintain_order=True).agg(pl.col("psi", "ks", "psi_previous", "ks_previous").max())


def _findings(row: Mapping[str, Any]) -> str:
    """What a reader should know of a feature before using it, in words."""
    if not row["distinct"]:
        return "never has a value"
    said = ["never changes"] if row["distinct"] == 1 else []
    share = row["later_nulls"] / (row["rows"] - row["leading_nulls"])
    if share > MANY_NULLS:
        said.append(f"{share:.1%} null after its first value")
    if row["psi"] is not None and row["psi"] > LARGE_SHIFT:
        said.append("drifts")
    if row["nearest"] is not None and abs(row["nearest_correlation"]) >= COPY:
        said.append(f"a copy of {row['nearest']}")
    return ", ".join(said)
