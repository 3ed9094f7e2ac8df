"""What is to be predicted: which target, how far ahead, as a class or as a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from barlake.errors import InvalidInputError
from barlake.keys import parse_member

__all__ = ["TO_CLOSE", "Target", "TargetSpec", "Task"]

TO_CLOSE = "close"
"""How a horizon that ends with the session is written in options and manifests."""


class Task(StrEnum):
    """How a label is learned: as one of two classes, 0.0 and 1.0, or as a number."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


class Target(StrEnum):
    """What is predicted; `make_labels` has the formulas."""

    DIRECTION = "direction"
    RETURN = "return"
    SCALED_RETURN = "scaled_return"
    TRIPLE_BARRIER = "triple_barrier"

    @classmethod
    def parse(cls, value: str) -> Target:
        """Target of that name, in any case; `InvalidInputError` lists the names there are."""
        return parse_member(cls, "target", value)


_TASKS: Mapping[Target, tuple[Task, ...]] = {
    Target.DIRECTION: (Task.CLASSIFICATION,),
    Target.RETURN: (Task.REGRESSION,),
    Target.SCALED_RETURN: (Task.REGRESSION, Task.CLASSIFICATION),
    Target.TRIPLE_BARRIER: (Task.CLASSIFICATION, Task.REGRESSION),
}
"""Tasks of each target, the default first."""

_VOLATILITY_WINDOW = {"volatility_window": 120.0}
_DEFAULTS: Mapping[tuple[Target, Task], Mapping[str, float]] = {
    (Target.SCALED_RETURN, Task.REGRESSION): _VOLATILITY_WINDOW,
    (Target.SCALED_RETURN, Task.CLASSIFICATION): {**_VOLATILITY_WINDOW, "threshold": 0.0},
    (Target.TRIPLE_BARRIER, Task.CLASSIFICATION): {**_VOLATILITY_WINDOW, "upper": 1.0, "lower": 1.0},
    (Target.TRIPLE_BARRIER, Task.REGRESSION): {**_VOLATILITY_WINDOW, "upper": 1.0, "lower": 1.0},
}
"""Parameters of a target as a task, with what they are when not given; a pair that is not here takes none."""


@dataclass(frozen=True)
class TargetSpec:
    """One target, settled: `parse` makes it from options and fills in what was not given.

    Parameters
    ----------
    horizon
        Minutes the label looks ahead; None: to the close of the session.
    parameters
        All of them, by name. `volatility_window`: how many one-minute returns volatility is measured over, at
        least 2. `threshold`: scaled return above which the class is 1. `upper`, `lower`: distance of the
        barriers in standard deviations of the return over the horizon, above 0.

    Raises
    ------
    InvalidInputError
        If the horizon is below 1, the target is no such task, or a parameter is missing, unknown or out of range.

    Examples
    --------
    >>> TargetSpec.parse("triple_barrier", 30, parameters={"upper": 2}).as_dict()["target_parameters"]
    {'volatility_window': 120.0, 'upper': 2.0, 'lower': 1.0}
    """

    target: Target
    horizon: int | None
    task: Task
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.horizon is not None and self.horizon < 1:
            raise InvalidInputError(
                f"horizon {self.horizon} is below 1: give whole minutes, or {TO_CLOSE!r} for the session's close."
            )
        if self.task not in _TASKS[self.target]:
            names = " or ".join(task.value for task in _TASKS[self.target])
            raise InvalidInputError(
                f"task {self.task.value!r} does not fit target {self.target.value!r}: it is a {names}."
            )
        _require_parameters(self)

    @classmethod
    def parse(
        cls,
        target: str,
        horizon: int | str | None,
        *,
        task: str | None = None,
        parameters: Mapping[str, float] | None = None,
    ) -> TargetSpec:
        """Target as options give it.

        Parameters
        ----------
        horizon
            Whole minutes, as a number or as text; `close` or None: to the session's close.
        task
            None takes the first that the target has: a direction and a triple barrier are classes, a return
            and a scaled return are numbers.
        parameters
            Those that shall differ from their defaults.
        """
        parsed = Target.parse(target)
        tasks = _TASKS[parsed]
        chosen = tasks[0] if task is None else parse_member(Task, "task", task)
        given = {name: _number(name, value) for name, value in (parameters or {}).items()}
        return cls(parsed, _minutes(horizon), chosen, {**_DEFAULTS.get((parsed, chosen), {}), **given})

    @property
    def title(self) -> str:
        """Target and horizon in words.

        Examples
        --------
        >>> TargetSpec.parse("direction", 5).title
        'direction over 5 minutes'
        """
        if self.horizon is None:
            return f"{self.target.value} to the close"
        return f"{self.target.value} over {self.horizon} minute{'s' if self.horizon > 1 else ''}"

    def as_dict(self) -> dict[str, Any]:
        """Give the target as a manifest holds it; `parse` takes the values back.

        Examples
        --------
        >>> TargetSpec.parse("direction", "close").as_dict()
        {'target': 'direction', 'task': 'classification', 'horizon': 'close', 'target_parameters': {}}
        """
        return {
            "target": self.target.value,
            "task": self.task.value,
            "horizon": TO_CLOSE if self.horizon is None else self.horizon,
            "target_parameters": dict(self.parameters),
        }


def _minutes(horizon: int | str | None) -> int | None:
    if horizon is None or str(horizon).lower() == TO_CLOSE:
        return None
    try:
        return int(str(horizon))
    except ValueError:
        raise InvalidInputError(
            f"horizon {horizon!r} is no number: give whole minutes, or {TO_CLOSE!r} for the session's close."
        ) from None


def _number(name: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidInputError(f"target parameter {name} is {value!r}: give a number.") from None


def _require_parameters(spec: TargetSpec) -> None:
    """Raise unless the parameters are those of the target, each in its range."""
    wanted = _DEFAULTS.get((spec.target, spec.task), {})
    for name in spec.parameters.keys() - wanted.keys():
        takes = f"takes {', '.join(wanted)}" if wanted else "takes none"
        raise InvalidInputError(
            f"target parameter {name!r} is not known: {spec.target.value} as a {spec.task.value} {takes}."
        )
    for name in wanted.keys() - spec.parameters.keys():
        raise InvalidInputError(f"target parameter {name!r} is missing: `TargetSpec.parse` fills in {wanted[name]:g}.")
    for name, value in spec.parameters.items():
        is_right, rule = (
            {
                "volatility_window": (value >= 2 and value == int(value), "a whole number of at least 2"),  # noqa: PLR2004 - a deviation needs two
                "threshold": (True, "a finite number"),
                "upper": (value > 0, "above 0"),
                "lower": (value > 0, "above 0"),
            }[name]
            if math.isfinite(value)
            else (False, "a finite number")
        )
        if not is_right:
            raise InvalidInputError(f"target parameter {name} is {value:g}: it must be {rule}.")
