"""Train a model: read feature tables, walk forward, keep models and predictions as one artifact.

The artifact holds `predictions.parquet` (symbol, session, timestamp, fold, fitted_before, prediction,
signal: every bar of the out-of-sample period that has features), one `fold-00.joblib` per fold,
`folds.parquet` (row ranges of training and test), `model.joblib` fitted on everything, `card.html` for eyes,
and the manifest with options, inputs and scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from barlake.artifacts import code_hash
from barlake.durable import storage_errors
from barlake.errors import ConflictError
from barlake.keys import ArtifactKind, SessionFilter
from barlake.lake import Lake
from barlake.trials import Attempt, TrialKind
from training_service import (
    baselines,
    bootstrap,
    dataset,
    fitting,
    fold_check,
    fold_ranges,
    fold_spec,
    folds,
    labels,
    models,
    outcomes,
    own_pipelines,
    presets,
    report,
    scores,
    search,
    search_space,
    stopping,
    stretches,
    targets,
    walk,
)
from training_service.card import write_card
from training_service.dataset import Dataset, make_dataset
from training_service.fitting import FittedModel, ModelMaker
from training_service.fold_ranges import fold_table
from training_service.fold_spec import FoldSpec
from training_service.labels import Target, TargetSpec
from training_service.model_files import FULL_MODEL, fold_file, save_model
from training_service.models import ModelSpec
from training_service.outcomes import Outcome, session_returns
from training_service.plan import TrainPlan, feature_inputs, feature_tables_of, make_plan
from training_service.presets import DEFAULT_PRESET
from training_service.report import TrainReport, results_of
from training_service.search import SearchingModelMaker
from training_service.search_space import SearchSpec
from training_service.walk import FittedFold, MakeModel, Progress, fit_on_everything, walk_forward

__all__ = ["FOLDS", "PREDICTIONS", "model_maker", "read_dataset", "train"]

PREDICTIONS = "predictions.parquet"
FOLDS = "folds.parquet"
_CODE = (
    baselines,
    bootstrap,
    dataset,
    fitting,
    fold_check,
    fold_ranges,
    fold_spec,
    folds,
    labels,
    models,
    outcomes,
    own_pipelines,
    presets,
    report,
    scores,
    search,
    search_space,
    stopping,
    stretches,
    targets,
    walk,
)
"""The modules that decide a model's numbers; a change in one of them makes another model."""


def train(
    lake: Lake,
    symbols: str | Iterable[str],
    *,
    target: str = Target.DIRECTION,
    horizon: int | str = 5,
    task: str | None = None,
    target_parameters: Mapping[str, float] | None = None,
    estimator: str | ModelSpec = DEFAULT_PRESET,
    search: SearchSpec | None = None,
    folds: int | FoldSpec = 5,
    feature_set: str = "core",
    session: str = SessionFilter.REGULAR,
    feed: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainReport:
    """Train on the first symbol with the others as context, and predict it walk-forward.

    The same feature tables, options, code and scikit-learn version give the same id; a model that exists is
    reported and nothing is written. Every training that begins is in the ledger of trials, whatever comes of it.

    Parameters
    ----------
    symbols
        The symbol to predict first; a list, or one text with commas.
    target
        `direction`, `return`, `scaled_return` or `triple_barrier`.
    horizon
        Minutes the label looks ahead; `close`: to the close of the session.
    task, target_parameters
        As in `TargetSpec.parse`.
    estimator
        A preset or the import path of one's own, with its settings as they come; a `ModelSpec` says more.
    search
        Looks for parameters inside the training rows of every fold, and of the model fitted on everything.
    folds
        How many walk-forward tests; together they cover all but about 1 / (folds + 1) of the sessions. A
        `FoldSpec` says more.
    feature_set, session
        Which feature tables: the newest build of this set over these hours.
    feed
        None takes `sip` before `iex` before the only other feed that holds every symbol.
    progress
        Called with what was done, how many steps are done, and how many there are.

    Raises
    ------
    NotFoundError
        If a symbol has no bars or no feature table; the message has the command that makes them.
    InvalidInputError
        If an option is not known, or the data cannot carry this horizon or so many folds.
    FormatError
        If a feature table is not the one that was written.
    ConflictError
        If the feature tables were built anew meanwhile.
    """
    plan = make_plan(
        lake,
        symbols,
        spec=TargetSpec.parse(target, horizon, task=task, parameters=target_parameters),
        model=ModelSpec(estimator) if isinstance(estimator, str) else estimator,
        search=search,
        folds=FoldSpec(folds) if isinstance(folds, int) else folds,
        feature_set=feature_set,
        session=session,
        feed=feed,
        seed=seed,
    )
    code = code_hash(*_CODE)
    existing = lake.artifacts.get(ArtifactKind.MODEL, plan.model_id(code))
    if existing is not None:
        return TrainReport.of(existing, created=False)
    with lake.trials.attempt(TrialKind.TRAINING, plan.study, plan.parameters) as trial:
        _make(lake, plan, code, progress or _silent, trial)
    lake.publish()
    return TrainReport.of(lake.artifacts.find(ArtifactKind.MODEL, plan.model_id(code)), created=True)


def _make(lake: Lake, plan: TrainPlan, code: str, progress: Progress, trial: Attempt) -> None:
    steps = plan.folds.n_splits + 2
    data = read_dataset(lake, plan)
    folds = plan.folds.split(data.frame)
    make_model = model_maker(plan)
    progress(f"{data.frame.height:,} rows joined", 1, steps)

    def count(what: str, done: int, _: int) -> None:
        trial.fits = done
        progress(what, 1 + done, steps)

    fitted = walk_forward(
        data,
        folds,
        make_model,
        # A search shares its own candidates out among the workers.
        workers=None if plan.search is None else 1,
        progress=count,
    )
    full_model = fit_on_everything(data, make_model)
    trial.fits += 1
    progress("model fitted on everything", steps, steps)
    model_id = plan.model_id(code)
    with lake.artifacts.create(
        ArtifactKind.MODEL, model_id, parameters=plan.parameters, inputs=plan.inputs, code=code, seed=plan.seed
    ) as draft:
        _write_files(draft.path, fitted, full_model)
        with storage_errors(draft.path):
            fold_table(folds, data.frame).write_parquet(draft.path / FOLDS)
        draft.results.update(results_of(data, fitted, full_model))
        write_card(
            draft.path,
            model_id,
            parameters=plan.parameters,
            inputs=plan.inputs,
            code=code,
            seed=plan.seed,
            results=draft.results,
        )
    trial.artifact_id, trial.scores = model_id, draft.results["overall"]
    trial.returns = session_returns(Outcome.pooled([fold.outcome for fold in fitted]), plan.spec.task)


def model_maker(plan: TrainPlan) -> MakeModel:
    """What fits one model of a plan, with its search where there is one."""
    maker = ModelMaker(plan.model, plan.spec.task, plan.seed)
    return maker if plan.search is None else SearchingModelMaker(maker, plan.search)


def read_dataset(lake: Lake, plan: TrainPlan) -> Dataset:
    """The plan's feature tables, verified and joined; errors as in `train`."""
    source, tables = feature_tables_of(lake), {}
    for symbol in plan.symbols:
        source.verify(plan.features, symbol)
        tables[symbol] = source.read(plan.features, symbol)
    if feature_inputs(source, plan.features, plan.symbols) != plan.inputs["feature_tables"]:
        raise ConflictError("the feature tables were built anew while they were read: train again.")
    return make_dataset(tables, spec=plan.spec, calendar=lake.calendar.of(plan.feed))


def _write_files(folder: Path, fitted: list[FittedFold], full_model: FittedModel) -> None:
    with storage_errors(folder):
        pl.concat([fold.predictions for fold in fitted]).write_parquet(folder / PREDICTIONS)
        for fold in fitted:
            save_model(fold.pipeline, folder / fold_file(fold.number))
        save_model(full_model.pipeline, folder / FULL_MODEL)


def _silent(what: str, done: int, steps: int) -> None:
    """Tell nobody."""
