"""The walk forward itself: fit each fold on its past, predict its test, score what has a label.

Pure: a dataset comes in, models and predictions go out. Nothing here reads or writes a file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.pipeline import Pipeline

from training_service.dataset import Dataset
from training_service.fold_check import check_folds
from training_service.folds import Fold
from training_service.models import fit_pipeline, predict, to_signal
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
    folds: Sequence[Fold],
    make_model: Callable[[], Pipeline],
    *,
    progress: Progress | None = None,
) -> list[FittedFold]:
    """Fit and predict every fold, in the order given.

    Parameters
    ----------
    folds
        Row numbers of training and test, as a splitter gives them; they are checked before anything is fitted.
    make_model
        Makes an unfitted pipeline, the same each time.
    progress
        Called after each fold.

    Raises
    ------
    InvalidInputError
        If a fold lacks labels of both classes.
    LookAheadError
        If a training label reaches into the test.
    """
    frame = dataset.frame
    check_folds(folds, timestamp=frame["timestamp"].to_numpy(), known_at=frame["known_at"].to_numpy())
    fitted = []
    for number, fold in enumerate(folds):
        fitted.append(_fit_fold(dataset, make_model(), number, fold))
        if progress is not None:
            progress(f"fold {number} fitted on {fold[0].size:,} rows", number + 1, len(folds))
    return fitted


def fit_on_everything(dataset: Dataset, make_model: Callable[[], Pipeline]) -> Pipeline:
    """One model fitted on every labelled row, for bars later than all of them."""
    labelled = dataset.frame.filter(pl.col("label").is_not_null())
    pipeline = make_model()
    fit_pipeline(pipeline, labelled.select(dataset.columns), labelled["label"].to_numpy())
    return pipeline


def _fit_fold(dataset: Dataset, pipeline: Pipeline, number: int, fold: Fold) -> FittedFold:
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
        pl.Series("signal", to_signal(prediction, dataset.spec.task)),
    )
    has_label = future["label"].is_not_null().to_numpy()
    known = future["label"].to_numpy()[has_label]
    outcome = Outcome(known, prediction[has_label], np.full(known.size, label.mean()))
    return FittedFold(number, pipeline, past.height, fitted_before, empty_columns, predictions, outcome)
