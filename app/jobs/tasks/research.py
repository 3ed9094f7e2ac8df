"""Models and simulations as jobs: what the commands `train` and `simulate` do, from the same options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.jobs.context import JobContext
from app.jobs.registry import task

__all__ = ["simulate", "train"]


class _Unwanted(BaseException):
    """The job is to stop between two steps; the ledger of trials counts it as interrupted."""


@task("train", agent="research")
def train(context: JobContext, *, symbols: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """A model of the first symbol, the others beside it; one that was made before is found again.

    Parameters
    ----------
    options
        As `training_service.options.train_arguments` takes them.
    """
    from training_service.options import train_arguments  # noqa: PLC0415 - seconds of imports, for who needs them
    from training_service.train import train as train_model  # noqa: PLC0415 - as above

    try:
        report = train_model(
            context.lake, list(symbols), **train_arguments(**options), progress=_progress(context, "fits")
        )
    except _Unwanted:
        return {"status": "partial"}
    return {
        "status": "done" if report.created else "nothing", "model": report.model_id, "created": report.created,
        "beats_baseline": report.beats_baseline, "verdict": report.verdict,
    }  # fmt: skip


@task("simulate", agent="research")
def simulate(context: JobContext, *, symbols: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """A run on these symbols; one that was made before is found again.

    Parameters
    ----------
    options
        As `simulation_service.options.plan_of_options` takes them.
    """
    from simulation_service.options import plan_of_options  # noqa: PLC0415 - as above
    from simulation_service.simulate import simulate as carry_out  # noqa: PLC0415 - as above

    try:
        report = carry_out(context.lake, plan_of_options(symbols, options), progress=_progress(context, "steps"))
    except _Unwanted:
        return {"status": "partial"}
    account = report.results["account"]
    return {
        "status": "done" if report.is_new else "nothing", "run": report.run_id, "created": report.is_new,
        "final_value": account["final_value"], "total_return": account["metrics"]["total_return"],
    }  # fmt: skip


def _progress(context: JobContext, unit: str) -> Callable[[str, int, int], None]:
    """Says how far the work is, and ends it where the job is not wanted any more."""

    def tell(what: str, done: int, total: int) -> None:
        if context.stop.is_set():
            raise _Unwanted
        context.progress(done, total, unit=unit, next_step=what)

    return tell
