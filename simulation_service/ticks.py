"""Money on a grid of whole 1e-4 dollars (ticks), so that sums and share counts are exact.

US exchanges quote in cents above one dollar and in 1e-4 dollars below it (Regulation NMS, Rule 612:
https://www.ecfr.gov/current/title-17/section-242.612), but a reported trade may be finer still. A price
between two ticks is rounded to the nearest one; how many were, and by how much, is always handed back.
Ticks are held in float64, which is exact for whole numbers up to 2**53.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import numpy as np
import numpy.typing as npt

from barlake.errors import InvalidInputError

__all__ = [
    "MAX_TICKS",
    "RATE_UNITS",
    "TICKS_PER_DOLLAR",
    "ExactRangeError",
    "FloatArray",
    "cash_to_ticks",
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
