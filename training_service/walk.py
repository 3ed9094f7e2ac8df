"""The walk forward itself: fit each fold on its past, predict its test, score what has a label.

Pure: a dataset comes in, models and predictions go out. Nothing here reads or writes a file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.pipeline import Pipeline

from training_service.dataset import Dataset
from training_service.folds import Fold, WalkForward, check_folds
from training_service.labels import Target
from training_service.models import Estimator, fit_pipeline, make_pipeline, predict, to_signal
from training_service.scores import Outcome

__all__ = ["FittedFold", "Progress", "fit_on_everything", "walk_forward"]

Progress = Callable[[str, int, int], None]
"""Called with what was done, how many steps are done, and how many there are."""


@dataclass(frozen=True)
class FittedFold:
    """One fold after its fit.

    Parameters
    ----------
    fitted_before
        When the last label of its training became known; never after the first test bar opens.
    empty_columns
        Features without any value in the training, which have no say in its predictions.
    predictions
        One row per test bar, with or without label: symbol, session, timestamp, fold, fitted_before,
        prediction, signal.
    outcome
        The test bars with a label.
    """

    number: int
    pipeline: Pipeline
    training_rows: int
    fitted_before: dt.datetime
    empty_columns: tuple[str, ...]
    predictions: pl.DataFrame
    outcome: Outcome


def walk_forward(
    dataset: Dataset,
    *,
    target: Target,
    estimator: Estimator,
    n_folds: int,
    seed: int,
    whole_sessions: bool = True,
    progress: Progress | None = None,
) -> list[FittedFold]:
    """Fit and predict every fold, oldest first.

    Parameters
    ----------
    whole_sessions
        Whether folds begin at the first bar of a session; otherwise anywhere.
    progress
        Called after each fold.

    Raises
    ------
    InvalidInputError
        If there are too few sessions for the folds, or a fold lacks labels of both directions.
    LookAheadError
        If a training label reaches into the test.
    """
    frame = dataset.frame
    timestamp, known_at = frame["timestamp"].to_numpy(), frame["known_at"].to_numpy()
    splitter = WalkForward(n_folds, timestamp=timestamp, known_at=known_at)
    sessions = frame["session"].to_numpy() if whole_sessions else None
    folds = list(splitter.split(frame, groups=sessions))
    check_folds(folds, timestamp=timestamp, known_at=known_at)
    fitted = []
    for number, fold in enumerate(folds):
        pipeline = make_pipeline(estimator, target, seed=seed)
        fitted.append(_fit_fold(dataset, pipeline, target, number, fold))
        if progress is not None:
            progress(f"fold {number} fitted on {fold[0].size:,} rows", number + 1, len(folds))
    return fitted


def fit_on_everything(dataset: Dataset, *, target: Target, estimator: Estimator, seed: int) -> Pipeline:
    """One model fitted on every labelled row, for bars later than all of them."""
    labelled = dataset.frame.filter(pl.col("label").is_not_null())
    pipeline = make_pipeline(estimator, target, seed=seed)
    fit_pipeline(pipeline, labelled.select(dataset.columns), labelled["label"].to_numpy())
    return pipeline


def _fit_fold(dataset: Dataset, pipeline: Pipeline, target: Target, number: int, fold: Fold) -> FittedFold:
    past, future = (dataset.frame[rows] for rows in fold)
    label = past["label"].to_numpy()
    empty_columns = fit_pipeline(pipeline, past.select(dataset.columns), label)
    fitted_before = past["known_at"].max()
    assert isinstance(fitted_before, dt.datetime)  # noqa: S101 - narrows polars' Any
    prediction = predict(pipeline, future.select(dataset.columns))
    predictions = future.select(
        pl.lit(dataset.symbol).alias("symbol"),
        "session",
        "timestamp",
        pl.lit(number, dtype=pl.Int32).alias("fold"),
        pl.lit(fitted_before, dtype=pl.Datetime("us", "UTC")).alias("fitted_before"),
        pl.Series("prediction", prediction),
        pl.Series("signal", to_signal(prediction, target)),
    )
    has_label = future["label"].is_not_null().to_numpy()
    known = future["label"].to_numpy()[has_label]
    outcome = Outcome(known, prediction[has_label], np.full(known.size, label.mean()))
    return FittedFold(number, pipeline, past.height, fitted_before, empty_columns, predictions, outcome)
