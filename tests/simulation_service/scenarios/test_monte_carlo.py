"""Futures of an account against probabilities that can be counted out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from barlake.errors import InvalidInputError
from simulation_service.scenarios.monte_carlo import Futures, account_paths, best_block_sessions, share_interval

COIN = np.array([0.1, -0.1])


def counted(sessions: int, level: float) -> tuple[float, float]:
    """Probability of ruin and of a loss when each session is a throw of the coin, from all there are."""
    ruined = lost = 0
    for throws in itertools.product(1 + COIN, repeat=sessions):
        values = np.cumprod(throws)
        ruined += values.min() <= level
        lost += values[-1] < 1
    return ruined / 2**sessions, lost / 2**sessions


def test_risk_of_ruin_and_of_loss_are_those_of_a_coin() -> None:
    ruin, loss = counted(8, 0.75)
    figures = account_paths(COIN, paths=40_000, sessions=8, block_sessions=1, seed=1).as_dict(cash_usd=1000, ruin=0.75)
    low, high = figures["risk_of_ruin_interval"]
    assert low < ruin < high
    assert figures["risk_of_ruin"] == pytest.approx(ruin, abs=0.008)
    assert figures["probability_of_loss"] == pytest.approx(loss, abs=0.008)
    assert figures["ruin_level_usd"] == 750
    assert figures["mean_total_return"] == pytest.approx(0, abs=0.01)


def test_figures_of_paths_worked_out_by_hand() -> None:
    futures = Futures.of_closes(np.array([[1.2, 0.6, 0.9], [0.5, 1.0, 1.1]]))
    assert futures.lowest.tolist() == [0.6, 0.5]
    assert futures.drawdowns.tolist() == [0.5, 0.5]
    assert futures.fan([0.5]).tolist() == [[1.0, 0.85, 0.8, 1.0]]
    assert futures.ruined(0.5) == 0.5


def test_long_runs_keep_storms_together_and_widen_the_spread() -> None:
    returns = np.repeat([0.01, -0.01], 50)
    short, long = (
        account_paths(returns, paths=4000, block_sessions=block, seed=2).closes[:, -1].std() for block in (1, 25)
    )
    assert long > 3 * short


def test_an_account_that_loses_everything_stays_at_nothing() -> None:
    futures = account_paths(np.array([-1.5, 0.5]), paths=50, sessions=30, seed=1)
    assert (futures.closes[:, -1] == 0).all()
    assert futures.ruined(0.5) == 1.0
    assert (futures.drawdowns == 1.0).all()


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two = (account_paths(COIN, paths=5, sessions=9, seed=4).closes for _ in range(2))
    assert one.tobytes() == two.tobytes()
    assert (account_paths(COIN, paths=5, sessions=9, seed=5).closes != one).any()


def test_the_interval_of_a_share_is_that_of_scipy() -> None:
    from scipy.stats import binomtest

    for hits, count in ((0, 50), (7, 100), (100, 100)):
        expected = binomtest(hits, count).proportion_ci(method="wilson")
        assert share_interval(hits / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_best_block_of_a_series_without_memory_is_short() -> None:
    generator = np.random.default_rng(1)
    noise = generator.normal(size=2000)
    assert 1 <= best_block_sessions(noise) < 5 < best_block_sessions(np.convolve(noise, np.ones(20), mode="valid"))


@pytest.mark.parametrize("returns", [np.array([0.1]), np.array([0.1, np.nan])])
def test_returns_that_cannot_be_resampled_are_refused(returns: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="at least 2 sessions"):
        account_paths(returns, paths=2)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_a_level_that_nobody_is_ruined_at_is_refused(level: float) -> None:
    with pytest.raises(InvalidInputError, match="a share of the cash"):
        account_paths(COIN, paths=2).as_dict(cash_usd=1, ruin=level)
