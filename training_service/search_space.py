"""What a parameter search tries: values of each parameter, or a range to draw from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from barlake.errors import InvalidInputError
from barlake.keys import parse_member
from training_service.folds import require_at_least

__all__ = ["Parameters", "Range", "SearchKind", "SearchSpec", "Space", "parse_space", "parse_value"]


class SearchKind(StrEnum):
    """How candidates are found.

    `grid` tries every combination; `random` draws some; `halving` tries every combination on the newest rows
    and gives more rows to the better third, round by round; `optuna` proposes by what it has seen so far.
    """

    GRID = "grid"
    RANDOM = "random"
    HALVING = "halving"
    OPTUNA = "optuna"

    @classmethod
    def parse(cls, value: str) -> SearchKind:
        """Kind of that name, in any case; `InvalidInputError` lists the names there are."""
        return parse_member(cls, "search", value)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones if both are, evenly on a logarithm if `is_log`.

    Raises
    ------
    InvalidInputError
        If `low` is not below `high`, or a logarithm starts at 0 or below.
    """

    low: float
    high: float
    is_log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidInputError(f"range {self}: the first number must be below the second.")
        if self.is_log and self.low <= 0:
            raise InvalidInputError(f"range {self}: a logarithm needs numbers above 0.")

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        return f"{self.low}..{self.high}{':log' if self.is_log else ''}"


Space = Mapping[str, tuple[Any, ...] | Range]
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class SearchSpec:
    """A parameter search, settled.

    Parameters
    ----------
    space
        By parameter the values to try, or a range; empty takes the preset's own.
    candidates
        How many `random` and `optuna` try; `grid` and `halving` try every combination.
    inner_folds
        Walk-forward tests inside the training rows that each candidate is judged by.

    Raises
    ------
    InvalidInputError
        If a number is below 1, or a range is given to a search that tries every combination.
    """

    kind: SearchKind
    space: Space
    candidates: int = 20
    inner_folds: int = 3

    def __post_init__(self) -> None:
        for name in ("candidates", "inner_folds"):
            require_at_least(name, getattr(self, name), 1)
        if self.kind in {SearchKind.GRID, SearchKind.HALVING}:
            for name, values in self.space.items():
                if isinstance(values, Range):
                    raise InvalidInputError(
                        f"search {self.kind.value} tries every combination, {name} is the range {values}: give values "
                        "with commas, or use random or optuna."
                    )

    def as_dict(self) -> dict[str, Any]:
        """Give the search as a manifest holds it; ranges as text."""
        space = {name: str(one) if isinstance(one, Range) else list(one) for name, one in self.space.items()}
        return {
            "kind": self.kind.value,
            "space": space,
            "candidates": self.candidates,
            "inner_folds": self.inner_folds,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> SearchSpec:
        """Read back what `as_dict` gave."""
        space = {
            name: _range(name, values) if isinstance(values, str) else tuple(values)
            for name, values in given["space"].items()
        }
        return cls(SearchKind.parse(given["kind"]), space, given["candidates"], given["inner_folds"])


def parse_space(texts: Iterable[str]) -> dict[str, tuple[Any, ...] | Range]:
    """Space from texts such as `C=0.01,0.1,1` and `learning_rate=0.01..0.2:log`.

    Examples
    --------
    >>> parse_space(["max_leaf_nodes=7,15", "learning_rate=0.01..0.2:log"])
    {'max_leaf_nodes': (7, 15), 'learning_rate': Range(low=0.01, high=0.2, is_log=True)}
    """
    space: dict[str, tuple[Any, ...] | Range] = {}
    for text in texts:
        name, _, values = text.partition("=")
        if not name.strip() or not values.strip():
            raise InvalidInputError(f"space {text!r} is not understood: write name=value,value or name=low..high.")
        space[name.strip()] = _range(text, values) if ".." in values else tuple(map(parse_value, values.split(",")))
    return space


def parse_value(text: str) -> Any:
    """Value of a parameter written as text: a number, true, false, null, or the text itself.

    Examples
    --------
    >>> parse_value("0.5"), parse_value("true"), parse_value("sqrt")
    (0.5, True, 'sqrt')
    """
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def _range(text: str, values: str) -> Range:
    numbers, _, scale = values.partition(":")
    low, _, high = numbers.partition("..")
    parsed = parse_value(low), parse_value(high)
    if scale not in {"", "log"} or not all(isinstance(one, int | float) for one in parsed):
        raise InvalidInputError(f"space {text!r} is not understood: write name=low..high or name=low..high:log.")
    return Range(*parsed, is_log=scale == "log")
