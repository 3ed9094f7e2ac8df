"""Estimators as scikit-learn pipelines, fitted the same way every time.

Each pipeline has the steps `scaler`, `imputer` and `model`. Columns are known by name; null and NaN both mean
"not known".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from barlake.errors import InvalidInputError
from training_service.labels import Task

__all__ = ["Estimator", "fit_pipeline", "make_pipeline", "predict", "to_signal"]

FloatArray = npt.NDArray[np.float64]

_INNER_THREADS = 1
"""OpenMP and BLAS add in an order that depends on how many threads share the work: one thread, same bits."""


class Estimator(StrEnum):
    """Kinds of model. `logistic` is for classes, `ridge` for numbers, the boosted trees for both."""

    LOGISTIC = "logistic"
    RIDGE = "ridge"
    HIST_GRADIENT_BOOSTING = "hist_gradient_boosting"

    @classmethod
    def parse(cls, value: str | None, task: Task) -> Estimator:
        """Estimator of that name, fit for the task; None gives the linear one.

        The linear model is the default because at one minute there is little to learn: it has one weight per
        column, fits in seconds, and cannot follow noise as far as trees can.

        Raises
        ------
        InvalidInputError
            If there is no such estimator, or it does not do this task.

        Examples
        --------
        >>> Estimator.parse(None, Task.REGRESSION)
        <Estimator.RIDGE: 'ridge'>
        """
        usable = {
            Task.CLASSIFICATION: (cls.LOGISTIC, cls.HIST_GRADIENT_BOOSTING),
            Task.REGRESSION: (cls.RIDGE, cls.HIST_GRADIENT_BOOSTING),
        }[task]
        if value is None:
            return usable[0]
        for member in usable:
            if member.value == str(value).lower():
                return member
        names = " or ".join(member.value for member in usable)
        raise InvalidInputError(f"estimator {value!r} does no {task.value}: use {names}.")


def make_pipeline(estimator: Estimator, task: Task, *, seed: int) -> Pipeline:
    """Unfitted pipeline of `scaler`, `imputer` and `model`.

    Linear models get columns of mean 0 and variance 1 with 0 for what is not known: the mean. Trees take
    neither step (`passthrough`): they do not mind scale and learn what a missing value says.
    """
    if estimator is Estimator.HIST_GRADIENT_BOOSTING:
        return Pipeline([("scaler", "passthrough"), ("imputer", "passthrough"), ("model", _trees(task, seed))])
    # Exact second-order steps: indicators are close to collinear, where gradient steps crawl.
    model = LogisticRegression(solver="newton-cholesky") if estimator is Estimator.LOGISTIC else Ridge()
    imputer = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
    return Pipeline([("scaler", StandardScaler()), ("imputer", imputer), ("model", model)])


def _trees(task: Task, seed: int) -> Any:
    kind = HistGradientBoostingClassifier if task is Task.CLASSIFICATION else HistGradientBoostingRegressor
    return kind(
        max_iter=100,
        learning_rate=0.05,
        # Small, well filled trees: a leaf of a few minutes is noise.
        max_leaf_nodes=15,
        min_samples_leaf=200,
        # Stopping early would hold out rows at random, whose labels overlap those it trains on.
        early_stopping=False,
        random_state=seed,
    )


def fit_pipeline(pipeline: Pipeline, columns: pl.DataFrame, label: FloatArray) -> tuple[str, ...]:
    """Fit in place; returns the names of columns in which no training row has a value.

    Such a column stays in the pipeline under its name as a constant 0, so that it has no weight and no split
    now, and no effect on a prediction later, when it does have values.

    Parameters
    ----------
    columns
        One Float64 column per feature, null where not known, one row per label.
    label
        Shape (n_rows,), without NaN.

    Raises
    ------
    InvalidInputError
        If a classifier is given one class only: there is nothing to tell apart.
    """
    empty = tuple(name for name in columns.columns if columns[name].null_count() == columns.height)
    filled = columns.with_columns(pl.lit(0.0).alias(name) for name in empty)
    if is_classifier(pipeline) and np.unique(label).size == 1:
        raise InvalidInputError(
            f"all {label.size} training labels are {label[0]:g}: a classifier needs both 0 and 1. "
            "Use fewer folds, or ingest more sessions."
        )
    with threadpool_limits(limits=_INNER_THREADS):
        pipeline.fit(filled, label)
    return empty


def predict(pipeline: Pipeline, columns: pl.DataFrame) -> FloatArray:
    """Probability of a 1 from a classifier, the predicted label from a regressor; shape (n_rows,)."""
    with threadpool_limits(limits=_INNER_THREADS):
        if is_classifier(pipeline):
            return np.asarray(pipeline.predict_proba(columns)[:, 1], dtype=np.float64)
        return np.asarray(pipeline.predict(columns), dtype=np.float64)


def to_signal(prediction: FloatArray, task: Task) -> FloatArray:
    """Turn predictions into what the trading rule is given: above 0 wants to hold, 0 and below to be out.

    Examples
    --------
    >>> to_signal(np.array([0.4, 0.5, 0.6]), Task.CLASSIFICATION)
    array([0., 0., 1.])
    >>> to_signal(np.array([-0.001, 0.002]), Task.REGRESSION)
    array([-0.001,  0.002])
    """
    return (prediction > 0.5).astype(np.float64) if task is Task.CLASSIFICATION else prediction  # noqa: PLR2004 - even odds


def is_classifier(pipeline: Pipeline) -> bool:
    """Whether the last step predicts classes."""
    return hasattr(pipeline, "predict_proba")
