"""How much trading may cost before nothing is left of a profit."""

from __future__ import annotations

import math

import numpy as np

from simulation_service.ticks import FloatArray

__all__ = ["break_even_cost"]


def break_even_cost(start: float, final: float, traded: FloatArray, equity: FloatArray) -> float | None:
    """Cost of each dollar bought or sold, a fraction, with which an account would have ended where it began.

    The account is taken to trade the same parts of itself: what it pays for one fill it lacks at the next, so that
    costs compound as profits do.

    Parameters
    ----------
    start, final
        Equity before the first and after the last fill.
    traded, equity
        Shape (n_fills,): dollars bought or sold by each fill, above 0, and the equity at the close of its bar; in
        the same unit as `start`.

    Returns
    -------
    None without a profit or a fill, or where the account was in debt.

    Notes
    -----
    A fill of the part f of the account leaves 1 - c f of it. Over pairs of a buy and a sale of everything,
    ((1 - c) / (1 + c)) ** (fills / 2) = start / final, which is solved by c = tanh(ln(final / start) / fills); parts
    count as parts of a fill.

    Examples
    --------
    >>> cost = break_even_cost(100.0, 120.0, np.array([100.0, 120.0]), np.array([100.0, 120.0]))
    >>> round(120 * (1 - cost) - 100 * (1 + cost), 9)
    0.0
    """
    if final <= start or not traded.size or not (equity > 0).all():
        return None
    return math.tanh(math.log(final / start) / float(np.sum(traded / equity)))
