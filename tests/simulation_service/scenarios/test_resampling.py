"""The stationary bootstrap, against its definition and against the package arch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from barlake.errors import InvalidInputError
from simulation_service.scenarios.resampling import stationary_bootstrap


@settings(max_examples=50, deadline=None)
@given(size=some.integers(1, 30), length=some.integers(1, 60), block=some.floats(1, 40), seed=some.integers(0, 999))
def test_every_place_continues_its_run_or_begins_one(size: int, length: int, block: float, seed: int) -> None:
    drawn = stationary_bootstrap(np.random.default_rng(seed), size=size, shape=(3, length), block_sessions=block)
    assert drawn.shape == (3, length)
    assert drawn.min() >= 0
    assert drawn.max() < size


def test_runs_have_the_mean_length_asked_for_and_every_observation_is_as_likely() -> None:
    drawn = stationary_bootstrap(np.random.default_rng(7), size=500, shape=(200, 1000), block_sessions=8)
    continues = (drawn[:, 1:] - drawn[:, :-1]) % 500 == 1
    # A new run begins by chance where the last one would have gone on, once in 500.
    assert 1 / (1 - continues.mean()) == pytest.approx(8, rel=0.03)
    counts = np.bincount(drawn.ravel(), minlength=500)
    assert counts.mean() == 400
    assert counts.min() > 200
    assert counts.max() < 600


def test_a_block_of_one_session_draws_each_place_by_itself() -> None:
    drawn = stationary_bootstrap(np.random.default_rng(7), size=10, shape=(100, 1000), block_sessions=1)
    assert np.mean((drawn[:, 1:] - drawn[:, :-1]) % 10 == 1) == pytest.approx(0.1, abs=0.005)


def test_the_mean_of_a_resampled_series_spreads_as_that_of_the_package_arch() -> None:
    from arch.bootstrap import StationaryBootstrap

    generator = np.random.default_rng(3)
    series = np.convolve(generator.normal(size=404), np.ones(5) / 5, mode="valid")
    own = series[stationary_bootstrap(generator, size=400, shape=(4000, 400), block_sessions=10)].mean(axis=1)
    other = StationaryBootstrap(10, series, seed=5).apply(np.mean, 4000).ravel()
    assert own.mean() == pytest.approx(other.mean(), abs=0.003)
    assert own.std() == pytest.approx(other.std(), rel=0.05)


@pytest.mark.parametrize(
    ("size", "shape", "block"), [(0, (1, 1), 2), (3, (0, 1), 2), (3, (1, 0), 2), (3, (1, 1), 0.5), (3, (1, 1), np.nan)]
)
def test_nothing_to_draw_from_is_refused(size: int, shape: tuple[int, int], block: float) -> None:
    with pytest.raises(InvalidInputError, match="at least 1"):
        stationary_bootstrap(np.random.default_rng(0), size=size, shape=shape, block_sessions=block)
