"""A set of values put into a plan: parameters of its strategy, and settings of its execution, costs and rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from barlake.errors import InvalidInputError, did_you_mean
from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.origin import Origin
from simulation_service.plan import SimulationPlan, StrategySource
from simulation_service.rules import Direction, Rules
from simulation_service.strategies.base import NESTED, parameters_of
from simulation_service.strategies.catalogue import find_strategy, make_strategy
from simulation_service.strategies.definition import plain_parameters
from simulation_service.sweeps.grid import Value, Values

__all__ = ["SETTINGS", "origin_with", "require_known", "with_values"]

_PARSERS: Mapping[str, Callable[[str], Any]] = {"fill": Fill.parse, "direction": Direction.parse}


def _names(kind: Any) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(kind))


_RULES, _COSTS = _names(Rules), _names(Costs)
_EXECUTION = _names(Execution) - {"costs"}
SETTINGS = _RULES | _COSTS | _EXECUTION
"""Names of what can be set beside a strategy's own parameters."""


def require_known(plan: SimulationPlan, names: Iterable[str]) -> None:
    """Refuse a name that neither the plan's strategy nor its settings have.

    Raises
    ------
    InvalidInputError
        If there is one; the message lists the names there are.
    """
    own = _own_parameters(plan)
    for name in names:
        if name.partition(NESTED)[0] not in own and name not in SETTINGS:
            known = [*own, *sorted(SETTINGS)]
            raise InvalidInputError(
                f"{name!r} cannot be set here: use one of {', '.join(known)}.{did_you_mean(name, known)}"
            )


def with_values(plan: SimulationPlan, values: Values) -> SimulationPlan:
    """The same plan with these values; a name that its strategy and the settings share is the strategy's.

    Raises
    ------
    InvalidInputError
        If a value is not allowed.
    """
    own = _own_parameters(plan)
    mine = {name: value for name, value in values.items() if name.partition(NESTED)[0] in own}
    settings = {name: _parsed(name, value) for name, value in values.items() if name not in mine}
    execution = dataclasses.replace(
        plan.execution,
        costs=dataclasses.replace(plan.execution.costs, **_of(settings, _COSTS)),
        **_of(settings, _EXECUTION),
    )
    source = plan.source
    if isinstance(source, StrategySource):
        source = dataclasses.replace(source, parameters={**source.parameters, **mine})
    rules = dataclasses.replace(plan.rules, **_of(settings, _RULES))
    return dataclasses.replace(plan, source=source, execution=execution, rules=rules)


def origin_with(origin: Origin, plan: SimulationPlan) -> Origin:
    """The same origin with the parameters of a plan's strategy, as a run of that plan would hold them."""
    source = plan.source
    if not isinstance(source, StrategySource):
        return origin
    try:
        parameters = plain_parameters(make_strategy(source.name, source.parameters))
    except InvalidInputError:  # a parameter without a default, which only the sets bring
        parameters = dict(source.parameters)
    return dataclasses.replace(origin, facts={**origin.facts, "parameters": parameters})


def _own_parameters(plan: SimulationPlan) -> list[str]:
    source = plan.source
    return list(parameters_of(find_strategy(source.name))) if isinstance(source, StrategySource) else []


def _parsed(name: str, value: Value) -> Any:
    return _PARSERS[name](str(value)) if name in _PARSERS else value


def _of(settings: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name in names}
