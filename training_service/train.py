"""Train a model: read feature tables, walk forward, keep models and predictions as one artifact.

Every training that begins is a trial in the ledger, whatever comes of it, and so is every candidate of its
searches. `model_folder.py` says what the artifact holds; the manifest adds options, inputs and scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from barlake.errors import ConflictError
from barlake.feature_tables import feature_tables_of
from barlake.keys import Adjustment, ArtifactKind, SessionFilter
from barlake.lake import Lake
from barlake.trials import Attempt, TrialKind, TrialStatus
from training_service.card import write_card
from training_service.code import training_code
from training_service.combinatorial import CombinatorialSpec
from training_service.dataset import Dataset, make_dataset
from training_service.feature_choice import feature_inputs
from training_service.fits import Fits, fit_plan, fits_of
from training_service.fold_spec import FoldSpec
from training_service.labels import Target, TargetSpec
from training_service.model_folder import FOLDS, PREDICTIONS, write_model
from training_service.models import ModelSpec
from training_service.outcomes import Outcome, session_returns
from training_service.plan import TrainPlan, make_plan
from training_service.presets import DEFAULT_PRESET
from training_service.report import TrainReport, results_of
from training_service.search_space import SearchSpec
from training_service.tries import deflation_of
from training_service.walk import Progress
from training_service.worth import require_runs, run_placebos

__all__ = ["FOLDS", "PREDICTIONS", "read_dataset", "train"]


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
    combinatorial: CombinatorialSpec | None = None,
    feature_set: str = "core",
    session: str = SessionFilter.REGULAR,
    adjustment: str = Adjustment.RAW,
    feed: str | None = None,
    seed: int = 0,
    placebo: int = 0,
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
    combinatorial
        Scores the same model over many histories, too; it is fitted once more for each of these folds.
    feature_set, session, adjustment
        Which feature tables: the newest build of this set over these hours, of prices so adjusted. Where builds
        differ in their context symbol, too, the parameters of the model say which one was the newest.
    feed
        None takes `sip` before `iex` before the only other feed that holds every symbol.
    placebo
        How many times to fit everything again on shifted labels, for a p-value; see `placebo_test`.
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
    require_runs(placebo)
    plan = make_plan(
        lake,
        symbols,
        spec=TargetSpec.parse(target, horizon, task=task, parameters=target_parameters),
        model=ModelSpec(estimator) if isinstance(estimator, str) else estimator,
        search=search,
        folds=FoldSpec(folds) if isinstance(folds, int) else folds,
        combinatorial=combinatorial,
        feature_set=feature_set,
        session=session,
        adjustment=adjustment,
        feed=feed,
        seed=seed,
    )
    code = training_code()
    model_id = plan.model_id(code)
    is_new = lake.artifacts.get(ArtifactKind.MODEL, model_id) is None
    if is_new:
        with lake.trials.attempt(TrialKind.TRAINING, plan.study, plan.parameters) as trial:
            _make(lake, plan, code, progress or _silent, trial)
    report = TrainReport.of(lake.artifacts.find(ArtifactKind.MODEL, model_id), created=is_new)
    if placebo:
        data = read_dataset(lake, plan)
        found = run_placebos(lake, plan, data, report, runs=placebo, progress=progress or _silent)
        report = replace(report, placebo=found)
    if is_new or placebo:
        lake.publish()
    return replace(report, deflation=deflation_of(lake, plan.study, model_id))


def _make(lake: Lake, plan: TrainPlan, code: str, progress: Progress, trial: Attempt) -> None:
    data = read_dataset(lake, plan)
    steps = fits_of(plan, data) + 1
    progress(f"{data.frame.height:,} rows joined", 1, steps)

    def count(what: str, done: int, _: int) -> None:
        trial.fits = done
        progress(what, 1 + done, steps)

    fits = fit_plan(plan, data, progress=count)
    _record_candidates(lake, plan, fits, trial)
    model_id, results = plan.model_id(code), results_of(fits)
    facts: dict[str, Any] = {"parameters": plan.parameters, "inputs": plan.inputs, "code": code, "seed": plan.seed}
    with lake.artifacts.create(ArtifactKind.MODEL, model_id, **facts) as draft:
        write_model(draft.path, fits)
        draft.results.update(results)
        write_card(draft.path, model_id, **facts, results=results)
    trial.artifact_id, trial.scores = model_id, results["overall"]
    trial.returns = session_returns(Outcome.pooled([fold.outcome for fold in fits.fitted]), plan.spec.task)


def _record_candidates(lake: Lake, plan: TrainPlan, fits: Fits, trial: Attempt) -> None:
    """Put every candidate into the ledger, as the training it would have been; the fold stands with its scores."""
    for fold, tried in fits.tried():
        parameters = {**plan.parameters["estimator_parameters"], **tried["parameters"]}
        lake.trials.record(
            TrialKind.SEARCH,
            plan.study,
            {**plan.parameters, "estimator_parameters": parameters, "search": None},
            TrialStatus.FINISHED if tried["error"] is None else TrialStatus.FAILED,
            {"loss": tried["loss"], "share": tried["share"], "fold": fold},
            fits=tried["fits"],
            parent_id=trial.trial_id,
            error=tried["error"],
        )


def read_dataset(lake: Lake, plan: TrainPlan) -> Dataset:
    """The plan's feature tables, verified and joined; errors as in `train`."""
    source, tables = feature_tables_of(lake), {}
    for symbol in plan.symbols:
        source.verify(plan.features, symbol)
        tables[symbol] = source.read(plan.features, symbol)
    if feature_inputs(source, plan.features, plan.symbols) != plan.inputs["feature_tables"]:
        raise ConflictError("the feature tables were built anew while they were read: train again.")
    return make_dataset(tables, spec=plan.spec, calendar=lake.calendar.of(plan.feed))


def _silent(what: str, done: int, steps: int) -> None:
    """Tell nobody."""
