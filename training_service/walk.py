"""The walk forward itself: fit each fold on its past, predict its test, keep what has a label for the scores.

Pure: a dataset comes in, models and predictions go out. Nothing here reads or writes a file.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl
from sklearn.pipeline import Pipeline

from barlake.parallel import run_parallel
from training_service.dataset import Dataset
from training_service.fitting import FittedModel
from training_service.fold_check import check_folds
from training_service.folds import Fold, RowArray
from training_service.models import predict, to_signal
from training_service.outcomes import Outcome, outcome_columns
from training_service.targets import Task

__all__ = ["FittedFold", "MakeModel", "Progress", "fit_folds", "walk_forward", "walk_to_the_end", "workers_worth"]

Fitted = TypeVar("Fitted")

Progress = Callable[[str, int, int], None]
"""Called with what was done, how many steps are done, and how many there are."""

MakeModel = Callable[[pl.DataFrame, Sequence[str]], FittedModel]
"""Given labelled rows of the past and the names of the feature columns, gives a fitted model."""

_WORTH_A_WORKER = 2_000_000
"""Training values, over all folds, from which fitting takes longer than starting worker processes does."""


@dataclass(frozen=True)
class FittedFold:
    """One fold after its fit.

    Parameters
    ----------
    fitted_before
        When the last label of its training became known; in a walk forward never after the first test bar opens.
    empty_columns
        Features without any value in the training, which have no say in its predictions.
    predictions
        One row per test bar, with or without label: symbol, session, timestamp, fold, fitted_before,
        prediction, signal.
    outcome
        The test bars with a label.
    facts
        How the model came about: `FittedModel.facts`.
    """

    number: int
    pipeline: Pipeline
    training_rows: int
    fitted_before: dt.datetime
    empty_columns: tuple[str, ...]
    predictions: pl.DataFrame
    outcome: Outcome
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class _Work:
    """One fit: the rows from its first to its last, which of them are training, and which are test, if any."""

    number: int
    frame: pl.DataFrame
    training: RowArray
    test: RowArray

    @classmethod
    def of(cls, frame: pl.DataFrame, number: int, fold: Fold) -> _Work:
        # A slice shares its memory with the whole: what goes to a worker is this much and no more.
        first, end = (int(found) for found in (min(rows[0] for rows in fold), max(rows[-1] for rows in fold) + 1))
        training, test = (rows - first for rows in fold)
        return cls(number, frame.slice(first, end - first), training, test)

    @property
    def title(self) -> str:
        name = f"fold {self.number}" if self.test.size else "last model"
        return f"{name} fitted on {self.training.size:,} rows"


def walk_forward(
    dataset: Dataset,
    folds: Sequence[Fold],
    make_model: MakeModel,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[FittedFold]:
    """Fit and predict every fold, in the order given, each on what was known before its test.

    Parameters
    ----------
    folds
        Row numbers of training and test, as a splitter gives them; they are checked before anything is fitted.
    make_model
        Fits a model on the training rows of a fold, in the same way each time.
    workers
        As in `run_parallel`; None works in this process where the folds are small.
    progress
        Called after each fold, in the order in which they are done.

    Raises
    ------
    InvalidInputError
        If a fold lacks labels of both classes.
    LookAheadError
        If a training label is known only after its test begins.
    """
    _check(dataset, folds)
    return fit_folds(dataset, folds, make_model, workers=workers, progress=progress)


def fit_folds(
    dataset: Dataset,
    folds: Sequence[Fold],
    make_model: MakeModel,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[FittedFold]:
    """Fit and predict every fold as it stands; parameters as in `walk_forward`.

    For folds that are clean in another way than a walk forward, such as combinatorial ones: prove them with
    `check_folds` first.
    """
    work = _work_of(dataset, folds)
    return _fit_all(work, functools.partial(_fit_fold, *_facts_of(dataset), make_model), dataset, workers, progress)


def walk_to_the_end(
    dataset: Dataset,
    folds: Sequence[Fold],
    make_model: MakeModel,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[list[FittedFold], FittedModel]:
    """A walk forward, and beside it one model of every labelled row, for bars later than all of them.

    Parameters as in `walk_forward`.
    """
    _check(dataset, folds)
    has_label = dataset.frame["label"].is_not_null().to_numpy()
    everything = _Work(len(folds), dataset.frame, np.flatnonzero(has_label), np.array([], dtype=np.intp))
    work = [*_work_of(dataset, folds), everything]
    fit = functools.partial(_fit_fold_or_model, *_facts_of(dataset), make_model)
    *fitted, full_model = _fit_all(work, fit, dataset, workers, progress)
    assert isinstance(full_model, FittedModel)  # noqa: S101 - the one without a test is the last
    return [one for one in fitted if isinstance(one, FittedFold)], full_model


def workers_worth(values: int, workers: int | None) -> int | None:
    """As many as were asked for; where nobody says, this process alone for few training values over all folds."""
    return 1 if workers is None and values < _WORTH_A_WORKER else workers


def _in_double(rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Features as estimators compute: tables hold them in single precision, which is half the memory."""
    return rows.with_columns(pl.col(columns).cast(pl.Float64))


def _check(dataset: Dataset, folds: Sequence[Fold]) -> None:
    frame = dataset.frame
    check_folds(folds, timestamp=frame["timestamp"].to_numpy(), known_at=frame["known_at"].to_numpy())


def _facts_of(dataset: Dataset) -> tuple[str, tuple[str, ...], Task]:
    return dataset.symbol, dataset.columns, dataset.spec.task


def _work_of(dataset: Dataset, folds: Sequence[Fold]) -> list[_Work]:
    frame = pl.concat([dataset.frame, outcome_columns(dataset.frame)], how="horizontal")
    return [_Work.of(frame, number, fold) for number, fold in enumerate(folds)]


def _fit_all(
    work: Sequence[_Work],
    fit: Callable[[_Work], Fitted],
    dataset: Dataset,
    workers: int | None,
    progress: Progress | None,
) -> list[Fitted]:
    """What each fit gives, in the order of the work; the largest fits begin first, so that none is waited for long."""
    values = sum(one.training.size for one in work) * len(dataset.columns)
    order = sorted(range(len(work)), key=lambda number: work[number].training.size, reverse=True)
    done = run_parallel(
        fit,
        [work[number] for number in order],
        workers=workers_worth(values, workers),
        progress=progress,
        name_of=lambda one: one.title,
    )
    results = dict(zip(order, done, strict=True))
    return [results[number] for number in range(len(work))]


def _fit_fold_or_model(
    symbol: str, columns: tuple[str, ...], task: Task, make_model: MakeModel, work: _Work
) -> FittedFold | FittedModel:
    if work.test.size == 0:
        return make_model(_in_double(work.frame[work.training], columns), columns)
    return _fit_fold(symbol, columns, task, make_model, work)


def _fit_fold(symbol: str, columns: tuple[str, ...], task: Task, make_model: MakeModel, work: _Work) -> FittedFold:
    past, future = (_in_double(work.frame[rows], columns) for rows in (work.training, work.test))
    label, model = past["label"].to_numpy(), make_model(past, columns)
    fitted_before = past["known_at"].max()
    assert isinstance(fitted_before, dt.datetime)  # noqa: S101 - narrows polars' Any
    prediction = predict(model.pipeline, future.select(columns))
    predictions = future.select(
        pl.lit(symbol).alias("symbol"),
        "session",
        "timestamp",
        pl.lit(work.number, dtype=pl.Int32).alias("fold"),
        pl.lit(fitted_before, dtype=pl.Datetime("us", "UTC")).alias("fitted_before"),
        pl.Series("prediction", prediction),
        pl.Series("signal", to_signal(prediction, task)),
    )
    outcome = Outcome.of(future, prediction, training_mean=float(label.mean()))
    return FittedFold(
        number=work.number,
        pipeline=model.pipeline,
        training_rows=past.height,
        fitted_before=fitted_before,
        empty_columns=model.empty_columns,
        predictions=predictions,
        outcome=outcome,
        facts=model.facts,
    )
