"""What a training hands back: the model's id, its scores beside the baseline, and what the join cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from barlake.artifacts import Artifact
from barlake.trials import Deflation
from training_service.fits import Fits
from training_service.labels import Task
from training_service.outcomes import Outcome
from training_service.placebo import PlaceboReport
from training_service.scores import Judgement, judge, score, verdict
from training_service.walk import FittedFold

__all__ = ["TrainReport", "results_of"]


@dataclass(frozen=True)
class TrainReport:
    """A trained model as its manifest describes it.

    Parameters
    ----------
    created
        False if the same inputs had made this model before, so that nothing was written.
    results
        join (rows and drop rates), columns, label_rows, folds (borders, rows, empty_columns, model and scores of
        each), model (how the one fitted on everything came about: `FittedModel.facts`), overall (scores of all
        test rows together, as `scores.score` gives them), combinatorial (spread over many histories, or None),
        beats_baseline, verdict.
    placebo
        How the model stands among placebos, if any were asked for. No part of the manifest.
    deflation
        What its Sharpe ratio is worth among all trials of its study so far; None where it has none. No part of
        the manifest either: it changes with every further trial.
    """

    model_id: str
    created: bool
    path: Path
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Any]
    results: Mapping[str, Any]
    placebo: PlaceboReport | None = None
    deflation: Deflation | None = None

    @classmethod
    def of(cls, artifact: Artifact, *, created: bool) -> TrainReport:
        """Report of a model artifact."""
        return cls(
            model_id=artifact.id,
            created=created,
            path=artifact.path,
            parameters=artifact.parameters,
            inputs=artifact.inputs,
            results=artifact.results,
        )

    @property
    def symbols(self) -> list[str]:
        """The symbols, the predicted one first."""
        return list(self.parameters["symbols"])

    @property
    def beats_baseline(self) -> bool:
        """Whether the model is better than the baseline over all test rows, and the 95 % interval of that above 0."""
        return bool(self.results["beats_baseline"])

    @property
    def verdict(self) -> str:
        """One plain sentence on the model against the baseline."""
        return str(self.results["verdict"])

    @property
    def next_command(self) -> str:
        """What to run next."""
        return f"barlake simulate --model {self.model_id} --symbol {self.symbols[0]}"

    def as_dict(self) -> dict[str, Any]:
        """Give the report as JSON can hold it."""
        return {
            "model_id": self.model_id,
            "created": self.created,
            "path": str(self.path),
            "parameters": dict(self.parameters),
            "inputs": dict(self.inputs),
            **self.results,
            "placebo": None if self.placebo is None else self.placebo.as_dict(),
            "deflated_sharpe": None if self.deflation is None else asdict(self.deflation),
            "next_command": self.next_command,
        }


def results_of(fits: Fits) -> dict[str, Any]:
    """Figures of a finished training, as JSON can hold them."""
    dataset, task = fits.dataset, fits.dataset.spec.task
    scored = [_fold_figures(fold, task) for fold in fits.fitted]
    overall = score(Outcome.pooled([fold.outcome for fold in fits.fitted]), task)
    return {
        "join": dataset.join.as_dict(),
        "columns": list(dataset.columns),
        "label_rows": dataset.frame.height - dataset.frame["label"].null_count(),
        "folds": scored,
        "model": dict(fits.full_model.facts),
        "overall": overall,
        "combinatorial": None if fits.paths is None else fits.paths.as_dict(),
        "beats_baseline": judge(overall) is Judgement.BEATS,
        "verdict": verdict(overall, [one["scores"] for one in scored], task),
    }


def _fold_figures(fold: FittedFold, task: Task) -> dict[str, Any]:
    timestamp, session = fold.predictions["timestamp"], fold.predictions["session"]
    return {
        "fold": fold.number,
        "training_rows": fold.training_rows,
        "test_rows": fold.predictions.height,
        "fitted_before": fold.fitted_before.isoformat(),
        "first_session": session.item(0).isoformat(),
        "last_session": session.item(-1).isoformat(),
        "first_timestamp": timestamp.item(0).isoformat(),
        "last_timestamp": timestamp.item(-1).isoformat(),
        "empty_columns": list(fold.empty_columns),
        "model": dict(fold.facts),
        "scores": score(fold.outcome, task),
    }
