"""Steps in which what is held is drawn: a missing tenth is seen, and so is a missing minute."""

from __future__ import annotations

__all__ = ["STEPS", "step_of"]

STEPS = ("none", "some", "half", "90 %", "all")
"""What each step says, from nothing to everything."""

_BORDERS = (0.0, 0.5, 0.9, 0.999)


def step_of(share: float) -> int:
    """Number of the step of a share, from 0 to 4.

    Examples
    --------
    >>> [STEPS[step_of(share)] for share in (0, 0.2, 0.6, 0.97, 1)]
    ['none', 'some', 'half', '90 %', 'all']
    """
    return sum(share > border for border in _BORDERS)
