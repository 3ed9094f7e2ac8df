"""How much each column matters to fitted models: what their score loses when the column's values are shuffled. Pure.

Measured on test rows alone, with each fold's own model: what a column is worth on bars that the model did not see.
Columns that say the same share their worth, and each looks small: a page on the quality of features names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from training_service.dataset import Dataset
from training_service.folds import Fold
from training_service.models import predict
from training_service.targets import Task
from training_service.walk import FittedFold

__all__ = ["IMPORTANCE", "MOST_ROWS", "permutation_importance"]

IMPORTANCE = "importance.parquet"
MOST_ROWS = 1000
"""Test rows of a fold that are looked at, drawn by chance."""

_ROWS_AT_A_TIME = 20_000
_LEAST_PROBABILITY = 1e-15

FloatArray = npt.NDArray[np.float64]


def permutation_importance(
    dataset: Dataset, folds: Sequence[Fold], fitted: Sequence[FittedFold], *, seed: int
) -> pl.DataFrame:
    """What the models lose without each column, the most important first.

    For each fold the values of one column are shuffled among at most 1,000 labelled test rows, the same way for
    every column, and the fold's model predicts them again. Source: Breiman, Random Forests, 2001, section 10;
    Fisher, Rudin and Dominici, All Models are Wrong, but Many are Useful, 2019.

    Returns
    -------
    feature, importance (rise of the log loss in nats, or fall of R2 for a value; the mean over folds; below 0 where
    the shuffled column did better), importance_deviation (over folds, n - 1; null with one fold), folds (how many
    had a labelled test row).
    """
    draw = np.random.default_rng(seed)
    losses = [
        _losses(dataset, rows, fold, draw)
        for fold in fitted
        if (rows := _labelled(dataset, folds[fold.number][1], draw)).height > 1
    ]
    count = len(losses)
    table = np.array(losses).reshape(count, len(dataset.columns))
    deviation = table.std(axis=0, ddof=1) if count > 1 else np.full(table.shape[1], np.nan)
    found = pl.DataFrame(
        {
            "feature": list(dataset.columns),
            "importance": table.mean(axis=0) if count else np.full(table.shape[1], np.nan),
            "importance_deviation": deviation,
            "folds": np.full(table.shape[1], count, dtype=np.int64),
        }
    )
    return found.fill_nan(None).sort("importance", descending=True, nulls_last=True, maintain_order=True)


def _labelled(dataset: Dataset, test: npt.NDArray[np.int64], draw: np.random.Generator) -> pl.DataFrame:
    """Some of a fold's test rows that have a label, in time order."""
    has_label = dataset.frame["label"].is_not_null().to_numpy()
    rows = test[has_label[test]]
    if rows.size > MOST_ROWS:
        rows = np.sort(draw.choice(rows, MOST_ROWS, replace=False))
    features = pl.col(dataset.columns).cast(pl.Float64)
    chosen: pl.DataFrame = dataset.frame[rows]
    return chosen.select(features, pl.col("label").cast(pl.Float64))


def _losses(dataset: Dataset, rows: pl.DataFrame, fold: FittedFold, draw: np.random.Generator) -> FloatArray:
    """By column, how much larger the loss is with its values shuffled."""
    label = rows["label"].to_numpy()
    features = rows.select(dataset.columns)
    shuffled = features[draw.permutation(rows.height)]
    plain = _loss(predict(fold.pipeline, features), label, dataset.spec.task)
    found = []
    for some in _groups(dataset.columns, max(_ROWS_AT_A_TIME // rows.height, 1)):
        stacked = pl.concat(features.with_columns(shuffled[name]) for name in some)
        predicted = predict(fold.pipeline, stacked).reshape(len(some), rows.height)
        found += [_loss(one, label, dataset.spec.task) - plain for one in predicted]
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
