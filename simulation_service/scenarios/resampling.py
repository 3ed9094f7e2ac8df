"""Which sessions a resampled path is made of: the stationary bootstrap, as indexes.

Runs of consecutive sessions are drawn, of random length, so that calm and stormy weeks stay together. Minutes
are never drawn by themselves: that would destroy the shape of a session and the gaps between sessions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from barlake.errors import InvalidInputError

__all__ = ["DEFAULT_BLOCK_SESSIONS", "IndexArray", "stationary_bootstrap"]

IndexArray = npt.NDArray[np.int64]

DEFAULT_BLOCK_SESSIONS = 5.0
"""Mean length of a run: one week."""


def stationary_bootstrap(
    generator: np.random.Generator, *, size: int, shape: tuple[int, int], block_sessions: float
) -> IndexArray:
    """Indexes into `size` observations: one resampled series a row.

    Each place continues the run before it with probability 1 - 1 / `block_sessions` and else begins a new run
    at an observation drawn evenly; after the last observation comes the first. So every observation is as
    likely as every other at every place. Politis and Romano (1994), https://doi.org/10.1080/01621459.1994.10476870

    Parameters
    ----------
    shape
        Number of series, length of each.
    block_sessions
        Mean length of a run, at least 1; 1 draws every place by itself.

    Raises
    ------
    InvalidInputError
        If there is nothing to draw from, or a number is too small.

    Examples
    --------
    >>> stationary_bootstrap(np.random.default_rng(1), size=10, shape=(1, 8), block_sessions=4)
    array([[6, 7, 0, 1, 2, 3, 4, 5]])
    """
    if size < 1 or min(shape) < 1:
        raise InvalidInputError(f"cannot draw {shape[0]} x {shape[1]} from {size} sessions: each must be at least 1.")
    if not block_sessions >= 1:
        raise InvalidInputError(f"block_sessions {block_sessions!r} is too short: a run has at least 1 session.")
    begins = generator.random(shape) < 1.0 / block_sessions
    begins[:, 0] = True
    places = np.arange(shape[1])
    run_start = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    first = np.take_along_axis(generator.integers(size, size=shape), run_start, axis=1)
    drawn: IndexArray = (first + places - run_start) % size
    return drawn
