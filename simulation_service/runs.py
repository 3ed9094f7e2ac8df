"""Runs that were made: the plan of one of them, a list of all, and several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from barlake.artifacts import Artifact
from barlake.errors import InvalidInputError
from simulation_service.allocation import Allocation
from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.plan import FileSource, ModelSource, SignalSource, SimulationPlan, StrategySource
from simulation_service.rules import Direction, Rules

__all__ = ["compare_runs", "facts_of_run", "is_of_this_kind", "list_runs", "plan_of_run", "require_this_kind"]

_ACCOUNT = ("final_value", "fills", "costs_usd")
_TABLES = ("equity.parquet", "fills.parquet")


def is_of_this_kind(run: Artifact) -> bool:
    """Whether the figures and tables of a run are those that runs have now; the first releases kept others."""
    return "account" in run.results and "execution" in run.parameters and set(_TABLES) <= set(run.files)


def require_this_kind(run: Artifact) -> Artifact:
    """The run itself.

    Raises
    ------
    InvalidInputError
        If it was made by a release whose runs were of another kind; the message says where its page is.
    """
    if not is_of_this_kind(run):
        raise InvalidInputError(
            f"run {run.id} was made by an earlier release, whose runs were of another kind: its page is kept "
            f"({run.path / 'report.html'}), and `barlake simulate` makes a run of this kind."
        )
    return run


def plan_of_run(run: Artifact, *, signals: Path | None = None) -> SimulationPlan:
    """The plan that a run carried out, to carry it out again.

    Parameters
    ----------
    signals
        The file it came from, if it came from one: the lake does not hold it.

    Raises
    ------
    InvalidInputError
        If it came from a file and none is named, or was made by a release whose runs were of another kind.
    """
    own = require_this_kind(run).parameters
    costs = Costs(**own["execution"]["costs"])
    return SimulationPlan(
        symbols=tuple(own["symbols"]),
        source=_source_of(run, own["source"], signals),
        cash_usd=own["cash_usd"],
        execution=Execution(**{**own["execution"], "fill": Fill.parse(own["execution"]["fill"]), "costs": costs}),
        rules=Rules(**{**own["rules"], "direction": Direction.parse(own["rules"]["direction"])}),
        sizing=None if own["sizing"] is None else Allocation.from_dict(own["sizing"]),
        adjustment=own["adjustment"],
        feed=own["feed"],
        session=own["session"],
        start=own["start"],
        end=own["end"],
    )


def _source_of(run: Artifact, facts: Mapping[str, Any], signals: Path | None) -> SignalSource:
    if facts["kind"] == "model":
        return ModelSource(facts["model"])
    if facts["kind"] == "strategy":
        return StrategySource(facts["name"], facts["parameters"], facts["model"])
    if signals is None:
        raise InvalidInputError(
            f"run {run.id} came from the file {facts['name']!r}, which the lake does not hold: name it with --signals."
        )
    return FileSource(signals)


def list_runs(runs: Sequence[Artifact]) -> pl.DataFrame:
    """One row per run of the kind that runs have now, in the order given.

    Returns
    -------
    run, created_at, symbols, feed, source (kind and name), fill, bars, return (simple), sharpe, max_drawdown,
    final_value (dollars, exact text), report.
    """
    rows = [
        {
            "run": one.id,
            "created_at": one.created_at,
            "symbols": ",".join(one.results["symbols"]),
            "feed": one.results["feed"],
            "source": f"{one.results['signals_from']} {one.results['signals_name']}",
            "fill": one.results["fill"],
            "bars": one.results["bars"],
            "total_return": one.results["account"]["metrics"]["total_return"],
            "sharpe": one.results["account"]["metrics"]["sharpe"],
            "max_drawdown": one.results["account"]["metrics"]["max_drawdown"],
            "final_value": one.results["account"]["final_value"],
            "report": str(one.path / "report.html"),
        }
        for one in runs
        if is_of_this_kind(one)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def compare_runs(runs: Sequence[Artifact]) -> pl.DataFrame:
    """What differs between runs, then the figures of all: one row per fact, one column per run.

    Returns
    -------
    of (`plan`, `inputs`, `code` or `result`), fact, then for each run its values as text, null where it has none.

    Raises
    ------
    InvalidInputError
        If there are fewer than two, one comes twice, or an earlier release made one.
    """
    names = [one.id for one in runs]
    if len(names) < 2 or len(set(names)) < len(names):  # noqa: PLR2004 - two to compare
        raise InvalidInputError(f"runs {', '.join(names) or 'none'}: name two different ones at least to compare.")
    parts = {
        "plan": [_flat(one.parameters) for one in runs],
        "inputs": [_flat(one.inputs) for one in runs],
        "code": [{"simulation_service": one.code} for one in runs],
    }
    rows = [
        (part, fact, *values)
        for part, facts in parts.items()
        for fact, values in _side_by_side(facts)
        if len(set(values)) > 1
    ]
    rows += [("result", fact, *values) for fact, values in _side_by_side([_headline(one) for one in runs])]
    return pl.DataFrame(rows, schema=["of", "fact", *names], orient="row")


def facts_of_run(run: Artifact) -> dict[str, Any]:
    """What a run was made from and what came out, each leaf by its path; lists and tables are left to its files.

    Raises
    ------
    InvalidInputError
        If it was made by a release whose runs were of another kind.
    """
    facts = {**_flat(run.parameters), **_flat(run.inputs), **_headline(run), "folder": str(run.path)}
    return {name: value for name, value in facts.items() if not isinstance(value, list | tuple)}


def _headline(run: Artifact) -> dict[str, Any]:
    account = require_this_kind(run).results["account"]
    return {**{name: account[name] for name in _ACCOUNT}, **account["metrics"]}


def _side_by_side(facts: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str | None]]]:
    names = dict.fromkeys(name for one in facts for name in one)
    return [(name, [_text(one.get(name)) for one in facts]) for name in names]


def _text(value: Any) -> str | None:
    if isinstance(value, float):
        return f"{value:.6g}"
    return None if value is None else str(value)


def _flat(facts: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by their path, `execution.costs.per_share_usd`."""
    found: dict[str, Any] = {}
    for name, value in facts.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found
