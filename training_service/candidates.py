"""Candidates of a parameter search that need not know how others did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scipy import stats
from sklearn.model_selection import ParameterGrid, ParameterSampler

from training_service.search_space import Parameters, Range, SearchKind, SearchSpec, Space

__all__ = ["all_combinations", "candidates_of"]


def all_combinations(space: Space) -> list[Parameters]:
    """Every combination of the values in a space without ranges, in a fixed order."""
    values = {name: list(one) for name, one in space.items() if not isinstance(one, Range)}
    return list(ParameterGrid(values))


def candidates_of(search: SearchSpec, space: Space, seed: int) -> list[Parameters]:
    """Candidates of a grid or a random search; a random one that asks for no fewer than there are tries each once."""
    has_range = any(isinstance(values, Range) for values in space.values())
    if search.kind is SearchKind.GRID or (not has_range and len(all_combinations(space)) <= search.candidates):
        return all_combinations(space)
    drawn_from = {name: _distribution(one) if isinstance(one, Range) else list(one) for name, one in space.items()}
    drawn = ParameterSampler(drawn_from, search.candidates, random_state=seed)
    return [{name: value.item() if hasattr(value, "item") else value for name, value in one.items()} for one in drawn]


def _distribution(values: Range) -> Any:
    if values.is_whole and values.is_log:
        return _WholeLog(values)
    if values.is_whole:
        return stats.randint(int(values.low), int(values.high) + 1)
    if values.is_log:
        return stats.loguniform(values.low, values.high)
    return stats.uniform(values.low, values.high - values.low)


@dataclass(frozen=True)
class _WholeLog:
    """Whole numbers, evenly on a logarithm; scipy has no such distribution."""

    values: Range

    def rvs(self, random_state: Any = None) -> int:
        drawn = stats.loguniform(self.values.low, self.values.high).rvs(random_state=random_state)
        return round(float(drawn))
