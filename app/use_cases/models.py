"""A trained model as a reader needs it: its verdict, scores beside baselines, folds, predictions and origin.

Everything is read from the model's folder and the ledger of trials; nothing is fitted and no pickle is opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from app.use_cases.model_figures import model_rows, model_scores, short_facts
from barlake.artifacts import Artifact
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from training_service.card import CARD
from training_service.card_view import prediction_counts, unbroken_stretches
from training_service.score_rows import score_rows
from training_service.scores import BASELINES, LOSSES, Judgement, judge
from training_service.targets import TargetSpec, Task
from training_service.tries import deflation_of, deflation_sentence

__all__ = ["ModelView", "card_of", "list_models", "names_of_models", "view_model"]

_ALL_ROWS = "all test rows"
_FOLD_SCORES = {
    "metric": pl.String(), "test": pl.String(), "value": pl.Float64(), "low": pl.Float64(), "high": pl.Float64(),
    "baseline": pl.Float64(),
}  # fmt: skip

_STAMP = pl.Datetime("us", "UTC")
_SPANS = {
    "fold": pl.Int32(), "part": pl.String(), "first_timestamp": _STAMP, "last_timestamp": _STAMP, "rows": pl.Int64(),
}  # fmt: skip
_IMPORTANCE = {"feature": pl.String(), "importance": pl.Float64(), "importance_deviation": pl.Float64()}


@dataclass(frozen=True)
class ModelView:
    """One model, ready to be shown.

    Parameters
    ----------
    task
        Whether it learned a class or a number.
    title
        What it predicts, how far ahead, and with what.
    judgement, verdict
        The model against the baseline that looks at no feature, as one of three answers and as a sentence.
    tries
        What its Sharpe ratio is worth among all tries at the symbol; None where it has none.
    baselines
        Columns of `scores` that are baselines, with what people call them.
    scores
        One row per measure over all test rows: metric, value, low, high (95 % interval), one column per baseline.
        Empty for a model of the first release, whose scores are of another kind; its verdict has them.
    fold_scores
        metric, test (all rows, or a fold), value, low, high, baseline: one row for each metric and test.
    fold_spans
        fold, part (`train` or `test`), first_timestamp, last_timestamp (UTC), rows.
    predictions
        left, right, bars: how often the model said what, in stretches of equal width.
    importance
        feature, importance (loss without it, by shuffling), importance_deviation (over folds), largest first.
    facts
        What it was made from and how, one value a name.
    """

    model: Artifact
    task: Task
    title: str
    judgement: Judgement
    verdict: str
    tries: str | None
    baselines: Mapping[str, str]
    scores: pl.DataFrame
    fold_scores: pl.DataFrame
    fold_spans: pl.DataFrame
    predictions: pl.DataFrame
    importance: pl.DataFrame
    facts: Mapping[str, Any]

    @property
    def has_card(self) -> bool:
        """Whether it has a card; a model of the first release has none."""
        return CARD in self.model.files

    @staticmethod
    def title_of(metric: str) -> str:
        """A metric for eyes, with which way is better where that is not plain."""
        return metric.replace("_", " ") + (" (less is better)" if metric in LOSSES else "")


def list_models(lake: Lake, *, symbol: str | None = None) -> pl.DataFrame:
    """One row per model, the newest first: what it predicts, and its headline score beside the baseline."""
    return model_rows(lake.artifacts.list(ArtifactKind.MODEL), symbol=symbol).reverse()


def names_of_models(models: pl.DataFrame) -> dict[str, str]:
    """What each model of a list is called where there is little room, by its id."""
    return {
        row["model"]: f"{row['symbols']} {row['target']} {row['horizon']}, {row['estimator']} ({row['model'][:6]})"
        for row in models.iter_rows(named=True)
    }


def view_model(lake: Lake, model_id: str) -> ModelView:
    """One model, by its id or first digits.

    Raises
    ------
    NotFoundError
        If no model or several have such an id.
    FormatError
        If a table of it is not the file that was written.
    """
    model = lake.artifacts.find(ArtifactKind.MODEL, model_id)
    spec = _target_of(model.parameters)
    return ModelView(
        model=model,
        task=spec.task,
        title=f"{model.parameters['symbols'][0]}: {spec.title}, {model.parameters['estimator']}",
        judgement=_judgement(model.results),
        verdict=str(model.results.get("verdict", "")),
        tries=_tries(lake, model),
        baselines=BASELINES[spec.task],
        scores=model_scores(model),
        fold_scores=pl.DataFrame(list(_fold_scores(model.results)), schema=_FOLD_SCORES, orient="row"),
        fold_spans=_fold_spans(_table(lake, model, "folds")),
        predictions=_predictions(_table(lake, model, "predictions")),
        importance=_importance(_table(lake, model, "importance")),
        facts=short_facts(model),
    )


def card_of(lake: Lake, model_id: str) -> Path:
    """The model's card, one HTML page; errors as in `view_model`."""
    return lake.artifacts.verified_file(lake.artifacts.find(ArtifactKind.MODEL, model_id), CARD)


def _target_of(parameters: Mapping[str, Any]) -> TargetSpec:
    """What it predicts; a model of the first release says no task, and names its horizon otherwise."""
    return TargetSpec.parse(
        parameters["target"],
        parameters["horizon"] if "horizon" in parameters else parameters["horizon_bars"],
        task=parameters.get("task"),
        parameters=parameters.get("target_parameters"),
    )


def _judgement(results: Mapping[str, Any]) -> Judgement:
    overall = results.get("overall", {})
    if "advantage" in overall:
        return judge(overall)
    return Judgement.BEATS if results.get("beats_baseline") else Judgement.FAILS


def _tries(lake: Lake, model: Artifact) -> str | None:
    found = deflation_of(lake, f"{model.parameters['feed']} {model.parameters['symbols'][0]}", model.id)
    return None if found is None else deflation_sentence(found)


def _fold_scores(results: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    tests = [(_ALL_ROWS, results.get("overall", {}))]
    tests += [(f"fold {one['fold']}, from {one['first_session']}", one["scores"]) for one in results.get("folds", ())]
    for name, scores in tests:
        for row in score_rows(scores):
            baseline = next(iter(row.baselines.values()), None)
            yield {
                "metric": row.metric, "test": name, "value": row.value, "low": row.low, "high": row.high,
                "baseline": baseline,
            }  # fmt: skip


def _table(lake: Lake, model: Artifact, name: str) -> pl.DataFrame | None:
    """A table of the model's folder; None where it has none, as models of other lakes and of older releases may."""
    file = f"{name}.parquet"
    return pl.read_parquet(lake.artifacts.verified_file(model, file)) if file in model.files else None


def _fold_spans(table: pl.DataFrame | None) -> pl.DataFrame:
    return pl.DataFrame(schema=_SPANS) if table is None else unbroken_stretches(table).select(_SPANS.keys())


def _predictions(table: pl.DataFrame | None) -> pl.DataFrame:
    counts, edges = prediction_counts(pl.DataFrame({"prediction": []}) if table is None else table)
    return pl.DataFrame({"left": edges[:-1], "right": edges[1:], "bars": counts})


def _importance(table: pl.DataFrame | None) -> pl.DataFrame:
    if table is None:
        return pl.DataFrame(schema=_IMPORTANCE)
    return table.select(_IMPORTANCE.keys()).sort("importance", descending=True)
