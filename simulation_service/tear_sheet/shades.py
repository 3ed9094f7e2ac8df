"""Cells of the tables that are read by their colour: blue for gains, red for losses, in five steps of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Cell", "shade"]

_STEPS = 5


@dataclass(frozen=True)
class Cell:
    """A value and the name of its colour in the style sheet."""

    value: float
    shade: str


def shade(value: float, largest: float, *, visible: float) -> str:
    """Colour of a value: g1 to g5 for gains, l1 to l5 for losses, by its share of the `largest`.

    Parameters
    ----------
    visible
        The smallest size that is not written as zero; what is below has no colour.

    Examples
    --------
    >>> shade(0.5, 1.0, visible=0.05), shade(-1.0, 1.0, visible=0.05), shade(0.01, 1.0, visible=0.05)
    ('g3', 'l5', '')
    """
    if abs(value) < visible:
        return ""
    step = min(_STEPS, max(1, math.ceil(abs(value) / largest * _STEPS)))
    return f"{'g' if value > 0 else 'l'}{step}"
