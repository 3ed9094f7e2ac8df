"""What a good result is worth when it is the best of many: deflated Sharpe ratio and probability of overfitting.

Sharpe ratios here are per observation (per session), never annualised: the formulas need them so.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from barlake.errors import InvalidInputError

__all__ = [
    "SharpeFacts",
    "deflated_sharpe",
    "expected_best_sharpe",
    "overfitting_of",
    "probabilistic_sharpe",
    "probability_of_overfitting",
]

FloatArray = npt.NDArray[np.float64]

EULER_GAMMA = 0.5772156649015329
_FEWEST = 3
"""Observations that a Sharpe ratio with skewness needs."""
_MOST_BLOCKS, _FEWEST_BLOCKS = 16, 4
_AT_A_TIME = 50_000
"""Sharpe ratios of halves that are worked out at a time: arrays of them stay in a processor's cache."""
_NORMAL = NormalDist()


@dataclass(frozen=True)
class SharpeFacts:
    """A Sharpe ratio per observation, and what its error depends on.

    Parameters
    ----------
    skewness, kurtosis
        Of the returns; a normal distribution has 0 and 3.
    """

    sharpe: float
    observations: int
    skewness: float = 0.0
    kurtosis: float = 3.0

    @classmethod
    def of(cls, returns: FloatArray) -> SharpeFacts | None:
        """Facts of returns, shape (n,), standard deviation with n - 1; None where there are too few or none varies."""
        if returns.size < _FEWEST or np.ptp(returns) == 0:
            return None
        centred = returns - returns.mean()
        variance = float((centred**2).mean())
        return cls(
            sharpe=float(returns.mean() / returns.std(ddof=1)),
            observations=int(returns.size),
            skewness=float((centred**3).mean() / variance**1.5),
            kurtosis=float((centred**4).mean() / variance**2),
        )


def probabilistic_sharpe(facts: SharpeFacts, *, benchmark: float = 0.0) -> float:
    """How likely a lower Sharpe ratio than this one is where the true one is the benchmark.

    What the paper calls the probability that the true one is above it; one minus it is a one-sided p-value.
    Bailey and Lopez de Prado, The Sharpe Ratio Efficient Frontier (2012), https://ssrn.com/abstract=1821643.

    Examples
    --------
    >>> round(probabilistic_sharpe(SharpeFacts(sharpe=0.1, observations=101)), 4)
    0.8407
    """
    variance = 1 - facts.skewness * facts.sharpe + (facts.kurtosis - 1) / 4 * facts.sharpe**2
    return _NORMAL.cdf((facts.sharpe - benchmark) * math.sqrt((facts.observations - 1) / variance))


def expected_best_sharpe(sharpe_variance: float, trials: int) -> float:
    """Sharpe ratio to expect of the best of so many trials without any skill.

    Parameters
    ----------
    sharpe_variance
        Variance of the trials' Sharpe ratios.

    Raises
    ------
    InvalidInputError
        If there is no trial, or the variance is negative.

    Notes
    -----
    Bailey and Lopez de Prado, The Deflated Sharpe Ratio (2014), equation 1, https://ssrn.com/abstract=2460551.

    Examples
    --------
    >>> round(expected_best_sharpe(0.5 / 250, 100), 4)  # the paper's example: 100 trials, annual variance 1/2
    0.1132
    """
    if trials < 1 or sharpe_variance < 0:
        raise InvalidInputError(
            f"trials {trials} and variance {sharpe_variance}: give at least one trial and a variance from 0 up."
        )
    if trials == 1:
        return 0.0
    one, other = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(sharpe_variance) * ((1 - EULER_GAMMA) * one + EULER_GAMMA * other)


def deflated_sharpe(facts: SharpeFacts, *, sharpe_variance: float, trials: int) -> float:
    """`probabilistic_sharpe` against what the best of so many trials without skill would show.

    Notes
    -----
    Bailey and Lopez de Prado (2014), as `expected_best_sharpe`.

    Examples
    --------
    >>> facts = SharpeFacts(sharpe=2.5 / 250**0.5, observations=1250, skewness=-3, kurtosis=10)
    >>> round(deflated_sharpe(facts, sharpe_variance=0.5 / 250, trials=100), 4)  # the paper's example
    0.9004
    """
    return probabilistic_sharpe(facts, benchmark=expected_best_sharpe(sharpe_variance, trials))


def probability_of_overfitting(returns: FloatArray, *, blocks: int = 16) -> float:
    """How often the best trial of one half of the time is below the median in the other half.

    The observations are cut into blocks; each half of the blocks is once the sample in which the trial with
    the highest Sharpe ratio is chosen, and the rest is the test. 0.5 is what trials without skill give, with
    a wide spread: report it beside other figures, and read no threshold into it.

    Parameters
    ----------
    returns
        Shape (n_observations, n_trials), oldest first, without NaN.
    blocks
        Even; 16 give 12,870 halves. What does not divide is left off at the beginning.

    Raises
    ------
    InvalidInputError
        If there are fewer than two trials, two observations per block, or `blocks` is odd or below 2.

    Notes
    -----
    CSCV of Bailey, Borwein, Lopez de Prado and Zhu, The Probability of Backtest Overfitting (2015),
    https://ssrn.com/abstract=2326253. A trial that does not vary in a half has a Sharpe ratio of 0 there.
    """
    observations, trials = returns.shape
    length = observations // blocks if blocks > 0 else 0
    if blocks < 2 or blocks % 2 or trials < 2 or length < 2:  # noqa: PLR2004 - two halves, two to choose from
        raise InvalidInputError(
            f"{observations} observations of {trials} trials in {blocks} blocks: give an even number of blocks, "
            "two observations for each, and two trials."
        )
    cut = returns[observations - length * blocks :].reshape(blocks, length, trials)
    sums, squares = cut.sum(axis=1), (cut**2).sum(axis=1)
    # Those with the first block; each is half of a pair, of which either is the sample once.
    halves = np.array([(0, *others) for others in itertools.combinations(range(1, blocks), blocks // 2 - 1)])
    chosen = np.zeros((len(halves), blocks))
    np.put_along_axis(chosen, halves, 1.0, axis=1)
    parts = np.array_split(chosen, math.ceil(len(halves) * trials / _AT_A_TIME))
    relative = np.concatenate([_relative_ranks(part, sums, squares, length * blocks // 2) for part in parts])
    return float((relative < 0.5).mean() + (relative == 0.5).mean() / 2)  # noqa: PLR2004 - the median


def overfitting_of(returns: FloatArray) -> float | None:
    """`probability_of_overfitting` in as many blocks as the observations fill, up to 16.

    Parameters
    ----------
    returns
        Shape (n_observations, n_trials), oldest first, without NaN.

    Returns
    -------
    None with fewer than two trials, or fewer than eight observations.
    """
    blocks = min(_MOST_BLOCKS, returns.shape[0] // 4 * 2)
    if returns.shape[1] < 2 or blocks < _FEWEST_BLOCKS:  # noqa: PLR2004 - two to choose from
        return None
    return probability_of_overfitting(returns, blocks=blocks)


def _relative_ranks(chosen: FloatArray, sums: FloatArray, squares: FloatArray, rows: int) -> FloatArray:
    """Where the best trial of a half stands in the other: rank / (trials + 1), from 0 the worst to 1; both ways.

    Parameters
    ----------
    chosen
        Shape (n_halves, n_blocks): 1 for the blocks of the half.
    sums, squares
        Shape (n_blocks, n_trials).
    """
    one, other = (_sharpe(half @ sums, half @ squares, rows) for half in (chosen, 1 - chosen))
    ranks = np.concatenate([_ranks(one, other), _ranks(other, one)])
    relative: FloatArray = ranks / (sums.shape[1] + 1)
    return relative


def _ranks(inside: FloatArray, outside: FloatArray) -> FloatArray:
    """Rank outside of the trial that is the best inside, row by row; equal ones share a rank."""
    theirs = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
    below, up_to = (np.count_nonzero(held, axis=1) for held in (outside < theirs, outside <= theirs))
    ranks: FloatArray = (below + up_to + 1) / 2
    return ranks


def _sharpe(total: FloatArray, squares: FloatArray, rows: int) -> FloatArray:
    """Sharpe ratios from sums and sums of squares over so many rows."""
    variance = (squares - total**2 / rows) / (rows - 1)
    # Sums of squares cancel: what is left of a constant is noise of the last digit.
    varies = variance > 1e-12 * squares / rows
    found: FloatArray = total / rows / np.sqrt(np.where(varies, variance, np.inf))
    return found
