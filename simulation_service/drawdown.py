"""Falls of an equity curve from its highest point so far: how deep, when, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    curve = np.concatenate([[start], equity])
    highest = np.maximum.accumulate(curve)
    falls = 1.0 - curve / highest
    trough = int(np.argmax(falls))
    if falls[trough] == 0.0:
        return Drawdown(0.0, None, None, None)
    # The last bar at the height is where the fall begins, not the first.
    peak = int(np.flatnonzero(curve[:trough] == highest[trough])[-1])
    back = np.flatnonzero(curve[trough:] >= highest[trough])
    recovery = trough + int(back[0]) - 1 if back.size else None
    return Drawdown(float(falls[trough]), peak - 1, trough - 1, recovery)


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
