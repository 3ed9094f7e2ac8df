"""Models side by side: how they were made, what each scored, and whether the scores may be compared at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from app.console import frame_rows
from app.use_cases.model_figures import model_scores
from barlake.artifacts import Artifact, canonical_json
from barlake.keys import ArtifactKind
from barlake.lake import Lake

__all__ = ["ModelComparison", "compare_models"]

_PREDICTIONS = "predictions.parquet"
_ASKED = ("target", "task", "horizon", "target_parameters", "feed", "session")
"""Models that differ in one of these, or in the symbol, answer different questions."""


@dataclass(frozen=True)
class ModelComparison:
    """What a comparison shows.

    Parameters
    ----------
    options
        One row per option in which they differ: option, and a column for each model.
    scores
        One row per measure: metric, and a column for each model, each over its own test rows.
    rows, shared_rows
        Test bars of each model, and of all of them together.
    same_question
        Whether all predict the same target of the same symbol.
    """

    models: tuple[str, ...]
    options: pl.DataFrame
    scores: pl.DataFrame
    rows: tuple[int, ...]
    shared_rows: int
    same_question: bool

    @property
    def verdict(self) -> str:
        """Whether the scores may be held against each other."""
        if not self.same_question:
            return "These models answer different questions: their scores do not compare."
        if any(rows != self.shared_rows for rows in self.rows):
            return (
                f"These models were tested on different bars, of which {self.shared_rows:,} are shared by all: a "
                "difference in score may be one of the bars. Train them with the same folds on the same features."
            )
        return f"These models were tested on the same {self.shared_rows:,} bars."

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON can hold it."""
        return {
            "models": list(self.models),
            "options": frame_rows(self.options),
            "scores": frame_rows(self.scores),
            "rows": list(self.rows),
            "shared_rows": self.shared_rows,
            "same_question": self.same_question,
            "verdict": self.verdict,
        }


def compare_models(lake: Lake, model_ids: Sequence[str]) -> ModelComparison:
    """Put models side by side.

    Raises
    ------
    NotFoundError
        If one is not in the lake.
    FormatError
        If the predictions of one are not the file that was written.
    """
    models = [lake.artifacts.find(ArtifactKind.MODEL, one) for one in dict.fromkeys(model_ids)]
    stamps = [
        set(pl.read_parquet(lake.artifacts.verified_file(one, _PREDICTIONS), columns=["timestamp"])["timestamp"])
        for one in models
    ]
    return ModelComparison(
        models=tuple(one.id for one in models),
        options=_differing_options(models),
        scores=_scores(models),
        rows=tuple(len(own) for own in stamps),
        shared_rows=len(set.intersection(*stamps)),
        same_question=len({canonical_json(_question(one.parameters)) for one in models}) == 1,
    )


def _question(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"symbol": parameters["symbols"][0], **{name: parameters.get(name) for name in _ASKED}}


def _differing_options(models: Iterable[Artifact]) -> pl.DataFrame:
    options = {one.id: dict(_leaves(one.parameters)) for one in models}
    names = dict.fromkeys(name for found in options.values() for name in found)
    rows = [{"option": name, **{own: found.get(name) for own, found in options.items()}} for name in names]
    differing = [row for row in rows if len({row[own] for own in options}) > 1]
    return pl.DataFrame(differing, schema=dict.fromkeys(("option", *options), pl.String()))


def _leaves(values: Mapping[str, Any], where: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{where}{name}.")
        else:
            yield f"{where}{name}", value if isinstance(value, str) else json.dumps(value, default=str)


def _scores(models: Sequence[Artifact]) -> pl.DataFrame:
    table = pl.DataFrame({"metric": []}, schema={"metric": pl.String()})
    for one in models:
        own = model_scores(one)
        if not own.is_empty():
            column = own.select("metric", pl.col("value").cast(pl.Float64).alias(one.id))
            table = table.join(column, on="metric", how="full", coalesce=True, maintain_order="left_right")
    return table
