"""A model's scores as rows for eyes: what it scored, the interval around it, and the baselines beside it.

Reads the results of a manifest, and nothing else: a card, a list of models and a comparison show the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ScoreRow", "headline", "score_rows"]

_HEADLINES = ("balanced_accuracy", "auc", "accuracy", "information_coefficient", "r2_vs_zero", "rmse")
"""The first of these that a model has is the one that stands for it."""

_DEFINED = {
    "auc": 0.5, "balanced_accuracy": 0.5, "r2_vs_mean": 0.0, "r2_vs_zero": 0.0, "information_coefficient": 0.0,
}  # fmt: skip
"""What the majority, or the mean, scores by definition."""

_NO_SCORES = {"rows", "up_share"}
_BASELINE = "baseline_"


@dataclass(frozen=True)
class ScoreRow:
    """One measure. `low` and `high` bound its interval, None where none was made; `baselines` by their names."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    baselines: Mapping[str, float | None]


def score_rows(results: Mapping[str, Any]) -> list[ScoreRow]:
    """Scores of all test rows together, in the order in which they were made; empty if there are none."""
    overall = results.get("overall", {})
    names = [
        name
        for name, value in overall.items()
        if name not in _NO_SCORES and not name.startswith(_BASELINE) and isinstance(value, float | int | None)
    ]
    return [
        ScoreRow(name, overall[name], None, None, {"baseline": overall.get(_BASELINE + name, _DEFINED.get(name))})
        for name in names
    ]


def headline(results: Mapping[str, Any]) -> ScoreRow | None:
    """The measure that stands for a model in one line; None if it has no scores."""
    rows = {row.metric: row for row in score_rows(results)}
    return next((rows[name] for name in _HEADLINES if name in rows), None)
