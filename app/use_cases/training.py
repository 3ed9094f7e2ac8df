"""From a plain request to a training in the queue: options checked against the lake, one job for one question."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from app.jobs.job import Job
from app.jobs.queue import JobQueue
from app.use_cases.research_jobs import research_job
from barlake.errors import InvalidInputError
from barlake.feature_tables import feature_tables_of
from barlake.keys import Adjustment, SessionFilter
from barlake.lake import Lake
from training_service.labels import Target, TargetSpec
from training_service.options import train_arguments
from training_service.own_pipelines import is_import_path
from training_service.plan import TrainPlan, make_plan
from training_service.presets import PRESETS
from training_service.targets import Task
from training_service.train import train
from training_service.worth import require_runs

__all__ = ["estimators_for", "plan_training", "queue_training", "trainable", "training_job"]

_KNOWN = {*inspect.signature(train_arguments).parameters, *inspect.signature(train).parameters} - {
    "lake", "symbols", "progress", "rest", "target_parameters",
}  # fmt: skip
"""Options of a training, as both command lines name them."""


def queue_training(lake: Lake, queue: JobQueue, symbols: Sequence[str], options: Mapping[str, Any]) -> str:
    """Id of the job that trains; one that waits or runs for the same options is that job. Errors as `plan_training`.

    What was done before is asked for anew: where neither bars nor code changed, the job finds the model again.
    """
    return queue.put(training_job(lake, symbols, options), force=True)


def training_job(lake: Lake, symbols: Sequence[str], options: Mapping[str, Any]) -> Job:
    """The job of a training; parameters and errors as in `plan_training`."""
    plan = plan_training(lake, symbols, options)
    return research_job("train", plan.symbols, options)


def plan_training(lake: Lake, symbols: Sequence[str], options: Mapping[str, Any]) -> TrainPlan:
    """The plan that a training with these options would carry out, so that a mistake is told before anything waits.

    Parameters
    ----------
    symbols
        The symbol to predict first, then context symbols.
    options
        As JSON can hold them, by the names of `training_service.options.train_arguments` and those of `train` that
        these pass on; what is absent is at its default.

    Raises
    ------
    InvalidInputError
        If an option is not known or not allowed, or names code of one's own: that is run from the command line only.
    NotFoundError
        If a symbol has no bars or no feature table; the message has the command that makes them.
    """
    chosen = {name: value for name, value in options.items() if value is not None}
    if unknown := sorted(chosen.keys() - _KNOWN):
        raise InvalidInputError(f"option {unknown[0]!r} is none: a training takes {', '.join(sorted(_KNOWN))}.")
    _require_preset(chosen)
    return _plan(lake, symbols, **train_arguments(**chosen))


def _plan(
    lake: Lake,
    symbols: Sequence[str],
    *,
    target: str = Target.DIRECTION,
    horizon: int | str = 5,
    task: str | None = None,
    target_parameters: Mapping[str, float] | None = None,
    estimator: Any,
    feature_set: str = "core",
    session: str = SessionFilter.REGULAR,
    adjustment: str = Adjustment.RAW,
    feed: str | None = None,
    seed: int = 0,
    placebo: int = 0,
    **rest: Any,
) -> TrainPlan:
    """With the defaults of `train`, which the job leaves to it."""
    require_runs(placebo)
    spec = TargetSpec.parse(target, horizon, task=task, parameters=target_parameters)
    return make_plan(
        lake, symbols, spec=spec, model=estimator, feature_set=feature_set, session=session, adjustment=adjustment,
        feed=feed, seed=seed, **rest,
    )  # fmt: skip


def _require_preset(options: Mapping[str, Any]) -> None:
    """Whoever may queue a job may not thereby run code of his choice in a worker."""
    estimator = options.get("estimator", "")
    if not isinstance(estimator, str) or is_import_path(estimator):
        raise InvalidInputError(
            f"estimator {estimator!r} is code of your own, which is run from the command line only: use one of "
            f"{', '.join(PRESETS)}, or `barlake train --estimator` on the machine itself."
        )


def trainable(lake: Lake) -> pl.DataFrame:
    """What a model could learn from: one row for each symbol of each feature set, the newest build of each.

    Returns
    -------
    name (of the set), feed, session (hours), adjustment, symbol, rows, first, last (UTC), sorted by the first five.
    """
    builds = feature_tables_of(lake).versions()
    alike = ["name", "feed", "session", "adjustment", "symbol"]
    newest = builds.sort("created_at").group_by(alike, maintain_order=True).last()
    # A table that says nothing of its prices holds them as they were traded.
    return (
        newest.select(*alike, "rows", "first", "last")
        .with_columns(pl.col("adjustment").fill_null(Adjustment.RAW.value))
        .sort(alike)
    )


def estimators_for(target: str, task: str | None = None) -> list[str]:
    """Presets that can learn a target, as the task given or the one that it usually is.

    Examples
    --------
    >>> "ridge" in estimators_for("return"), "logistic" in estimators_for("return")
    (True, False)
    """
    chosen: Task = TargetSpec.parse(target, 1, task=task).task
    return [name for name, preset in PRESETS.items() if chosen in preset.tasks]
