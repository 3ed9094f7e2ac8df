"""What model to train, and the scikit-learn pipeline that this means.

A pipeline of the house has the steps `scaler`, `imputer`, `selector` and `model`; one of a user's own has the
steps it has. Columns are known by name; null and NaN both mean "not known".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from barlake.errors import BarlakeError, InvalidInputError, did_you_mean
from training_service.outcomes import EVEN_ODDS
from training_service.own_pipelines import OwnPipeline, is_import_path
from training_service.presets import DEFAULT_PRESET, PRESETS, Preset
from training_service.stopping import require_stoppable
from training_service.targets import Task

__all__ = [
    "CALIBRATIONS",
    "ModelSpec",
    "fit_pipeline",
    "fitted_columns",
    "is_classifier",
    "make_pipeline",
    "predict",
    "set_parameters",
    "to_signal",
]

FloatArray = npt.NDArray[np.float64]

CALIBRATIONS = ("sigmoid", "isotonic")

_INNER_THREADS = 1
"""OpenMP and BLAS add in an order that depends on how many threads share the work: one thread, same bits."""


@dataclass(frozen=True)
class ModelSpec:
    """Which model, with which settings: all that decides it but the data and the seed.

    Parameters
    ----------
    estimator
        A preset (`logistic`, `ridge`, `random_forest`, `hist_gradient_boosting`, `lightgbm`, `xgboost`), or the
        import path of a function that makes a Pipeline: `my_models:make_pipeline`.
    parameters
        Settings of the last step (`max_iter`), or of any step (`scaler__with_mean`), that differ from the preset's.
    class_weight
        `balanced`, or the weights of class 0 and class 1; None weighs every row alike. Classification only.
    select
        How many columns the selector keeps: those most correlated with the label in the training; None keeps all.
    calibration
        `sigmoid` or `isotonic`: probabilities are mended on the last fifth of the training sessions, which the
        model itself does not learn from then. Classification only.
    early_stopping
        Whether boosted trees learn how many iterations to make from the last fifth of the training sessions;
        they are fitted again on all of them with that many.
    """

    estimator: str = DEFAULT_PRESET
    parameters: Mapping[str, Any] = field(default_factory=dict)
    class_weight: str | tuple[float, float] | None = None
    select: int | None = None
    calibration: str | None = None
    early_stopping: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as JSON can hold them."""
        weight = self.class_weight
        return {
            "estimator": self.estimator,
            "estimator_parameters": dict(self.parameters),
            "class_weight": list(weight) if isinstance(weight, tuple) else weight,
            "select": self.select,
            "calibration": self.calibration,
            "early_stopping": self.early_stopping,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> ModelSpec:
        """Read back what `as_dict` gave; other entries of a manifest may stand beside it."""
        weight = given["class_weight"]
        return cls(
            estimator=given["estimator"],
            parameters=given["estimator_parameters"],
            class_weight=tuple(weight) if isinstance(weight, list) else weight,
            select=given["select"],
            calibration=given["calibration"],
            early_stopping=given["early_stopping"],
        )

    @property
    def preset(self) -> Preset | None:
        """The preset, or None for a pipeline of one's own; an unknown name is an `InvalidInputError`."""
        if is_import_path(self.estimator):
            return None
        if self.estimator not in PRESETS:
            near = did_you_mean(self.estimator, PRESETS)
            raise InvalidInputError(
                f"estimator {self.estimator!r} is not known: use one of {', '.join(PRESETS)}, or the import path of a "
                f"function that makes a Pipeline, such as my_models:make_pipeline.{near}"
            )
        return PRESETS[self.estimator]

    def check(self, task: Task) -> None:
        """Raise `InvalidInputError` if these settings contradict the task or each other; makes one pipeline to see."""
        if task is not Task.CLASSIFICATION:
            for name in ("class_weight", "calibration"):
                if getattr(self, name) is not None:
                    raise InvalidInputError(
                        f"{name} {getattr(self, name)!r} is for classification, this is {task.value}: leave it out."
                    )
        if self.calibration not in {None, *CALIBRATIONS}:
            raise InvalidInputError(f"calibration {self.calibration!r} is not known: use {' or '.join(CALIBRATIONS)}.")
        if self.select is not None and self.select < 1:
            raise InvalidInputError(f"select {self.select} is below 1: keep at least one column.")
        _require_class_weight(self.class_weight)
        pipeline = make_pipeline(self, task, seed=0)
        if self.early_stopping:
            require_stoppable(pipeline.steps[-1][1])


def make_pipeline(spec: ModelSpec, task: Task, *, seed: int) -> Pipeline:
    """Unfitted pipeline of a spec.

    A preset gets the steps `scaler`, `imputer`, `selector` and `model`. Linear models get columns of mean 0 and
    variance 1 with 0 for what is not known: the mean. Trees mind no scale and learn what a missing value says:
    their first steps are `passthrough`, save that a selector needs a value in every cell and gets the median.

    Raises
    ------
    InvalidInputError
        If there is no such estimator or parameter, it cannot do this task, or a library of an extra is missing.
    """
    preset = spec.preset
    if preset is None:
        if spec.select is not None:
            raise InvalidInputError(
                f"select {spec.select} goes with a preset: {spec.estimator} makes its own steps, put a selector there."
            )
        pipeline = OwnPipeline.load(spec.estimator).make(task, seed)
    else:
        pipeline = _preset_pipeline(preset, task, spec.select, seed)
    set_parameters(pipeline, spec.parameters, estimator=spec.estimator)
    return pipeline


def _preset_pipeline(preset: Preset, task: Task, select: int | None, seed: int) -> Pipeline:
    if task not in preset.tasks:
        names = " or ".join(name for name, one in PRESETS.items() if task in one.tasks)
        raise InvalidInputError(f"estimator {preset.name!r} does no {task.value}: use {names}.")
    scaler: Any = "passthrough"
    imputer: Any = "passthrough"
    if not preset.takes_missing:
        scaler = StandardScaler()
        imputer = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    elif select is not None:
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    selector = "passthrough" if select is None else SelectKBest(absolute_correlation, k=select)
    steps = [("scaler", scaler), ("imputer", imputer), ("selector", selector), ("model", preset.make(task, seed))]
    return Pipeline(steps)


def set_parameters(pipeline: Pipeline, parameters: Mapping[str, Any], *, estimator: str) -> None:
    """Set parameters in place; a name without `__` is one of the last step.

    Raises
    ------
    InvalidInputError
        If a name is not a parameter; the message offers near ones.
    """
    last, model = pipeline.steps[-1]
    for name, value in parameters.items():
        full = name if "__" in name else f"{last}__{name}"
        known = pipeline.get_params()
        if full not in known:
            near = did_you_mean(name, [*model.get_params(), *known])
            advice = near or " Leave it out, or name one of another step, as in scaler__with_mean."
            raise InvalidInputError(f"estimator {estimator!r} has no parameter {name!r}.{advice}")
        pipeline.set_params(**{full: value})


def absolute_correlation(columns: FloatArray, label: FloatArray) -> FloatArray:
    """How strongly each column goes with the label, from 0 to 1; 0 for a constant column.

    Parameters
    ----------
    columns
        Shape (n_rows, n_columns), without NaN.
    label
        Shape (n_rows,).

    Returns
    -------
    Shape (n_columns,): the absolute value of Pearson's correlation.
    """
    centred, deviation = columns - columns.mean(axis=0), label - label.mean()
    scale = np.sqrt((centred**2).sum(axis=0) * (deviation**2).sum())
    covariance = np.abs(deviation @ centred)
    strength: FloatArray = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)
    return strength


def fit_pipeline(pipeline: Pipeline, columns: pl.DataFrame, label: FloatArray, **fit_options: Any) -> tuple[str, ...]:
    """Fit in place; returns the names of columns in which no training row has a value.

    Such a column stays in the pipeline under its name as a constant 0, so that it has no weight and no split
    now, and no effect on a prediction later, when it does have values.

    Parameters
    ----------
    columns
        One Float64 column per feature, null where not known, one row per label.
    label
        Shape (n_rows,), without NaN.
    fit_options
        Passed on to `Pipeline.fit`, such as `model__sample_weight`.

    Raises
    ------
    InvalidInputError
        If a classification has one class only: there is nothing to tell apart. Or if an estimator refuses its
        parameters or the rows.
    """
    empty = tuple(name for name in columns.columns if columns[name].null_count() == columns.height)
    filled = columns.with_columns(pl.lit(0.0).alias(name) for name in empty)
    if is_classifier(pipeline) and np.unique(label).size == 1:
        raise InvalidInputError(
            f"all {label.size} training labels are {label[0]:g}: a direction needs rises and falls. "
            "Use fewer folds, or ingest more sessions."
        )
    _require_enough_columns(pipeline, columns)
    with threadpool_limits(limits=_INNER_THREADS):
        try:
            pipeline.fit(filled, label, **fit_options)
        except BarlakeError:
            raise
        except (ValueError, TypeError) as refusal:
            steps = ", ".join(type(step).__name__ for _, step in pipeline.steps if step != "passthrough")
            raise InvalidInputError(
                f"the pipeline of {steps} refuses the fit: {refusal}. Mend its parameters or its steps."
            ) from refusal
    return empty


def predict(pipeline: Pipeline, columns: pl.DataFrame) -> FloatArray:
    """Probability of a 1 from a classifier, the predicted label from a regressor; shape (n_rows,).

    Raises
    ------
    InvalidInputError
        If the columns are not those of the training in the same order, or what comes out is not one finite
        number for each row, from a classifier one between 0 and 1.
    """
    _require_same_columns(pipeline, columns)
    with threadpool_limits(limits=_INNER_THREADS):
        if is_classifier(pipeline):
            predicted = np.asarray(pipeline.predict_proba(columns)[:, 1], dtype=np.float64)
        else:
            predicted = np.asarray(pipeline.predict(columns), dtype=np.float64)
    _require_predictions(pipeline, predicted, columns.height)
    return predicted


def to_signal(prediction: FloatArray, task: Task) -> FloatArray:
    """Turn predictions into what the trading rule is given: above 0 wants to hold, 0 and below to be out.

    Examples
    --------
    >>> to_signal(np.array([0.4, 0.5, 0.6]), Task.CLASSIFICATION)
    array([0., 0., 1.])
    >>> to_signal(np.array([-0.001, 0.002]), Task.REGRESSION)
    array([-0.001,  0.002])
    """
    return (prediction > EVEN_ODDS).astype(np.float64) if task is Task.CLASSIFICATION else prediction


def fitted_columns(pipeline: Pipeline) -> list[str]:
    """Names of the columns a pipeline was fitted on, in their order; empty where no step keeps them.

    A pipeline asks its first step only, and `passthrough` knows nothing.
    """
    kept = (step.feature_names_in_ for _, step in pipeline.steps if hasattr(step, "feature_names_in_"))
    return [str(name) for name in next(kept, ())]


def is_classifier(pipeline: Pipeline) -> bool:
    """Whether the last step predicts classes."""
    return hasattr(pipeline, "predict_proba")


def _require_predictions(pipeline: Pipeline, predicted: FloatArray, rows: int) -> None:
    """A step of a user's own may return anything; scores of it would look like scores."""
    last = type(pipeline.steps[-1][1]).__name__
    if predicted.shape != (rows,):
        raise InvalidInputError(
            f"{last} predicts shape {predicted.shape} for {rows} rows: give one number for each row."
        )
    lowest, highest = (0.0, 1.0) if is_classifier(pipeline) else (-np.finfo(np.float64).max, np.finfo(np.float64).max)
    wrong = np.flatnonzero(~((predicted >= lowest) & (predicted <= highest)))  # NaN is neither
    if wrong.size:
        rule = "a probability between 0 and 1" if is_classifier(pipeline) else "a finite number"
        raise InvalidInputError(
            f"{last} predicts {predicted[wrong[0]]:g} in row {wrong[0]}, and so in {wrong.size} of {rows} rows: "
            f"each must be {rule}."
        )


def _require_class_weight(weight: str | tuple[float, float] | None) -> None:
    if isinstance(weight, str) and weight != "balanced":
        raise InvalidInputError(f"class_weight {weight!r} is not known: use balanced, or two weights such as 1,2.")
    if isinstance(weight, tuple) and not (len(weight) == 2 and all(0 < one < np.inf for one in weight)):  # noqa: PLR2004 - two classes
        raise InvalidInputError(f"class_weight {weight}: give two finite weights above 0, of class 0 and of class 1.")


def _require_enough_columns(pipeline: Pipeline, columns: pl.DataFrame) -> None:
    for _, step in pipeline.steps:
        if isinstance(step, SelectKBest) and isinstance(step.k, int) and step.k > columns.width:
            raise InvalidInputError(
                f"select {step.k} is more than the {columns.width} columns there are: ask for fewer."
            )


def _require_same_columns(pipeline: Pipeline, columns: pl.DataFrame) -> None:
    """Some libraries take columns by position without a word; names decide here for all of them."""
    known = fitted_columns(pipeline)
    if known and known != columns.columns:
        raise InvalidInputError(
            f"a model fitted on {len(known)} columns was given {columns.width} others: give it the columns of its "
            "training, in the same order (`columns` of its manifest)."
        )
