"""Charts as inline SVG: few points, no lost extremes, no script.

A chart is drawn in a box of 1000 units across that the page stretches to any width; labels are text beside it, so that
they keep their size on a phone. Positions of labels are percents of the box, from its left or top.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from simulation_service.compiled import compiled
from simulation_service.ticks import FloatArray

__all__ = ["MOST_POINTS", "WIDTH", "Chart", "Label", "Line", "Scale", "Whole", "date_labels", "line", "thin_out"]

WIDTH = 1000
MOST_POINTS = 2000

Whole = npt.NDArray[np.int64]

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_DATES = 10
_LAST_LABEL = 93.0
_SINGLE_SESSIONS = 45
_YEAR = 12
_MONTHS = (1, 2, 3, 6, _YEAR, 2 * _YEAR, 5 * _YEAR, 10 * _YEAR, 25 * _YEAR)


@dataclass(frozen=True)
class Line:
    """One line: its name in the style sheet, its legend, and its SVG path."""

    style: str
    legend: str
    path: str


@dataclass(frozen=True)
class Label:
    """A text on an axis at `position` percent of the box; on a narrow page a `minor` one is left out."""

    position: float
    text: str
    minor: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over one range of values, with the labels around them; `area` is a filled path below the last line."""

    height: int
    lines: list[Line]
    y_labels: list[Label]
    x_labels: list[Label]
    area: str | None = None
    zero: float | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scale:
    """A range of round numbers on the vertical axis of a box `height` units high."""

    low: float
    high: float
    marks: tuple[float, ...]
    height: int

    @classmethod
    def holding(cls, low: float, high: float, *, height: int, count: int = 5) -> Scale:
        """The scale that holds [low, high] between round numbers.

        Examples
        --------
        >>> Scale.holding(97.0, 121.0, height=300).marks
        (95.0, 100.0, 105.0, 110.0, 115.0, 120.0, 125.0)
        """
        width = max(high - low, 1e-9, abs(high) * 1e-6)
        power = 10.0 ** math.floor(math.log10(width / count))
        step = power * next(step for step in _STEPS if step * power >= width / count)
        first = math.floor(low / step)
        last = max(math.ceil(high / step), first + 1)
        marks = tuple(index * step for index in range(first, last + 1))
        return cls(marks[0], marks[-1], marks, height)

    @property
    def step(self) -> float:
        """Distance between two marks."""
        return self.marks[1] - self.marks[0]

    def down(self, values: FloatArray) -> FloatArray:
        """Units from the top of the box."""
        units: FloatArray = (self.high - values) / (self.high - self.low) * self.height
        return units

    def percent(self, value: float) -> float:
        """Percent from the top of the box."""
        return (self.high - value) / (self.high - self.low) * 100

    def labels(self, text: str) -> list[Label]:
        """The marks, written by a format string such as `{:,.0f}` with true minus signs."""
        return [
            Label(self.percent(mark), text.format(mark + 0.0).replace("-", "\N{MINUS SIGN}")) for mark in self.marks
        ]


def thin_out(values: FloatArray, *, most: int = MOST_POINTS) -> Whole:
    """Indexes of at most `most` points that keep the first, the last, and each stretch's lowest and highest.

    Examples
    --------
    >>> thin_out(np.array([0.0, 9.0, 1.0, 1.0, -5.0, 1.0]), most=4)
    array([0, 1, 4, 5])
    """
    if values.size <= most:
        return np.arange(values.size)
    edges = np.linspace(0, values.size, (most - 2) // 2 + 1).astype(np.int64)
    return np.unique(np.concatenate([_extremes(values, edges), [0, values.size - 1]]))


@compiled
def _extremes(values: FloatArray, edges: Whole) -> Whole:
    """First lowest and first highest value of each stretch between two edges, by index."""
    found = np.empty(2 * (edges.size - 1), dtype=np.int64)
    for stretch in range(edges.size - 1):
        low = high = edges[stretch]
        for place in range(edges[stretch], edges[stretch + 1]):
            if values[place] < values[low]:
                low = place
            if values[place] > values[high]:
                high = place
        found[2 * stretch], found[2 * stretch + 1] = low, high
    return found


def line(style: str, legend: str, values: FloatArray, scale: Scale) -> Line:
    """Line through the values at equal distances; NaN breaks it, and all NaN is no line at all."""
    known = ~np.isnan(values)
    if not known.any():
        return Line(style, legend, "")
    points = thin_out(values if known.all() else np.where(known, values, values[known][0]))
    across = points / max(values.size - 1, 1) * WIDTH
    down = scale.down(values[points])
    parts: list[str] = []
    pen = "M"
    for x, y in zip(across.tolist(), down.tolist(), strict=True):
        if math.isnan(y):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return Line(style, legend, "".join(parts))


def date_labels(sessions: Sequence[dt.date], starts: Whole, bars: int) -> list[Label]:
    """Dates under a chart whose bars stand at equal distances, where sessions, months or years begin.

    Parameters
    ----------
    sessions, starts
        Date and first bar of each session, oldest first.
    bars
        How many bars there are.

    Returns
    -------
    At most ten, none close to the right edge; every second one is minor.
    """
    chosen, write = _periods(sessions)
    labels = [
        Label(float(starts[index]) / max(bars - 1, 1) * 100, write(sessions[index]), minor=place % 2 == 1)
        for place, index in enumerate(chosen)
    ]
    # A text that begins at the edge would end beyond it.
    return [label for label in labels if label.position <= _LAST_LABEL]


def _periods(sessions: Sequence[dt.date]) -> tuple[list[int], Callable[[dt.date], str]]:
    """Sessions that get a label, and how their date is written."""
    if len(sessions) <= _SINGLE_SESSIONS:
        return list(range(0, len(sessions), -(-len(sessions) // _MOST_DATES))), lambda date: f"{date.day} {date:%b}"
    months = np.array([date.year * 12 + date.month - 1 for date in sessions])
    for length in _MONTHS:
        # A period that began before the first session has no beginning to show.
        chosen = (np.flatnonzero(np.diff(months // length)) + 1).tolist()
        if len(chosen) <= _MOST_DATES:
            break
    return chosen, lambda date: f"{date:%Y}" if length >= _YEAR else f"{date:%b %Y}"
