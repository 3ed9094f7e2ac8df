"""How much money a strategy could trade before the market is too small for it."""

from __future__ import annotations

import numpy as np

from simulation_service.ticks import FloatArray

__all__ = ["LARGEST_SHARE", "MOST_FILLS", "capacity"]

LARGEST_SHARE = 0.01
"""Share of a bar's volume that one fill may be: an assumption. Beyond some per cent prices move with the order."""

MOST_FILLS = 0.95
"""Share of the fills that must stay within it."""


def capacity(fill_shares: FloatArray, fill_volume: FloatArray, start_cash: float) -> float | None:
    """Starting cash with which 95 % of the fills would still be at most 1 % of their bar's volume.

    Shares grow in step with the cash, so the figure is 1 % of the cash by the share of volume that only 5 % of
    the fills go beyond. It says nothing of what an order does to later prices.

    Parameters
    ----------
    fill_shares
        Shape (n_fills,), bought above 0, sold below 0.
    fill_volume
        Shape (n_fills,), shares that traded in the bar of each fill; a fill where none traded leaves no room.

    Returns
    -------
    In the unit of `start_cash`; None without a fill.

    Examples
    --------
    >>> capacity(np.array([100.0, -100.0]), np.array([5_000.0, 5_000.0]), 100_000.0)
    50000.0
    """
    if not fill_shares.size:
        return None
    # As volume by shares, so that no volume is 0 and not infinite.
    room = fill_volume / np.abs(fill_shares)
    beyond = int((1 - MOST_FILLS) * room.size)
    return start_cash * LARGEST_SHARE * float(np.partition(room, beyond)[beyond])
