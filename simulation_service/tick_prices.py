"""Prices of the market as whole ticks: every simulation reads its bars through here.

Apart from `ticks`, so that whoever only names amounts does not wait for numba.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from barlake.errors import InvalidInputError
from simulation_service.compiled import compiled
from simulation_service.ticks import MAX_TICKS, TICKS_PER_DOLLAR, FloatArray

__all__ = ["TickPrices", "price_ticks"]


@dataclass(frozen=True, eq=False)
class TickPrices:
    """Prices of one column as whole ticks.

    Parameters
    ----------
    ticks
        Shape (n_bars,), whole numbers in float64.
    rounded
        How many prices lay between two ticks and were moved to the nearest (a tie goes to the even one).
    largest_rounding_usd
        The furthest any of them was moved, dollars; at most 0.00005.
    """

    ticks: FloatArray
    rounded: int
    largest_rounding_usd: float


def price_ticks(prices: FloatArray, *, name: str) -> TickPrices:
    """Prices in dollars as whole ticks, with a count of those that were not on the grid.

    A price is on the grid exactly when it is the float64 nearest to a number with four decimals, so
    250.01 is and 250.01001 is not.

    Raises
    ------
    InvalidInputError
        If a price is null, NaN, infinite, below half a tick, or above 450 billion dollars.

    Examples
    --------
    >>> price_ticks(np.array([250.01, 0.12344]), name="close")
    TickPrices(ticks=array([2.5001e+06, 1.2340e+03]), rounded=1, largest_rounding_usd=3.999...e-05)
    """
    ticks, rounded, furthest, first = _on_grid(prices)
    if first >= 0:
        raise InvalidInputError(
            f"{name} {float(prices[first])!r} at bar {first} cannot be traded: a price must be "
            f"from 0.0001 to {MAX_TICKS // TICKS_PER_DOLLAR:,} dollars. Leave its session out."
        )
    return TickPrices(ticks, rounded, furthest)


@compiled
def _on_grid(prices: FloatArray) -> tuple[FloatArray, int, float, int]:
    """Nearest ticks, how many prices lay between two, the furthest move, and the first that cannot be traded or -1."""
    ticks = np.empty(prices.size)
    rounded, furthest = 0, 0.0
    for bar in range(prices.size):
        tick = np.rint(prices[bar] * TICKS_PER_DOLLAR)
        if not 1 <= tick < MAX_TICKS:
            return ticks, rounded, furthest, bar
        ticks[bar] = tick
        moved = abs(tick / TICKS_PER_DOLLAR - prices[bar])
        rounded += moved > 0.0
        furthest = max(furthest, moved)
    return ticks, rounded, furthest, -1
