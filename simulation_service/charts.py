"""Curves for the report as inline SVG: few points, no lost extremes, no JavaScript.

A chart is drawn in a box of 1000 x 1000 units that the page stretches to any width; labels are HTML beside
it, so that they keep their size on a phone.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulation_service.ticks import FloatArray

__all__ = ["MOST_POINTS", "Curve", "Label", "bar_labels", "curve", "drawdowns", "thin_out", "value_labels"]

MOST_POINTS = 2000
_BOX = 1000.0
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Curve:
    """One line: its name in the style sheet, its legend, and its SVG path."""

    style: str
    legend: str
    path: str


@dataclass(frozen=True)
class Label:
    """A text on an axis; `position` is in percent of the box, from its left or top."""

    position: float
    text: str


def thin_out(values: FloatArray, *, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """Indexes of at most `most` points that keep the first, the last, and each stretch's lowest and highest.

    Examples
    --------
    >>> thin_out(np.array([0.0, 9.0, 1.0, 1.0, -5.0, 1.0]), most=4)
    array([0, 1, 4, 5])
    """
    if values.size <= most:
        return np.arange(values.size)
    edges = np.linspace(0, values.size, (most - 2) // 2 + 1).astype(np.int64)
    kept = [0, values.size - 1]
    for low, high in itertools.pairwise(edges):
        kept += [low + int(np.argmin(values[low:high])), low + int(np.argmax(values[low:high]))]
    return np.unique(np.array(kept, dtype=np.int64))


def drawdowns(equity: FloatArray, start: float) -> FloatArray:
    """Fall from the highest point so far at every bar, as a fraction at or below 0.

    Examples
    --------
    >>> drawdowns(np.array([110.0, 99.0]), 100.0).round(3)
    array([ 0. , -0.1])
    """
    falls: FloatArray = equity / np.maximum(np.maximum.accumulate(equity), start) - 1.0
    return falls


def curve(style: str, legend: str, values: FloatArray, *, low: float, high: float) -> Curve:
    """Line through the values, `low` at the bottom of the box and `high` at its top."""
    points = thin_out(values)
    across = points / max(values.size - 1, 1) * _BOX
    down = (high - values[points]) / (high - low) * _BOX
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(across, down, strict=True))
    return Curve(style, legend, path)


def value_labels(low: float, high: float, *, count: int = 5) -> tuple[float, float, list[float]]:
    """A range of round numbers that holds [low, high], and the round numbers in it.

    Examples
    --------
    >>> value_labels(97.0, 121.0)
    (95.0, 125.0, [95.0, 100.0, 105.0, 110.0, 115.0, 120.0, 125.0])
    """
    width = max(high - low, 1e-9, abs(high) * 1e-6)
    scale = 10.0 ** math.floor(math.log10(width / count))
    step = scale * next(step for step in _STEPS if step * scale >= width / count)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 1)
    return first * step, last * step, [index * step for index in range(first, last + 1)]


def bar_labels(sessions: Sequence[dt.date], *, most: int = 5) -> list[Label]:
    """Dates under a chart whose bars stand at equal distances.

    Parameters
    ----------
    sessions
        Session date of each bar, oldest first.
    """
    count = min(most, len(set(sessions)))
    if count == 1:
        return [Label(0.0, sessions[0].isoformat())]
    places = np.linspace(0, len(sessions) - 1, count).round().astype(int)
    return [Label(place / (len(sessions) - 1) * 100, sessions[place].isoformat()) for place in places]
