"""Every fit of a training, from its plan and its rows: the walk forward, the last model, the other histories.

Pure: nothing here reads or writes a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from training_service.combinatorial import PathScores, combinatorial_scores
from training_service.dataset import Dataset
from training_service.fitting import FittedModel, ModelMaker
from training_service.folds import Fold
from training_service.importance import permutation_importance
from training_service.plan import TrainPlan
from training_service.search import SearchingModelMaker
from training_service.walk import FittedFold, MakeModel, Progress, walk_to_the_end

__all__ = ["Fits", "fit_plan", "fits_of", "model_maker"]


@dataclass(frozen=True)
class Fits:
    """What a training fitted.

    Parameters
    ----------
    folds
        Row numbers of training and test of the walk forward.
    full_model
        Fitted on every labelled row.
    importance
        What the models of the folds lose without each column, as `permutation_importance` gives it.
    paths
        Scores over many histories, if the plan asks for them.
    """

    dataset: Dataset
    folds: list[Fold]
    fitted: list[FittedFold]
    full_model: FittedModel
    importance: pl.DataFrame
    paths: PathScores | None

    def tried(self) -> Iterator[tuple[int | None, Mapping[str, Any]]]:
        """Candidates of every search: number of the fold, None for the last model, and `Tried.as_dict`."""
        models = [(fold.number, fold.facts) for fold in self.fitted]
        for number, facts in [*models, (None, self.full_model.facts)]:
            for one in facts.get("search", {}).get("tried", ()):
                yield number, one


def model_maker(plan: TrainPlan) -> MakeModel:
    """What fits one model of a plan, with its search where there is one."""
    maker = ModelMaker(plan.model, plan.spec.task, plan.seed)
    return maker if plan.search is None else SearchingModelMaker(maker, plan.search)


def fits_of(plan: TrainPlan, data: Dataset) -> int:
    """How many models a plan fits of these rows, without the candidates of its searches."""
    return plan.folds.count(data.frame) + 1 + (0 if plan.combinatorial is None else plan.combinatorial.fits)


def fit_plan(plan: TrainPlan, data: Dataset, *, progress: Progress) -> Fits:
    """Fit everything a plan asks for; errors as in `walk_forward`.

    Parameters
    ----------
    progress
        Called after each fit with its name, how many are done, and how many there are.
    """
    total = fits_of(plan, data)
    folds, make_model = plan.folds.split(data.frame), model_maker(plan)
    # A search shares its own candidates out among the workers.
    workers = None if plan.search is None else 1
    fitted, full_model = walk_to_the_end(
        data, folds, make_model, workers=workers, progress=lambda what, done, _: progress(what, done, total)
    )
    paths = None
    if plan.combinatorial is not None:
        before = len(fitted) + 1
        paths = combinatorial_scores(
            data,
            plan.combinatorial,
            make_model,
            workers=workers,
            progress=lambda what, done, _: progress(f"another history, {what}", before + done, total),
        )
    importance = permutation_importance(data, folds, fitted, seed=plan.seed)
    return Fits(data, folds, fitted, full_model, importance, paths)
