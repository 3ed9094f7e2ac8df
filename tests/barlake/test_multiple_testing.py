"""The best of many: figures of the papers, and what noise and a real edge give."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from barlake.errors import InvalidInputError
from barlake.multiple_testing import (
    SharpeFacts,
    deflated_sharpe,
    expected_best_sharpe,
    probabilistic_sharpe,
    probability_of_overfitting,
)

FloatArray = npt.NDArray[np.float64]


def test_the_deflated_sharpe_ratio_is_that_of_the_papers_example() -> None:
    # Bailey and Lopez de Prado (2014), A Numerical Example: annual Sharpe 2.5 over 1250 days, 100 trials.
    facts = SharpeFacts(sharpe=2.5 / 250**0.5, observations=1250, skewness=-3.0, kurtosis=10.0)
    assert expected_best_sharpe(0.5 / 250, 100) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(facts, sharpe_variance=0.5 / 250, trials=100) == pytest.approx(0.9004, abs=5e-5)
    # And after 46 trials, so the paper, it would have been about 0.95.
    assert deflated_sharpe(facts, sharpe_variance=0.5 / 250, trials=46) == pytest.approx(0.9505, abs=5e-5)


def test_the_best_of_many_worthless_trials_is_as_good_as_expected() -> None:
    best = np.random.default_rng(5).normal(0, 0.1, (20_000, 50)).max(axis=1).mean()
    assert expected_best_sharpe(0.01, 50) == pytest.approx(best, rel=0.02)


def test_one_trial_has_nothing_to_be_deflated_by() -> None:
    facts = SharpeFacts(sharpe=0.1, observations=100)
    assert expected_best_sharpe(0.0, 1) == 0.0
    assert deflated_sharpe(facts, sharpe_variance=0.5, trials=1) == probabilistic_sharpe(facts)


def test_more_trials_make_a_result_worth_less() -> None:
    facts = SharpeFacts(sharpe=0.1, observations=500)
    worth = [deflated_sharpe(facts, sharpe_variance=0.001, trials=count) for count in (1, 2, 10, 100, 10_000)]
    assert worth == sorted(worth, reverse=True)
    assert len(set(worth)) == len(worth)


def test_moments_of_returns_are_those_of_scipy() -> None:
    returns = np.random.default_rng(0).standard_t(4, 300) * 0.01 + 0.001
    facts = SharpeFacts.of(returns)
    assert facts is not None
    assert facts.sharpe == pytest.approx(np.mean(returns) / np.std(returns, ddof=1))
    assert facts.skewness == pytest.approx(stats.skew(returns))
    assert facts.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))


@pytest.mark.parametrize("returns", [[], [0.1, 0.2], [0.1] * 5])
def test_too_few_returns_or_equal_ones_have_no_sharpe_ratio(returns: list[float]) -> None:
    assert SharpeFacts.of(np.array(returns)) is None


def test_the_probability_of_a_sharpe_ratio_is_how_often_it_comes_out() -> None:
    # Of worthless series, one in ten is found better than nothing with a probability above 0.9.
    generator = np.random.default_rng(1)
    found = [SharpeFacts.of(generator.normal(0, 1, 250)) for _ in range(4000)]
    share = np.mean([probabilistic_sharpe(facts) > 0.9 for facts in found if facts is not None])
    assert share == pytest.approx(0.1, abs=0.015)


def overfitting_by_the_book(returns: FloatArray, blocks: int) -> float:
    """The same figure step by step, as the paper tells it."""
    parts = np.array_split(returns, blocks)
    below = []
    for chosen in itertools.combinations(range(blocks), blocks // 2):
        inside = np.vstack([parts[number] for number in chosen])
        outside = np.vstack([parts[number] for number in range(blocks) if number not in chosen])
        best = (inside.mean(0) / inside.std(0, ddof=1)).argmax()
        rank = stats.rankdata(outside.mean(0) / outside.std(0, ddof=1))[best]
        relative = rank / (returns.shape[1] + 1)
        below.append(1.0 if relative < 0.5 else 0.5 if relative == 0.5 else 0.0)
    return float(np.mean(below))


@given(seed=st.integers(0, 2**32 - 1), trials=st.integers(2, 7), length=st.integers(2, 6))
def test_the_probability_of_overfitting_is_that_of_the_book(seed: int, trials: int, length: int) -> None:
    returns = np.random.default_rng(seed).normal(0, 1, (length * 6, trials))
    assert probability_of_overfitting(returns, blocks=6) == pytest.approx(overfitting_by_the_book(returns, 6))


def test_trials_without_skill_are_overfitted_half_the_time() -> None:
    generator = np.random.default_rng(3)
    found = [probability_of_overfitting(generator.normal(0, 1, (400, 30)), blocks=10) for _ in range(60)]
    # One draw proves nothing: the spread is wide, the mean is a half.
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)
    assert np.std(found) > 0.05


def test_a_trial_with_a_real_edge_is_chosen_rightly() -> None:
    returns = np.random.default_rng(4).normal(0, 1, (800, 30))
    returns[:, 17] += 0.3
    assert probability_of_overfitting(returns) < 0.01


def test_what_does_not_fill_the_blocks_is_left_off_at_the_beginning() -> None:
    returns = np.random.default_rng(6).normal(0, 1, (40, 3))
    longer = np.vstack([np.full((3, 3), 1e6), returns])
    assert probability_of_overfitting(longer, blocks=4) == probability_of_overfitting(returns, blocks=4)


@pytest.mark.parametrize(("shape", "blocks"), [((40, 1), 4), ((40, 3), 5), ((7, 3), 4), ((40, 3), 0)])
def test_what_cannot_be_halved_is_refused(shape: tuple[int, int], blocks: int) -> None:
    with pytest.raises(InvalidInputError, match=f"{shape[0]} observations of {shape[1]} trials in {blocks} blocks"):
        probability_of_overfitting(np.zeros(shape), blocks=blocks)
