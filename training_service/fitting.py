"""One model fitted on one stretch of the past: weights, early stopping and calibration, all inside it.

Whatever holds rows back here takes them from the end of the training, purged; the test of the fold is
never seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from barlake.errors import InvalidInputError
from training_service.models import ModelSpec, fit_pipeline, make_pipeline
from training_service.stopping import best_iterations
from training_service.stretches import last_stretch
from training_service.targets import Task

__all__ = ["FittedModel", "ModelMaker", "fit_model"]

FloatArray = npt.NDArray[np.float64]

_FEWEST_TO_CALIBRATE = 10
"""Rows of each class without which a curve of probabilities is a guess."""


@dataclass(frozen=True)
class FittedModel:
    """A fitted pipeline and how it came about.

    Parameters
    ----------
    empty_columns
        Features without any value in the rows it learned from; they have no say in its predictions.
    facts
        As JSON can hold them: training_rows it learned from, and iterations, calibration_rows, class_weight where
        they apply.
    """

    pipeline: Pipeline
    empty_columns: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelMaker:
    """Fits one model per call, always in the same way; can be sent to another process."""

    spec: ModelSpec
    task: Task
    seed: int = 0

    def __call__(self, past: pl.DataFrame, columns: Sequence[str]) -> FittedModel:
        """Model fitted on labelled rows; see `fit_model`."""
        return fit_model(self.spec, past, columns, task=self.task, seed=self.seed)


def fit_model(spec: ModelSpec, past: pl.DataFrame, columns: Sequence[str], *, task: Task, seed: int) -> FittedModel:
    """Fit a pipeline on the past.

    Parameters
    ----------
    past
        Labelled rows, oldest first: session, timestamp, label, known_at and the feature columns.
    columns
        The features, in the order the model shall know them.

    Raises
    ------
    InvalidInputError
        If the rows cannot carry the spec, or an estimator refuses them.
    """
    pipeline = make_pipeline(spec, task, seed=seed)
    facts: dict[str, Any] = {}
    learned, mended = (past, None) if spec.calibration is None else last_stretch(past, purpose="calibration")
    if spec.class_weight is not None:
        facts["class_weight"] = _weigh(pipeline, spec, _label(learned))
    if spec.early_stopping:
        parameter, iterations = _iterations(pipeline, learned, columns)
        pipeline.set_params(**{parameter: iterations})
        facts["iterations"] = iterations
    empty = fit_pipeline(pipeline, learned.select(columns), _label(learned))
    facts["training_rows"] = learned.height
    if mended is not None:
        assert spec.calibration is not None  # noqa: S101 - rows are held back for nothing else
        pipeline = _calibrated(pipeline, mended.select(columns), _label(mended), spec.calibration)
        facts["calibration_rows"] = mended.height
    return FittedModel(pipeline, empty, facts)


def _label(rows: pl.DataFrame) -> FloatArray:
    return rows["label"].to_numpy()


def _iterations(pipeline: Pipeline, learned: pl.DataFrame, columns: Sequence[str]) -> tuple[str, int]:
    before, watched = last_stretch(learned, purpose="early stopping")
    return best_iterations(
        pipeline, (before.select(columns), watched.select(columns)), (_label(before), _label(watched))
    )


def _weigh(pipeline: Pipeline, spec: ModelSpec, label: FloatArray) -> list[float]:
    """Set the weights of the two classes in the last step; returns them, class 0 first."""
    counts = np.array([(label == 0).sum(), (label == 1).sum()])
    if spec.class_weight == "balanced":
        # scikit-learn's formula: each class weighs as much in total as the other.
        weights = label.size / (2 * np.maximum(counts, 1))
    else:
        weights = np.asarray(spec.class_weight, dtype=np.float64)
    name, model = pipeline.steps[-1]
    known = model.get_params()
    if "class_weight" in known:
        pipeline.set_params(**{f"{name}__class_weight": {0.0: float(weights[0]), 1.0: float(weights[1])}})
    elif "scale_pos_weight" in known:
        pipeline.set_params(**{f"{name}__scale_pos_weight": float(weights[1] / weights[0])})
    else:
        raise InvalidInputError(
            f"class_weight {spec.class_weight!r}: {type(model).__name__} knows no class weights: leave it out, or use "
            "an estimator that has class_weight."
        )
    return [float(weight) for weight in weights]


def _calibrated(pipeline: Pipeline, columns: pl.DataFrame, label: FloatArray, method: str) -> Pipeline:
    """The same steps, the last one followed by a curve from its probabilities to observed frequencies."""
    rarer = int(min((label == 0).sum(), (label == 1).sum()))
    if rarer < _FEWEST_TO_CALIBRATE:
        raise InvalidInputError(
            f"calibration {method!r} cannot use the last {label.size} training rows: only {rarer} of them are of the "
            f"rarer class, it needs {_FEWEST_TO_CALIBRATE}. Ingest more sessions, or leave it out."
        )
    name, model = pipeline.steps[-1]
    with threadpool_limits(limits=1):
        before = columns if len(pipeline) == 1 else pipeline[:-1].transform(columns)
        calibrated = CalibratedClassifierCV(FrozenEstimator(model), method=method).fit(before, label)
    return Pipeline([*pipeline.steps[:-1], (name, calibrated)])
