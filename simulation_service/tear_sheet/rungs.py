"""The optimism ladder and the luck of random entries, drawn as bars and dots on one axis of returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Chance", "Rung", "chance", "rungs"]

_ROOM = 0.04


@dataclass(frozen=True)
class Rung:
    """One rung: its figures, and its bar from `left` for `width` percent of the row; `zero` is no return.

    Without figures there is a `reason`, and no bar.
    """

    name: str
    costs_usd: float | None
    final_value: str | None
    total_return: float | None
    left: float
    width: float
    zero: float
    is_optimistic: bool
    reason: str | None


@dataclass(frozen=True)
class Chance:
    """Where a return falls among those of random entries, all positions in percent of the row."""

    outer: tuple[float, float]
    inner: tuple[float, float]
    median: float
    own: float
    held: float


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> _Axis:
        low, high = min(values), max(values)
        room = (high - low) * _ROOM or 1e-9
        return cls(low - room, high + room)

    def at(self, value: float) -> float:
        return round((value - self.low) / (self.high - self.low) * 100, 2)


def rungs(ladder: Mapping[str, Any]) -> list[Rung]:
    """Rungs in their order, each with its bar from no return at all."""
    found = ladder["rungs"]
    axis = _Axis.of([0.0, *(rung["total_return"] for rung in found if rung["total_return"] is not None)])
    zero = axis.at(0.0)
    drawn = []
    for rung in found:
        end = axis.at(rung["total_return"] or 0.0)
        drawn.append(
            Rung(
                name=rung["name"],
                costs_usd=rung["costs_usd"],
                final_value=rung["final_value"],
                total_return=rung["total_return"],
                left=min(zero, end),
                width=abs(end - zero),
                zero=zero,
                is_optimistic=rung is found[0],
                reason=rung.get("reason"),
            )
        )
    return drawn


def chance(entries: Mapping[str, Any], held: float) -> Chance:
    """The row of random entries, the run's own trades reckoned as they are, and buy and hold."""
    quantiles, own = entries["quantiles"], entries["own_return"]
    low, first, median, third, high = (quantiles[name] for name in ("0.05", "0.25", "0.5", "0.75", "0.95"))
    axis = _Axis.of([low, high, own, held])
    return Chance(
        (axis.at(low), axis.at(high)), (axis.at(first), axis.at(third)), axis.at(median), axis.at(own), axis.at(held)
    )
