"""Money on a grid of whole 1e-4 dollars (ticks), so that sums and share counts are exact.

US exchanges quote in cents above one dollar and in 1e-4 dollars below it (Regulation NMS, Rule 612:
https://www.ecfr.gov/current/title-17/section-242.612), but a reported trade may be finer still. A price
between two ticks is rounded to the nearest one; how many were, and by how much, is always handed back.
Ticks are held in float64, which is exact for whole numbers up to 2**53.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import numpy as np
import numpy.typing as npt

from barlake.errors import InvalidInputError
from simulation_service.compiled import compiled

__all__ = [
    "MAX_TICKS",
    "RATE_UNITS",
    "TICKS_PER_DOLLAR",
    "ExactRangeError",
    "FloatArray",
    "TickPrices",
    "cash_to_ticks",
    "price_ticks",
    "rate_units",
    "to_dollars",
    "usd_text",
]

FloatArray = npt.NDArray[np.float64]

TICKS_PER_DOLLAR = 10_000
# Half of what float64 counts exactly: the sum of a price and an account stays exact too.
MAX_TICKS = 2**52

RATE_UNITS = 100_000_000
"""Units of 1e-8 in one: how fine a fraction or a cost in dollars may be."""


class ExactRangeError(InvalidInputError):
    """An account outgrew what can be counted to the cent; one that stands beside a run is left out of it."""


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


def cash_to_ticks(cash_usd: Decimal | float | str) -> int:
    """Cash to start with, dollars, as whole ticks.

    Raises
    ------
    InvalidInputError
        If it is not a positive number of whole 1e-4 dollars below 450 billion dollars.

    Examples
    --------
    >>> cash_to_ticks(100000)
    1000000000
    """
    try:
        ticks = Decimal(str(cash_usd)) * TICKS_PER_DOLLAR
    except InvalidOperation:
        ticks = Decimal("NaN")
    if not ticks.is_finite() or not 0 < ticks < MAX_TICKS or ticks != int(ticks):
        raise InvalidInputError(
            f"cash {cash_usd!r} is not an amount to start with: give dollars above 0 and below "
            f"{MAX_TICKS // TICKS_PER_DOLLAR:,}, with at most four decimals, such as 100000."
        )
    return int(ticks)


def rate_units(
    value: Decimal | float | str, *, name: str, scale: float = 1.0, above: float | None = None, most: float = 1.0
) -> int:
    """A fraction or an amount of dollars as whole units of 1e-8, the digits as they were written.

    Parameters
    ----------
    scale
        What one unit of `value` is, such as 1e-4 for basis points.
    above
        None allows 0 and more; else `value` must be above it.
    most
        The largest `value` allowed.

    Raises
    ------
    InvalidInputError
        If `value` is out of that range or finer than 1e-8.

    Examples
    --------
    >>> rate_units(0.02, name="stop_loss"), rate_units(0.5, name="slippage_bps", scale=1e-4, most=100)
    (2000000, 5000)
    """
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        exact = Decimal("NaN")
    low = "0 or more" if above is None else f"above {above:g}"
    if not exact.is_finite() or exact < 0 or (above is not None and exact <= Decimal(str(above))) or exact > most:
        raise InvalidInputError(f"{name} {value!r} is out of range: give {low}, up to {most:g}.")
    units = exact * Decimal(str(scale)) * RATE_UNITS
    if units != int(units):
        raise InvalidInputError(f"{name} {value!r} is too fine: give whole multiples of {1 / RATE_UNITS / scale:g}.")
    return int(units)


def usd_text(ticks: float) -> str:
    """Ticks as exact dollars: two decimals, or four when the amount is not in whole cents.

    Examples
    --------
    >>> usd_text(1058085800), usd_text(12345)
    ('105808.58', '1.2345')
    """
    whole = int(ticks)
    places = Decimal("0.01") if whole % 100 == 0 else Decimal("0.0001")
    return str((Decimal(whole) / TICKS_PER_DOLLAR).quantize(places))


def to_dollars(ticks: FloatArray) -> FloatArray:
    """Ticks as dollars, each the float64 nearest to the exact amount."""
    return ticks / TICKS_PER_DOLLAR
