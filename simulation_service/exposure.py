"""What one account may hold at once: limits on a symbol, on the sum, on the difference, on what moves together.

Weights are whole millionths of the account, so that a share of it is exact to the tick. Here the weights that
signals ask for are scaled down together, so that no symbol is favoured by its place in the list; the kernel checks
gross and net exposure once more against the account as it stands when an order is granted.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from barlake.errors import InvalidInputError
from simulation_service.ticks import FloatArray

__all__ = ["MILLION", "Limits", "correlated", "whole_millionths"]

MILLION = 1_000_000

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    """The most that may be held, as shares of the account's value.

    Parameters
    ----------
    gross
        Sum of all positions, long and short alike. 1 is an account without loans.
    net
        Long minus short, either way; None sets no limit.
    per_symbol
        One position; None sets no limit.
    correlation
        Positions on the same side whose session returns correlate above this share the weight of one; None
        sets no limit.
    correlation_sessions
        Closed sessions the correlation is estimated from; before them it is taken for 0.

    Examples
    --------
    >>> Limits(gross=1.0, per_symbol=0.25).as_dict()["per_symbol"]
    0.25
    """

    gross: float = 1.0
    net: float | None = None
    per_symbol: float | None = None
    correlation: float | None = None
    correlation_sessions: int = 60

    def __post_init__(self) -> None:
        for name in ("gross", "net", "per_symbol"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and 0 < value <= _MOST):
                raise InvalidInputError(
                    f"{name} {value!r} is not a limit: give a share of the account above 0 and at most {_MOST}."
                )
        if self.correlation is not None and not 0 <= self.correlation < 1:
            raise InvalidInputError(f"correlation {self.correlation!r} is not a limit: give 0 or more, below 1.")
        if self.correlation_sessions < _FEWEST:
            raise InvalidInputError(
                f"correlation_sessions {self.correlation_sessions!r} says nothing: give {_FEWEST} or more."
            )

    def as_dict(self) -> dict[str, Any]:
        """Limits by name, as JSON can hold them."""
        return asdict(self)

    def applied(self, weights: IntArray, session_number: IntArray, returns: FloatArray) -> IntArray:
        """Weights within the limits; never larger, never on another side than they were.

        Parameters
        ----------
        weights
            Shape (n_bars, n_symbols), signed millionths of the account that signals ask for at once.
        session_number
            Shape (n_bars,), rising: the row of `returns` that is the bar's own session.
        returns
            Shape (n_sessions, n_symbols), simple, between session closes. Only rows before a bar's own matter.
        """
        found = weights
        if self.correlation is not None:
            alike = correlated(returns, limit=self.correlation, sessions=self.correlation_sessions)
            found = _shared(found, alike, session_number)
        if self.per_symbol is not None:
            most = int(whole_millionths(np.array(self.per_symbol)))
            found = np.clip(found, -most, most)
        found = _scaled(found, np.abs(found).sum(axis=1), self.gross)
        if self.net is not None:
            # Only the heavier side gives way; scaling both would shrink a hedge with what it hedges.
            long, short = np.maximum(found, 0), np.minimum(found, 0)
            most = int(whole_millionths(np.array(self.net)))
            long, short = _side(long, most - short.sum(axis=1)), -_side(-short, most + long.sum(axis=1))
            found = long + short
        return found


_MOST = 100.0
_FEWEST = 3


def whole_millionths(weights: FloatArray) -> IntArray:
    """Weights as the nearest whole millionths.

    Examples
    --------
    >>> whole_millionths(np.array([0.1, -1 / 3]))
    array([ 100000, -333333])
    """
    return np.rint(weights * MILLION).astype(np.int64)


def correlated(returns: FloatArray, *, limit: float, sessions: int) -> npt.NDArray[np.bool_]:
    """Which pairs moved together in the sessions before: shape (n_sessions, n_symbols, n_symbols).

    True where the correlation of the `sessions` rows before is above `limit`, and of every symbol with itself.
    """
    rows, symbols = returns.shape
    found = np.broadcast_to(np.eye(symbols, dtype=bool), (rows, symbols, symbols)).copy()
    for row in range(sessions, rows):
        centred = returns[row - sessions : row] - returns[row - sessions : row].mean(axis=0)
        size = np.sqrt((centred**2).sum(axis=0))
        scale = np.outer(size, size)
        # NaN (no full past) and a price that never moved compare as False.
        found[row] |= (centred.T @ centred > limit * scale) & (scale > 0)
    return found


def _shared(weights: IntArray, together: npt.NDArray[np.bool_], session_number: IntArray) -> IntArray:
    """Each weight by the number of weights on its side that count as one with it."""
    companions = np.ones(weights.shape, dtype=np.int64)
    bounds = np.flatnonzero(np.diff(session_number, prepend=-1, append=-1))
    for first, last in itertools.pairwise(bounds):
        pairs = together[session_number[first]].astype(np.int64)
        rows = weights[first:last]
        companions[first:last] = np.where(rows > 0, (rows > 0) @ pairs, (rows < 0) @ pairs)
    shared: IntArray = np.sign(weights) * (np.abs(weights) // np.maximum(companions, 1))
    return shared


def _scaled(weights: IntArray, total: IntArray, limit: float) -> IntArray:
    most = int(whole_millionths(np.array(limit)))
    scaled = np.sign(weights) * (np.abs(weights) * most // np.maximum(total, 1)[:, None])
    return np.where((total > most)[:, None], scaled, weights)


def _side(weights: IntArray, most: IntArray) -> IntArray:
    """Weights of one side, scaled to a sum of at most `most` per bar."""
    total = weights.sum(axis=1)
    scaled = weights * np.maximum(most, 0)[:, None] // np.maximum(total, 1)[:, None]
    return np.where((total > most)[:, None], scaled, weights)
