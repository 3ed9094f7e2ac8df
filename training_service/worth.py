"""What a model's scores are worth beyond themselves: among all tries of its study, and beside placebos.

Neither is part of its manifest: the first changes with every further try, and the second need not be asked for.
"""

from __future__ import annotations

from barlake.errors import InvalidInputError
from barlake.lake import Lake
from barlake.trials import TrialKind
from training_service.dataset import Dataset
from training_service.fits import model_maker
from training_service.placebo import PlaceboReport, placebo_test
from training_service.plan import TrainPlan
from training_service.report import TrainReport
from training_service.scores import headline
from training_service.walk import Progress

__all__ = ["require_runs", "run_placebos"]


def require_runs(runs: int) -> None:
    """Refuse a number of placebos below 0, which stands for none."""
    if runs < 0:
        raise InvalidInputError(f"placebo {runs} is below 0: say how many fits on shifted labels, 100 or so.")


def run_placebos(
    lake: Lake, plan: TrainPlan, data: Dataset, report: TrainReport, *, runs: int, progress: Progress
) -> PlaceboReport:
    """How a model stands among placebos of its own plan; they are in the ledger, and count as no draw."""
    own = report.results["overall"]["metrics"][headline(plan.spec.task)]["value"]
    folds = plan.folds.split(data.frame)
    with lake.trials.attempt(TrialKind.PLACEBO, plan.study, {**plan.parameters, "runs": runs}) as trial:

        def count(what: str, done: int, of: int) -> None:
            trial.fits = done * len(folds)
            progress(what, done, of)

        found = placebo_test(
            data,
            folds,
            model_maker(plan),
            runs=runs,
            seed=plan.seed,
            value=own,
            # A search shares its own candidates out among the workers.
            workers=None if plan.search is None else 1,
            progress=count,
        )
        trial.artifact_id, trial.scores = report.model_id, found.as_dict()
    return found
