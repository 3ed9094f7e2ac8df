"""How many iterations boosted trees should make, learned from a stretch that the trees have not seen.

Each library stops by itself when it is given rows to watch; none is left to draw them. What is learned is a
number only: the trees are then fitted again on every row with that number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from barlake.errors import InvalidInputError

__all__ = ["best_iterations", "require_stoppable"]

FloatArray = npt.NDArray[np.float64]

_PATIENCE = 10
"""Iterations without a better loss after which none is expected any more."""


def best_iterations(
    pipeline: Pipeline, columns: tuple[pl.DataFrame, pl.DataFrame], label: tuple[FloatArray, FloatArray]
) -> tuple[str, int]:
    """Name of the parameter that holds the number of iterations, and the number with the least loss.

    Parameters
    ----------
    pipeline
        Unfitted, and left so; its last step makes at most as many iterations as it is set to.
    columns, label
        What to learn from, then what to watch.

    Raises
    ------
    InvalidInputError
        If the last step is no boosted tree that can stop early.
    """
    trial = clone(pipeline)
    name, model = trial.steps[-1]
    parameter, stop = _stopper(model)
    with threadpool_limits(limits=1):
        learned, watched = columns
        if len(trial) > 1:
            before = trial[:-1]
            learned, watched = before.fit_transform(learned, label[0]), before.transform(watched)
        return f"{name}__{parameter}", max(1, stop(model, (learned, label[0]), (watched, label[1])))


def require_stoppable(model: Any) -> None:
    """Raise `InvalidInputError` unless a model makes iterations that can be stopped early."""
    _stopper(model)


Rows = tuple[Any, FloatArray]


def _hist_gradient_boosting(model: Any, learned: Rows, watched: Rows) -> int:
    model.set_params(early_stopping=True, n_iter_no_change=_PATIENCE, scoring="loss")
    model.fit(*learned, X_val=watched[0], y_val=watched[1])
    # The first figure is that of no tree at all; the figures are losses with a minus.
    return int(np.argmax(model.validation_score_))


def _lightgbm(model: Any, learned: Rows, watched: Rows) -> int:
    from lightgbm import early_stopping  # noqa: PLC0415 - the library of an extra

    model.fit(*learned, eval_X=watched[0], eval_y=watched[1], callbacks=[early_stopping(_PATIENCE, verbose=False)])
    return int(model.best_iteration_)


def _xgboost(model: Any, learned: Rows, watched: Rows) -> int:
    model.set_params(early_stopping_rounds=_PATIENCE)
    model.fit(*learned, eval_set=[watched], verbose=False)
    return int(model.best_iteration) + 1


_STOPPERS: dict[str, tuple[str, Callable[[Any, Rows, Rows], int]]] = {
    "HistGradientBoosting": ("max_iter", _hist_gradient_boosting),
    "LGBM": ("n_estimators", _lightgbm),
    "XGB": ("n_estimators", _xgboost),
}
"""By the beginning of the class's name, which the kinds of one library share."""


def _stopper(model: Any) -> tuple[str, Callable[[Any, Rows, Rows], int]]:
    kind = type(model).__name__
    for beginning, stopper in _STOPPERS.items():
        if kind.startswith(beginning):
            return stopper
    raise InvalidInputError(
        f"early_stopping is for boosted trees, {kind} makes no iterations that a stretch can stop: leave it out, or "
        "use hist_gradient_boosting, lightgbm or xgboost."
    )
