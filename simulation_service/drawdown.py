"""Falls of an equity curve from its highest point so far: how deep, when, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulation_service.compiled import compiled
from simulation_service.ticks import FloatArray

__all__ = ["Drawdown", "longest_drawdown", "max_drawdown"]


@dataclass(frozen=True)
class Drawdown:
    """The deepest fall of an equity curve from its highest point so far.

    Parameters
    ----------
    fraction
        0.1 is a fall of 10 %; 0 if the curve never fell.
    peak, trough, recovery
        Bars, counted from 0: where the fall began (-1: the starting cash), where it was deepest, and the
        first bar back at the peak's height. None if it never fell, or has not recovered.
    """

    fraction: float
    peak: int | None
    trough: int | None
    recovery: int | None


def max_drawdown(equity: FloatArray, start: float) -> Drawdown:
    """Deepest fall of a curve that begins at `start`; the first of several equal ones.

    Examples
    --------
    >>> max_drawdown(np.array([120.0, 90.0, 120.0]), 100.0)
    Drawdown(fraction=0.25, peak=0, trough=1, recovery=2)
    """
    fraction, peak, trough, recovery = _deepest(equity, start)
    if fraction == 0.0:
        return Drawdown(0.0, None, None, None)
    return Drawdown(fraction, peak, trough, recovery if recovery > trough else None)


@compiled
def _deepest(equity: FloatArray, start: float) -> tuple[float, int, int, int]:
    """The deepest fall, and its bars; a recovery that is not after the trough is none. One pass, no array."""
    height, at, deepest = start, -1, 0.0
    peak = trough = recovery = -1
    level = np.inf
    for bar in range(equity.size):
        value = equity[bar]
        if value >= height:
            # The last bar at the height is where a fall begins, not the first.
            height, at = value, bar
            if value >= level:
                recovery, level = bar, np.inf
        elif 1.0 - value / height > deepest:
            deepest, peak, trough, recovery, level = 1.0 - value / height, at, bar, -1, height
    return deepest, peak, trough, recovery


def longest_drawdown(values: FloatArray, start: float) -> int:
    """Length of the longest unbroken row of values below the highest one before; the curve begins at `start`.

    Examples
    --------
    >>> longest_drawdown(np.array([120.0, 90.0, 119.0, 120.0]), 100.0)
    2
    """
    curve = np.concatenate([[start], values])
    at_peak = np.flatnonzero(curve >= np.maximum.accumulate(curve))
    return int(np.diff(np.append(at_peak, curve.size)).max()) - 1
