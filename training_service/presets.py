"""The models that come with the house: the last step of a pipeline, and what has to be done before it.

A preset is a plain scikit-learn estimator with settings that suit minute bars: labels that overlap, much
noise, little to learn. LightGBM and XGBoost are extras; their own estimators are taken as they are.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge

from barlake.errors import InvalidInputError
from training_service.targets import Task

__all__ = ["DEFAULT_PRESET", "PRESETS", "Preset"]

DEFAULT_PRESET = "hist_gradient_boosting"
"""Needs no extra, no scaling and no imputing, and learns what a missing value says."""

_THREADS = 1
"""Sums depend on how many threads share them: one thread inside an estimator, same bits everywhere."""

_LEAF_ROWS = 200
"""Least rows of a leaf: a leaf of a few minutes is noise."""


_FOREST_SHARE = 0.25
"""Of the rows, for each tree of a forest."""


@dataclass(frozen=True)
class Preset:
    """One kind of model.

    Parameters
    ----------
    tasks
        What it can do.
    make
        Unfitted estimator for a task and a seed.
    takes_missing
        Whether it learns from missing values and minds no scale; otherwise columns are scaled and imputed.
    space
        Values a parameter search tries when none are named.
    """

    name: str
    tasks: frozenset[Task]
    make: Callable[[Task, int], Any]
    takes_missing: bool
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def _logistic(_task: Task, _seed: int) -> Any:
    # Exact second-order steps: indicators are close to collinear, where gradient steps crawl.
    return LogisticRegression(solver="newton-cholesky")


def _ridge(_task: Task, _seed: int) -> Any:
    return Ridge()


def _random_forest(task: Task, seed: int) -> Any:
    kind = RandomForestClassifier if task is Task.CLASSIFICATION else RandomForestRegressor
    # Labels of neighbouring minutes overlap: trees that see few of the rows each are less alike.
    return kind(
        n_estimators=100,
        max_depth=8,
        min_samples_leaf=round(_LEAF_ROWS * _FOREST_SHARE),
        max_features="sqrt",
        max_samples=_FOREST_SHARE,
        n_jobs=_THREADS,
        random_state=seed,
    )


def _hist_gradient_boosting(task: Task, seed: int) -> Any:
    kind = HistGradientBoostingClassifier if task is Task.CLASSIFICATION else HistGradientBoostingRegressor
    return kind(
        max_iter=100,
        learning_rate=0.05,
        max_leaf_nodes=15,
        min_samples_leaf=_LEAF_ROWS,
        # Its own early stopping holds out rows at random, whose labels overlap those it trains on.
        early_stopping=False,
        random_state=seed,
    )


def _lightgbm(task: Task, seed: int) -> Any:
    library = _extra("lightgbm")
    kind = library.LGBMClassifier if task is Task.CLASSIFICATION else library.LGBMRegressor
    return kind(
        n_estimators=100,
        learning_rate=0.05,
        num_leaves=15,
        min_child_samples=_LEAF_ROWS,
        n_jobs=_THREADS,
        deterministic=True,
        force_row_wise=True,
        random_state=seed,
        verbose=-1,
    )


def _xgboost(task: Task, seed: int) -> Any:
    library = _extra("xgboost")
    kind = library.XGBClassifier if task is Task.CLASSIFICATION else library.XGBRegressor
    # The weight of a row in a leaf is its second derivative: 1/4 at even odds, 1 for a squared error.
    leaf_weight = _LEAF_ROWS / 4 if task is Task.CLASSIFICATION else _LEAF_ROWS
    return kind(
        n_estimators=100,
        learning_rate=0.05,
        max_depth=4,
        min_child_weight=leaf_weight,
        tree_method="hist",
        n_jobs=_THREADS,
        random_state=seed,
    )


def _extra(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InvalidInputError(
            f"estimator {name!r} needs a library that is not installed: run `pip install 'barlake[{name}]'`, "
            f"or use {DEFAULT_PRESET}."
        ) from error


_BOTH = frozenset(Task)
_TREES = {"learning_rate": (0.02, 0.05, 0.1)}

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("logistic", frozenset({Task.CLASSIFICATION}), _logistic, False, {"C": (1e-4, 1e-3, 1e-2, 1e-1, 1.0)}),
        Preset("ridge", frozenset({Task.REGRESSION}), _ridge, False, {"alpha": (1.0, 1e2, 1e3, 1e4, 1e5)}),
        Preset(
            "random_forest",
            _BOTH,
            _random_forest,
            True,
            {"max_depth": (4, 8), "min_samples_leaf": (25, 50, 100)},
        ),
        Preset(
            "hist_gradient_boosting", _BOTH, _hist_gradient_boosting, True, {**_TREES, "max_leaf_nodes": (7, 15, 31)}
        ),
        Preset("lightgbm", _BOTH, _lightgbm, True, {**_TREES, "num_leaves": (7, 15, 31)}),
        Preset("xgboost", _BOTH, _xgboost, True, {**_TREES, "max_depth": (3, 4, 6)}),
    )
}
"""Every preset by its name."""
