"""A model's scores as rows for eyes: what it scored, the interval around it, and the baselines beside it.

Reads the results of a manifest, and nothing else: a card, a list of models and a comparison show the same figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training_service.scores import headline
from training_service.targets import Task

__all__ = ["ScoreRow", "headline_row", "score_rows"]


@dataclass(frozen=True)
class ScoreRow:
    """One measure. `low` and `high` bound its interval, None where none was made; `baselines` by their names."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    baselines: Mapping[str, float | None]


def score_rows(scores: Mapping[str, Any]) -> list[ScoreRow]:
    """Rows of scores as a manifest holds them, of all test rows or of one fold; empty if there are none.

    Parameters
    ----------
    scores
        `metrics`: by name a value with low and high; `baselines`: by name the values of the same metrics.
    """
    baselines = scores.get("baselines", {})
    return [
        ScoreRow(
            name,
            found["value"],
            found["low"],
            found["high"],
            {baseline: values.get(name) for baseline, values in baselines.items()},
        )
        for name, found in scores.get("metrics", {}).items()
    ]


def headline_row(scores: Mapping[str, Any]) -> ScoreRow | None:
    """The measure that stands for a model in one line (`scores.headline`); None if it has no scores."""
    rows = {row.metric: row for row in score_rows(scores)}
    return next((rows[name] for name in map(headline, Task) if name in rows), None)
