"""The strategies there are, by name, and strategies made from a name and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from barlake.errors import InvalidInputError, NotFoundError, did_you_mean
from simulation_service.strategies.base import NESTED, Strategy, parameters_of
from simulation_service.strategies.breakout import Breakout
from simulation_service.strategies.buy_and_hold import BuyAndHold
from simulation_service.strategies.conditions import DayOfWeek, TimeOfDay, VolatilityRegime
from simulation_service.strategies.definition import definition, definition_hash
from simulation_service.strategies.fly import Fly
from simulation_service.strategies.loading import is_own, load_strategy
from simulation_service.strategies.mean_reversion import MeanReversion
from simulation_service.strategies.model_signals import ModelSignals
from simulation_service.strategies.moving_average_cross import MovingAverageCross
from simulation_service.strategies.pair import Pair
from simulation_service.strategies.switch import Switch
from simulation_service.strategies.threshold import Threshold
from simulation_service.strategies.values import hints_of, parse_value

__all__ = ["HOUSE", "definition", "definition_hash", "find_strategy", "make_strategy", "named_strategies"]

HOUSE: Mapping[str, type[Strategy]] = {
    "model": ModelSignals,
    "threshold": Threshold,
    "moving_average_cross": MovingAverageCross,
    "mean_reversion": MeanReversion,
    "breakout": Breakout,
    "pair": Pair,
    "switch": Switch,
    "fly": Fly,
    "time_of_day": TimeOfDay,
    "day_of_week": DayOfWeek,
    "volatility_regime": VolatilityRegime,
    "buy_and_hold": BuyAndHold,
}
"""Strategies of the house by name."""


def find_strategy(name: str) -> type[Strategy]:
    """The class a name means: `threshold`, `my_module.py:MyStrategy` or `package.module:Class`.

    Raises
    ------
    NotFoundError
        If there is none.
    InvalidInputError
        If a class of one's own cannot be loaded, or is no strategy.
    """
    if is_own(name):
        return load_strategy(name)
    if name not in HOUSE:
        raise NotFoundError(
            f"strategy {name!r} is not known: use one of {', '.join(HOUSE)}, or your own as in "
            f"my_module.py:MyStrategy.{did_you_mean(name, HOUSE)}"
        )
    return HOUSE[name]


def make_strategy(name: str, parameters: Mapping[str, Any] | None = None) -> Strategy:
    """A strategy by the name of its class, with parameters.

    Parameters
    ----------
    parameters
        Values, or text as a command line gives it. `inside__x` is the parameter x of the strategy in the
        parameter `inside`, which is named like any other.

    Raises
    ------
    NotFoundError
        If there is no strategy of that name.
    InvalidInputError
        If a parameter is not one of its own, or one without a default is missing.

    Examples
    --------
    >>> make_strategy("moving_average_cross", {"fast_bars": "5"})
    MovingAverageCross(fast_bars=5, slow_bars=100)
    """
    found = find_strategy(name)
    own, nested = _divided(parameters or {})
    known, hints = parameters_of(found), hints_of(found.__init__)
    for given in [*own, *nested]:
        if given not in known:
            raise InvalidInputError(
                f"parameter {given!r} is none of strategy {name!r}, which has {', '.join(known) or 'none'}."
                f"{did_you_mean(given, known)}"
            )
    values = {given: _value(value, hints.get(given, Any), nested.get(given)) for given, value in own.items()}
    missing = [one.name for one in known.values() if one.default is one.empty and one.name not in values]
    missing += [outer for outer in nested if outer not in own]
    if missing:
        raise InvalidInputError(f"strategy {name!r} needs {', '.join(missing)}: give it, as in {missing[0]}=VALUE.")
    return found(**values)


def named_strategies(name: str, parameters: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Names of the strategies that `make_strategy` would make, none of which is loaded: the outer one first.

    What a strategy of one's own has inside is not known before it is loaded, and left out.

    Examples
    --------
    >>> list(named_strategies("time_of_day", {"strategy": "my_module.py:MyStrategy", "start": "10:00"}))
    ['time_of_day', 'my_module.py:MyStrategy']
    """
    yield name
    if is_own(name):
        return
    own, nested = _divided(parameters or {})
    hints = hints_of(find_strategy(name).__init__)
    for given, value in own.items():
        if isinstance(value, str) and _is_strategy(hints.get(given, Any), nested.get(given)):
            yield from named_strategies(value, nested.get(given))


def _value(value: Any, hint: Any, inside: Mapping[str, Any] | None) -> Any:
    """A parameter's value: a strategy where one is named, else as `parse_value` reads a text."""
    if not isinstance(value, str):
        return value
    return make_strategy(value, inside) if _is_strategy(hint, inside) else parse_value(value, hint)


def _is_strategy(hint: Any, inside: Mapping[str, Any] | None) -> bool:
    return inside is not None or hint is Strategy or Strategy in get_args(hint)


def _divided(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Parameters of a strategy, and those of the strategies in them."""
    own: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in parameters.items():
        outer, separator, inner = name.partition(NESTED)
        if separator:
            nested.setdefault(outer, {})[inner] = value
        else:
            own[name] = value
    return own, nested
