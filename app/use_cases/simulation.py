"""From a plain request to a simulation in the queue: options checked against the lake, one job for one question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.jobs.job import Job
from app.jobs.queue import JobQueue
from app.use_cases.research_jobs import research_job
from barlake.errors import InvalidInputError
from barlake.lake import Lake
from simulation_service.options import FLAGS, OPTIONS, plan_of_options, settings_of
from simulation_service.origin import origin_of
from simulation_service.plan import SimulationPlan
from simulation_service.strategies.catalogue import HOUSE, named_strategies
from simulation_service.strategies.description import Description
from simulation_service.strategies.loading import is_own

__all__ = ["house_strategies", "plan_simulation", "queue_simulation", "simulation_job"]

_KNOWN = {
    "model", "strategy", "settings", "sizes", "cash", "adjustment", "feed", "session", "start", "end", *OPTIONS, *FLAGS,
}  # fmt: skip
_KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def queue_simulation(lake: Lake, queue: JobQueue, symbols: Sequence[str], options: Mapping[str, Any]) -> str:
    """Id of the job that simulates; one that waits or runs for the same options is that job.

    Errors as in `plan_simulation`. What was done before is asked for anew: where neither bars nor code changed, the
    job finds the run again.
    """
    return queue.put(simulation_job(lake, symbols, options), force=True)


def simulation_job(lake: Lake, symbols: Sequence[str], options: Mapping[str, Any]) -> Job:
    """The job of a simulation; parameters and errors as in `plan_simulation`."""
    plan = plan_simulation(lake, symbols, options)
    return research_job("simulate", plan.symbols, options)


def plan_simulation(lake: Lake, symbols: Sequence[str], options: Mapping[str, Any]) -> SimulationPlan:
    """The plan that a simulation with these options would carry out, so that a mistake is told before anything waits.

    Parameters
    ----------
    options
        As JSON can hold them, by the names that `simulation_service.options.plan_of_options` takes; what is absent or
        None is at its default.

    Raises
    ------
    InvalidInputError
        If an option is not known or not allowed, or names a file or code of one's own: those are read and run from the
        command line only.
    NotFoundError
        If the lake has no such model, or no bars of a symbol.
    LookAheadError
        If a model's predictions come from a fit that had seen their future.
    """
    chosen = {name: value for name, value in options.items() if value is not None}
    _require_known(chosen)
    _require_of_the_house(chosen)
    plan = plan_of_options(symbols, chosen)
    origin_of(lake, plan)
    return plan


def _require_known(chosen: Mapping[str, Any]) -> None:
    """Names and kinds of values; whether a value is allowed, the plan says."""
    if "signals" in chosen:
        raise InvalidInputError(
            f"signals {chosen['signals']!r} is a file, which is read from the command line only: "
            "`barlake simulate --signals` on the machine itself."
        )
    if unknown := sorted(chosen.keys() - _KNOWN):
        raise InvalidInputError(f"option {unknown[0]!r} is none: a simulation takes {', '.join(sorted(_KNOWN))}.")
    for name, value in chosen.items():
        kind = OPTIONS[name][0] if name in OPTIONS else bool if name in FLAGS else None
        if kind is not None and not _is_of_kind(value, kind):
            raise InvalidInputError(f"{name} {value!r} is no {_KINDS[kind]}: give one, or leave it out.")


def _is_of_kind(value: Any, kind: type) -> bool:
    """Whether JSON's value goes for one of the kind: a whole number is a number, and true is none."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _require_of_the_house(chosen: Mapping[str, Any]) -> None:
    """Whoever may queue a job may not thereby run code of his choice in a worker; strategies may be inside others."""
    if "strategy" not in chosen:
        return
    for name in named_strategies(str(chosen["strategy"]), settings_of(chosen.get("settings", ()))):
        if is_own(name):
            raise InvalidInputError(
                f"strategy {name!r} is code of your own, which is run from the command line only: use one of "
                f"{', '.join(HOUSE)}, or `barlake simulate --strategy` on the machine itself."
            )


def house_strategies() -> dict[str, Description]:
    """Strategies of the house by name, with what each does and which parameters it takes."""
    return {name: Description.of(found) for name, found in HOUSE.items()}
