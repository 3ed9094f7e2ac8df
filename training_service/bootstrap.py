"""How sure a score is: the same score over sessions drawn again and again, with replacement.

Neighbouring minutes share most of their labels and features, so that rows drawn one by one would count the same
news many times and give intervals that are far too narrow. Labels do not cross sessions; that calm and wild
weeks follow one another is left aside, and so is the luck of the training. The method is the block bootstrap of
Künsch 1989 (https://doi.org/10.1214/aos/1176347265) with a session as the block.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

__all__ = ["FEWEST_SESSIONS", "LEVEL", "Figure", "SessionBlocks", "auc", "figure", "rank_correlation"]

FloatArray = npt.NDArray[np.float64]
Figure = dict[str, float | None]
"""value, low and high of one score; None where it is not defined, or there are too few sessions for an interval."""

REPLICATES = 1000
LEVEL = 0.95
FEWEST_SESSIONS = 10
"""With fewer, what is drawn says little of what could have been drawn."""


class SessionBlocks:
    """Sessions drawn with replacement, as many as there are, and first of all the sample as it is.

    Parameters
    ----------
    session
        Session of each row, shape (n_rows,).
    seed
        The same one gives the same draws.

    Attributes
    ----------
    number
        Which session each row is of, shape (n_rows,).
    draws
        How often each session was drawn, shape (1 + replicates, n_sessions); ones in the first row.
    """

    def __init__(self, session: npt.NDArray[np.generic], *, replicates: int = REPLICATES, seed: int = 0) -> None:
        names, self.number = np.unique(session, return_inverse=True)
        self.sessions = names.size
        chances = np.full(self.sessions, 1 / self.sessions)
        drawn = np.random.default_rng(seed).multinomial(self.sessions, chances, size=replicates)
        self.draws: FloatArray = np.vstack([np.ones(self.sessions), drawn])

    @functools.cached_property
    def sample(self) -> SessionBlocks:
        """The sample as it is, and no draw of it."""
        alone = object.__new__(SessionBlocks)
        alone.number, alone.sessions, alone.draws = self.number, self.sessions, self.draws[:1]
        return alone

    def totals(self, values: npt.NDArray[np.generic]) -> FloatArray:
        """Sum of a value over the rows of each draw, shape (1 + replicates,)."""
        totals: FloatArray = self.draws @ np.bincount(self.number, weights=values, minlength=self.sessions)
        return totals


def figure(scores: FloatArray, *, sessions: int) -> Figure:
    """Score of the sample with its percentile interval.

    Parameters
    ----------
    scores
        Shape (1 + replicates,): of the sample, then of each draw; NaN where it is not defined.
    """
    value = None if np.isnan(scores[0]) else float(scores[0])
    drawn = scores[1:][~np.isnan(scores[1:])]
    if value is None or sessions < FEWEST_SESSIONS or drawn.size == 0:
        return {"value": value, "low": None, "high": None}
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"value": value, "low": float(low), "high": float(high)}


def auc(blocks: SessionBlocks, label: FloatArray, prediction: FloatArray) -> FloatArray:
    """Area under the receiver operating curve of each draw; NaN where it lacks one of the classes.

    Each row counts by its share of pairs won in the sample, which is ordered once. That is exact for the
    sample, and for a draw up to a term that falls with the number of sessions (DeLong, DeLong and Clarke-Pearson
    1988, https://doi.org/10.2307/2531595).
    """
    ones, zeros = blocks.totals(label), blocks.totals(1 - label)
    if not ones[0] or not zeros[0]:
        return np.full(ones.size, np.nan)
    order = _Order(prediction)
    won_by_ones = label * (1 - order.share_above(1 - label) / zeros[0])
    won_against_zeros = (1 - label) * order.share_above(label) / ones[0]
    with np.errstate(invalid="ignore"):
        found = blocks.totals(won_by_ones) / ones + blocks.totals(won_against_zeros) / zeros
    return _between(found - won_by_ones.sum() / ones[0], 0)


def rank_correlation(blocks: SessionBlocks, left: FloatArray, right: FloatArray) -> FloatArray:
    """Spearman's correlation of each draw; NaN where a side does not vary.

    As in `auc` the sample is ordered once: a row counts by its own ranks and by what it adds to the ranks of
    others, which is exact for the sample and of first order for a draw.
    """
    rows = left.size
    one, other = _Order(left), _Order(right)
    low, high = one.middle_ranks() / rows, other.middle_ranks() / rows
    spread = low.std() * high.std()
    if not spread:
        return np.full(len(blocks.draws), np.nan)
    parts = low * high + (one.share_above(high) + other.share_above(low)) / rows
    centre = float((low * high).mean()) - 1 / 4  # middle ranks average a half
    moved = blocks.totals(parts) / blocks.totals(np.ones(rows)) - parts.mean()
    return _between((centre + moved) / spread, -1)


def _between(scores: FloatArray, lowest: float) -> FloatArray:
    """The same, none below the lowest possible score or above 1: a term of higher order may lead there."""
    clipped: FloatArray = np.clip(scores, lowest, 1)
    return clipped


class _Order:
    """The order of some values, equal ones side by side."""

    def __init__(self, values: FloatArray) -> None:
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        is_first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        self._starts = np.flatnonzero(is_first)
        self._group = np.empty(values.size, dtype=np.intp)
        self._group[self._order] = np.cumsum(is_first) - 1

    def share_above(self, weight: FloatArray) -> FloatArray:
        """For each row the weight of all rows with a larger value, and half the weight of those with an equal one."""
        total = np.add.reduceat(weight[self._order], self._starts)
        above: FloatArray = (total.sum() - np.cumsum(total) + total / 2)[self._group]
        return above

    def middle_ranks(self) -> FloatArray:
        """Rank of each row less a half; equal values share the middle of their ranks."""
        return self._group.size - self.share_above(np.ones(self._group.size))
