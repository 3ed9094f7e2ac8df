"""How much each column matters to fitted models: what their score loses when the column's values are shuffled. Pure.

Measured on test rows alone, with each fold's own model: what a column is worth on bars that the model did not see.
Columns that say the same share their worth, and each looks small: a page on the quality of features names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.pipeline import Pipeline

from barlake.parallel import run_parallel
from training_service.dataset import Dataset
from training_service.folds import Fold
from training_service.models import predict
from training_service.targets import Task
from training_service.walk import FittedFold, workers_worth

__all__ = ["IMPORTANCE", "MOST_ROWS", "permutation_importance"]

IMPORTANCE = "importance.parquet"
MOST_ROWS = 1000
"""Test rows of a fold that are looked at, drawn by chance."""

_ROWS_AT_A_TIME = 20_000
_LEAST_PROBABILITY = 1e-15

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Work:
    """One fold's model, and the labelled test rows that it is asked about: its columns and `label`."""

    pipeline: Pipeline
    rows: pl.DataFrame
    task: Task
    seed: tuple[int, int]


def permutation_importance(
    dataset: Dataset,
    folds: Sequence[Fold],
    fitted: Sequence[FittedFold],
    *,
    seed: int,
    workers: int | None = None,
) -> pl.DataFrame:
    """What the models lose without each column, the most important first.

    For each fold the values of one column are shuffled among at most 1,000 labelled test rows, the same way for
    every column, and the fold's model predicts them again. Each fold draws by the seed and its own number, so that
    the bits do not depend on who computes them. Source: Breiman, Random Forests, 2001, section 10; Fisher, Rudin
    and Dominici, All Models are Wrong, but Many are Useful, 2019.

    Parameters
    ----------
    workers
        As in `walk_forward`: None works in this process where the folds are small.

    Returns
    -------
    feature, importance (rise of the log loss in nats, or fall of R2 for a value; the mean over folds; below 0 where
    the shuffled column did better), importance_deviation (over folds, n - 1; null with one fold),
    importance_by_fold (list in the order of the folds; null for one without labelled test rows), loss (with nothing
    shuffled, the mean over folds: log loss, or 1 - R2), folds (how many had labelled test rows).
    """
    chosen = [_labelled(dataset, folds[fold.number][1], np.random.default_rng([seed, fold.number])) for fold in fitted]
    work = [
        _Work(fold.pipeline, rows, dataset.spec.task, (seed, fold.number))
        for fold, rows in zip(fitted, chosen, strict=True)
        if rows.height > 1
    ]
    values = sum(fold.training_rows for fold in fitted) * len(dataset.columns)
    found = iter(run_parallel(_losses, work, workers=workers_worth(values, workers)))
    nothing = np.full(1 + len(dataset.columns), np.nan)
    return _table(dataset.columns, np.array([next(found) if rows.height > 1 else nothing for rows in chosen]))


def _table(columns: Sequence[str], losses: FloatArray) -> pl.DataFrame:
    """One row for each column, from losses by fold as `_losses` gives them, NaN where there are none."""
    known = losses[~np.isnan(losses[:, 0])]
    count, nothing = len(known), np.full(len(columns), np.nan)
    rises = known[:, 1:] - known[:, :1]
    by_fold = pl.Series((losses[:, 1:] - losses[:, :1]).T.tolist(), dtype=pl.List(pl.Float64))
    found = pl.DataFrame(
        {
            "feature": list(columns),
            "importance": rises.mean(axis=0) if count else nothing,
            "importance_deviation": rises.std(axis=0, ddof=1) if count > 1 else nothing,
            "importance_by_fold": by_fold.list.eval(pl.element().fill_nan(None)),
            "loss": np.full(len(columns), known[:, 0].mean() if count else np.nan),
            "folds": np.full(len(columns), count, dtype=np.int64),
        }
    )
    numbers = pl.col("importance", "importance_deviation", "loss").fill_nan(None)
    return found.with_columns(numbers).sort("importance", descending=True, nulls_last=True, maintain_order=True)


def _labelled(dataset: Dataset, test: npt.NDArray[np.int64], draw: np.random.Generator) -> pl.DataFrame:
    """Some of a fold's test rows that have a label, in time order."""
    has_label = dataset.frame["label"].is_not_null().to_numpy()
    rows = test[has_label[test]]
    if rows.size > MOST_ROWS:
        rows = np.sort(draw.choice(rows, MOST_ROWS, replace=False))
    features = pl.col(dataset.columns).cast(pl.Float64)
    chosen: pl.DataFrame = dataset.frame[rows]
    return chosen.select(features, pl.col("label").cast(pl.Float64))


def _losses(work: _Work) -> FloatArray:
    """The loss over the rows as they are, then for each column that with its values shuffled."""
    label, features = work.rows["label"].to_numpy(), work.rows.drop("label")
    shuffled = features[np.random.default_rng([*work.seed, 1]).permutation(label.size)]
    found = [_loss(predict(work.pipeline, features), label, work.task)]
    for some in _groups(features.columns, max(_ROWS_AT_A_TIME // label.size, 1)):
        stacked = pl.concat(features.with_columns(shuffled[name]) for name in some)
        predicted = predict(work.pipeline, stacked).reshape(len(some), label.size)
        found += [_loss(one, label, work.task) for one in predicted]
    return np.array(found)


def _groups(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    yield from (names[first : first + size] for first in range(0, len(names), size))


def _loss(predicted: FloatArray, label: FloatArray, task: Task) -> float:
    """Log loss of probabilities; of values the mean squared error as a share of the label's variance."""
    if task is Task.CLASSIFICATION:
        right = np.where(label > 0, predicted, 1 - predicted)
        return float(-np.log(np.maximum(right, _LEAST_PROBABILITY)).mean())
    variance = float(label.var())
    return float(((predicted - label) ** 2).mean()) / variance if variance else 0.0
