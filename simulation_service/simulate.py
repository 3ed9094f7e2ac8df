"""A plan -> bars and signals -> one account -> one run artifact with its tables and its tear sheet.

A run lies in `runs/<run_id>/`: the tables of `barlake.run_tables`, predictions.parquet where a model is behind it,
report.html and manifest.json. Its id comes from the bars (snapshot), the signals (model, file or strategy, by hash),
the plan and the code; the same run made again writes nothing. What is carried out is a trial in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from barlake import Lake
from barlake.artifacts import Artifact, artifact_id
from barlake.durable import storage_errors
from barlake.keys import ArtifactKind
from barlake.trials import TrialKind
from simulation_service import tear_sheet
from simulation_service.code import simulation_code
from simulation_service.many_symbols import trade_portfolio
from simulation_service.material import Material, inputs_of, read_material
from simulation_service.one_symbol import trade_one_symbol
from simulation_service.origin import Origin, origin_of
from simulation_service.outcome import Outcome
from simulation_service.plan import SimulationPlan
from simulation_service.ticks import usd_text

__all__ = ["REPORT_FILE", "Progress", "SimulationReport", "Surroundings", "carry_out", "choices", "simulate", "study"]

REPORT_FILE = "report.html"

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many steps are behind it, and how many there are."""

_STEPS = ("reading signals", "reading bars", "keeping the account", "writing the run", "done")


@dataclass(frozen=True)
class SimulationReport:
    """A finished run.

    Parameters
    ----------
    run
        Its artifact; `run.results` holds every figure of `as_dict`.
    is_new
        False if the run was made before and nothing was written now.
    """

    run: Artifact
    is_new: bool

    @property
    def run_id(self) -> str:
        """Sixteen hex digits that name the run."""
        return self.run.id

    @property
    def report_path(self) -> Path:
        """The HTML page."""
        return self.run.path / REPORT_FILE

    @property
    def results(self) -> dict[str, Any]:
        """The figures; `account` holds those of the plan, and others stand beside it to compare."""
        return self.run.results

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it; final values are exact decimal text beside a number.

        The keys final_value, final_value_usd, fills and shares_bought are those of the account.
        """
        account = self.results["account"]
        chosen = {name: account[name] for name in ("final_value", "final_value_usd", "fills", "shares_bought")}
        return {
            "run_id": self.run_id,
            **chosen,
            **self.results,
            "created": self.is_new,
            "report": str(self.report_path),
        }


@dataclass(frozen=True)
class Surroundings:
    """What the lake said around a run when it was made, and may say differently later: no input of its id.

    Parameters
    ----------
    deflation
        What its Sharpe ratio was worth among the trials of its study; None where it has none.
    told
        Sentences about what the lake held beside the bars.
    """

    deflation: Mapping[str, Any] | None
    told: tuple[str, ...]

    @classmethod
    def of(cls, run: Artifact) -> Surroundings:
        """Those of a run, to make it again with them."""
        return cls(run.results["deflation"], tuple(run.results["told"]))


def simulate(
    lake: Lake,
    plan: SimulationPlan,
    *,
    surroundings: Surroundings | None = None,
    progress: Progress | None = None,
) -> SimulationReport:
    """Carry out a plan, or find the run that did.

    Parameters
    ----------
    surroundings
        Those of a run that is made again: they are taken over, and the ledger gets no trial.

    Raises
    ------
    NotFoundError
        If the lake has no such model or strategy, or no bars of a symbol.
    InvalidInputError
        If the source is wrong or does not go with the plan, no signal belongs to a bar, a split lies inside the
        period of raw prices, nothing was traded in any bar, or a model was trained on other bars.
    LookAheadError
        If a signal comes from a fit that had seen its future.
    FormatError
        If a file of predictions was changed after training.
    ConflictError
        If bars were written while they were read.
    """
    notify = _notifier(progress)
    notify(0)
    origin = origin_of(lake, plan)
    parameters, inputs, code = _parameters(plan, origin), inputs_of(lake, plan, origin), simulation_code()
    run_id = artifact_id(parameters=parameters, inputs=inputs, code=code)
    made_before = lake.artifacts.get(ArtifactKind.RUN, run_id)
    if made_before is not None:
        notify(len(_STEPS) - 1)
        return SimulationReport(made_before, is_new=False)
    notify(1)
    material = read_material(lake, plan, origin, inputs)
    notify(2)
    outcome, told = _tried(lake, plan, origin, material, run_id, surroundings)
    notify(3)
    with lake.artifacts.create(ArtifactKind.RUN, run_id, parameters=parameters, inputs=inputs, code=code) as draft:
        draft.results.update(_results(plan, origin, material, outcome, told))
        with ThreadPoolExecutor(1) as beside:
            writing = beside.submit(_write_tables, draft.path, material, outcome)
            page = tear_sheet.render(
                draft.results,
                outcome.equity,
                outcome.trades,
                run_id=run_id,
                parameters=parameters,
                inputs=inputs,
                code=code,
            )
            writing.result()
        with storage_errors(draft.path):
            (draft.path / REPORT_FILE).write_text(page, encoding="utf-8")
    lake.publish_made()
    notify(4)
    return SimulationReport(lake.artifacts.find(ArtifactKind.RUN, run_id), is_new=True)


def carry_out(lake: Lake, plan: SimulationPlan) -> dict[str, Any]:
    """Results of a plan as a run would hold them, without a run, a trial, or anything else that stays.

    Raises
    ------
    NotFoundError, InvalidInputError, LookAheadError, FormatError, ConflictError
        As `simulate`.
    """
    origin = origin_of(lake, plan)
    material = read_material(lake, plan, origin, inputs_of(lake, plan, origin))
    outcome = _outcome(lake, plan, origin, material)
    return _results(plan, origin, material, outcome, Surroundings(None, material.told))


def _tried(
    lake: Lake,
    plan: SimulationPlan,
    origin: Origin,
    material: Material,
    run_id: str,
    surroundings: Surroundings | None,
) -> tuple[Outcome, Surroundings]:
    """Keep the account as a trial of its study, which counts from when its result is known; then its worth."""
    if surroundings is not None:
        return _outcome(lake, plan, origin, material), surroundings
    with lake.trials.attempt(TrialKind.SIMULATION, study(plan, origin), choices(plan, origin)) as trial:
        outcome = _outcome(lake, plan, origin, material)
        metrics = outcome.figures["account"]["metrics"]
        trial.artifact_id, trial.returns = run_id, outcome.returns
        trial.scores = {name: metrics[name] for name in _SCORES}
    worth = lake.trials.deflation(trial.trial_id)
    return outcome, Surroundings(None if worth is None else asdict(worth), material.told)


_SCORES = ("total_return", "max_drawdown", "trades", "turnover")


def _outcome(lake: Lake, plan: SimulationPlan, origin: Origin, material: Material) -> Outcome:
    if plan.sizing is not None:
        return trade_portfolio(
            plan, plan.sizing, material, feed=origin.feed, session=origin.session, calendar=lake.calendar
        )
    return trade_one_symbol(plan, material.bars, feed=origin.feed, session=origin.session, calendar=lake.calendar)


def study(plan: SimulationPlan, origin: Origin) -> str:
    """The study its trial belongs to: that of the trainings on the same symbol."""
    return f"{origin.feed} {','.join(plan.symbols)}"


def choices(plan: SimulationPlan, origin: Origin) -> dict[str, Any]:
    """Everything that was chosen for this try; on newer bars it is the same try."""
    return {
        "symbols": list(plan.symbols),
        "feed": origin.feed,
        "session": origin.session,
        "adjustment": plan.adjustment,
        "cash_usd": usd_text(plan.cash_ticks),
        "source": origin.facts,
        "execution": plan.execution.as_dict(),
        "rules": plan.rules.as_dict(),
        "sizing": None if plan.sizing is None else plan.sizing.as_dict(),
        "period": [None if side is None else str(side) for side in (plan.start, plan.end)],
    }


def _parameters(plan: SimulationPlan, origin: Origin) -> dict[str, Any]:
    """The plan as the run's manifest holds it: nothing is left open, so that it says what was done."""
    chosen = choices(plan, origin)
    del chosen["period"]
    start, end = origin.span.start, origin.span.end
    assert start is not None and end is not None  # noqa: S101, PT018 - an origin knows both
    return {**chosen, "start": start.isoformat(), "end": end.isoformat()}


def _results(
    plan: SimulationPlan, origin: Origin, material: Material, outcome: Outcome, told: Surroundings
) -> dict[str, Any]:
    """What the figures are about, the figures, and what was said around them."""
    bars = material.bars
    return {
        "symbol": plan.symbols[0],
        "symbols": list(plan.symbols),
        "feed": origin.feed,
        "session": origin.session,
        "adjustment": plan.adjustment,
        "cash_usd": usd_text(plan.cash_ticks),
        "fill": plan.execution.fill.value,
        "first_bar": bars["timestamp"].min().isoformat(),  # type: ignore[union-attr]
        "last_bar": bars["timestamp"].max().isoformat(),  # type: ignore[union-attr]
        "sessions": bars["session"].n_unique(),
        "bars": bars.height,
        "signals_from": origin.kind,
        "signals_name": origin.name,
        "bars_without_signal": material.bars_without_signal,
        "unmatched_signals": material.unmatched_signals,
        "bars_by_source": dict(material.bars_by_source),
        **outcome.figures,
        "deflation": told.deflation,
        "remarks": list(material.remarks),
        "told": list(told.told),
    }


def _write_tables(folder: Path, material: Material, outcome: Outcome) -> None:
    tables = {
        "predictions": material.predictions,
        "signals": material.signals,
        "orders": outcome.orders,
        "fills": outcome.fills,
        "trades": outcome.trades,
        "equity": outcome.equity,
    }
    with storage_errors(folder):
        for name, table in tables.items():
            if table is not None:
                table.write_parquet(folder / f"{name}.parquet", compression="zstd")


def _notifier(progress: Progress | None) -> Callable[[int], None]:
    def notify(step: int) -> None:
        if progress is not None:
            progress(_STEPS[step], step, len(_STEPS) - 1)

    return notify
