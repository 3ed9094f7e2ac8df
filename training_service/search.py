"""Parameter search inside the training rows: every candidate is judged by a purged walk forward of its own.

The rows of the fold's test are not here at all. Candidates and inner folds go through the house's workers, and
which of them finishes first changes nothing: the same rows, space and seed give the same best parameters on
every backend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.metrics import log_loss, mean_squared_error

from barlake.errors import InvalidInputError
from barlake.parallel import run_parallel
from training_service.candidates import all_combinations, candidates_of
from training_service.fitting import FittedModel, ModelMaker
from training_service.fold_check import check_folds
from training_service.folds import Fold, WalkForward
from training_service.models import make_pipeline, predict, set_parameters
from training_service.search_space import Parameters, Range, SearchKind, SearchSpec, Space
from training_service.targets import Task

__all__ = ["SearchResult", "SearchingModelMaker", "Tried", "search_parameters"]

FloatArray = npt.NDArray[np.float64]

_KEPT = 3
"""Halving keeps one candidate in so many, and gives it so many times the rows."""

_PROPOSED_AT_ONCE = 4
"""Candidates Optuna proposes before it hears of any: a fixed number, so that workers do not change what it sees."""


@dataclass(frozen=True)
class Tried:
    """One candidate and how it did.

    Parameters
    ----------
    share
        Of the inner training rows it was fitted on, the newest ones; 1 but in the early rounds of halving.
    loss
        Mean over the inner folds of the log loss (natural) or the mean squared error; None if it failed.
    error
        Why it failed.
    """

    parameters: Parameters
    share: float
    fits: int
    loss: float | None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the candidate as JSON can hold it."""
        return {
            "parameters": dict(self.parameters),
            "share": self.share,
            "fits": self.fits,
            "loss": self.loss,
            "error": self.error,
        }


@dataclass(frozen=True)
class SearchResult:
    """The parameters with the least loss, and everything that was tried, failed ones too, in order."""

    best: Parameters
    loss: float
    tried: tuple[Tried, ...]


@dataclass(frozen=True)
class SearchingModelMaker:
    """Finds parameters on the rows it is given, then fits a model with them on the same rows."""

    maker: ModelMaker
    search: SearchSpec
    workers: int | None = None
    backend: str | None = None

    def __call__(self, past: pl.DataFrame, columns: Sequence[str]) -> FittedModel:
        """Model with the best parameters; its facts gain `search`: best, loss and tried."""
        found = search_parameters(self.maker, self.search, past, columns, workers=self.workers, backend=self.backend)
        fitted = _with(self.maker, found.best)(past, columns)
        told = {"best": dict(found.best), "loss": found.loss, "tried": [one.as_dict() for one in found.tried]}
        return replace(fitted, facts={**fitted.facts, "search": told})


def search_parameters(
    maker: ModelMaker,
    search: SearchSpec,
    past: pl.DataFrame,
    columns: Sequence[str],
    *,
    workers: int | None = None,
    backend: str | None = None,
) -> SearchResult:
    """Parameters with the least loss in a walk forward inside the past; of equal ones those tried first.

    Parameters
    ----------
    maker
        Makes the models; its own parameters hold where the space says nothing.
    past
        Labelled training rows, oldest first: session, timestamp, label, known_at and the feature columns.
    workers, backend
        As in `barlake.parallel.run_parallel`.

    Raises
    ------
    InvalidInputError
        If the space is empty or names what is no parameter, the rows cannot carry the inner folds, or every
        candidate fails.
    """
    space = search.space or _space_of(maker)
    _require_parameters(maker, space)
    judge = _Judge.of(maker, past, columns, search.inner_folds)
    run = _Run(judge, workers, backend, [])
    if search.kind is SearchKind.HALVING:
        _halve(run, all_combinations(space))
    elif search.kind is SearchKind.OPTUNA:
        _ask_optuna(run, space, search.candidates, maker.seed)
    else:
        run(candidates_of(search, space, maker.seed))
    finished = [one for one in run.tried if one.loss is not None and one.share == 1]
    if not finished:
        raise InvalidInputError(f"every candidate of the search failed, the first one of: {run.tried[0].error}")
    best = min(finished, key=lambda one: one.loss if one.loss is not None else math.inf)
    assert best.loss is not None  # noqa: S101 - only those with a loss are left
    return SearchResult(best.parameters, best.loss, tuple(run.tried))


def _with(maker: ModelMaker, parameters: Parameters) -> ModelMaker:
    return replace(maker, spec=replace(maker.spec, parameters={**maker.spec.parameters, **parameters}))


def _space_of(maker: ModelMaker) -> Space:
    preset = maker.spec.preset
    if preset is None:
        raise InvalidInputError(
            f"search needs a space for {maker.spec.estimator!r}: name parameters and values, such as model__alpha=1,10."
        )
    return preset.space


def _require_parameters(maker: ModelMaker, space: Space) -> None:
    """Raise if the pipeline has no parameter of a name; what a value is good for shows in the fit."""
    pipeline = make_pipeline(maker.spec, maker.task, seed=maker.seed)
    set_parameters(pipeline, dict.fromkeys(space), estimator=maker.spec.estimator)


# --- candidates ----------------------------------------------------------------------------------


def _halve(run: _Run, candidates: list[Parameters]) -> None:
    """Every candidate on few rows, the better third on three times as many, and so on up to all."""
    rounds = math.floor(math.log(len(candidates), _KEPT) + 1e-9)
    for left in range(rounds, -1, -1):
        tried = [one for one in run(candidates, share=_KEPT**-left) if one.loss is not None]
        tried.sort(key=lambda one: one.loss if one.loss is not None else math.inf)
        candidates = [one.parameters for one in tried[: math.ceil(len(candidates) / _KEPT)]]
        if not candidates:
            return


def _ask_optuna(run: _Run, space: Space, candidates: int, seed: int) -> None:
    try:
        import optuna  # noqa: PLC0415 - the library of an extra
    except ImportError as error:
        raise InvalidInputError(
            "search 'optuna' needs a library that is not installed: run `pip install 'barlake[optuna]'`, or use random."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
    for first in range(0, candidates, _PROPOSED_AT_ONCE):
        trials = [study.ask() for _ in range(min(_PROPOSED_AT_ONCE, candidates - first))]
        for trial, one in zip(trials, run([_suggest(trial, space) for trial in trials]), strict=True):
            if one.loss is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, one.loss)


def _suggest(trial: Any, space: Space) -> Parameters:
    given = {}
    for name, values in space.items():
        if not isinstance(values, Range):
            given[name] = trial.suggest_categorical(name, list(values))
        elif values.is_whole:
            given[name] = trial.suggest_int(name, int(values.low), int(values.high), log=values.is_log)
        else:
            given[name] = trial.suggest_float(name, values.low, values.high, log=values.is_log)
    return given


# --- judging -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    parameters: Parameters
    fold: int
    share: float


@dataclass(frozen=True)
class _Judge:
    """Fits and judges one candidate on one inner fold; goes to the workers.

    The features are one array because joblib hands a large array to all workers of a machine through one file.
    """

    maker: ModelMaker
    keys: pl.DataFrame
    features: FloatArray
    columns: tuple[str, ...]
    folds: tuple[Fold, ...]

    @classmethod
    def of(cls, maker: ModelMaker, past: pl.DataFrame, columns: Sequence[str], inner_folds: int) -> _Judge:
        timestamp, known_at = past["timestamp"].to_numpy(), past["known_at"].to_numpy()
        splitter = WalkForward(inner_folds, timestamp=timestamp, known_at=known_at)
        folds = tuple(splitter.split(past, groups=past["session"].to_numpy()))
        check_folds(folds, timestamp=timestamp, known_at=known_at)
        keys = past.select("session", "timestamp", "label", "known_at")
        return cls(maker, keys, past.select(columns).to_numpy(), tuple(columns), folds)

    def __call__(self, job: _Job) -> float | str:
        """Loss of the candidate, or why it failed."""
        training, test = self.folds[job.fold]
        training = training[-max(1, round(training.size * job.share)) :]
        try:
            fitted = _with(self.maker, job.parameters)(self._rows(training), self.columns)
        except InvalidInputError as refusal:
            return str(refusal)
        rows = self._rows(test)
        return _loss(rows["label"].to_numpy(), predict(fitted.pipeline, rows.select(self.columns)), self.maker.task)

    def _rows(self, rows: npt.NDArray[np.intp]) -> pl.DataFrame:
        features = pl.DataFrame(self.features[rows], schema=list(self.columns)).fill_nan(None)
        return pl.concat([self.keys[rows], features], how="horizontal")


@dataclass(frozen=True)
class _Run:
    """Tries candidates and keeps what came of each."""

    judge: _Judge
    workers: int | None
    backend: str | None
    tried: list[Tried]

    def __call__(self, candidates: Sequence[Parameters], share: float = 1.0) -> list[Tried]:
        folds = range(len(self.judge.folds))
        jobs = [_Job(parameters, fold, share) for parameters in candidates for fold in folds]
        losses = run_parallel(self.judge, jobs, workers=self.workers, backend=self.backend)
        done = [
            _tried(parameters, share, losses[number * len(folds) : (number + 1) * len(folds)])
            for number, parameters in enumerate(candidates)
        ]
        self.tried.extend(done)
        return done


def _tried(parameters: Parameters, share: float, losses: Sequence[float | str]) -> Tried:
    errors = [one for one in losses if isinstance(one, str)]
    if errors:
        return Tried(parameters, share, len(losses), None, errors[0])
    return Tried(parameters, share, len(losses), float(np.mean([one for one in losses if not isinstance(one, str)])))


def _loss(label: FloatArray, prediction: FloatArray, task: Task) -> float:
    if task is Task.CLASSIFICATION:
        return float(log_loss(label, prediction, labels=[0.0, 1.0]))
    return float(mean_squared_error(label, prediction))
