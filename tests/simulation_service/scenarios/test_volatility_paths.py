"""GARCH paths: arch's simulation, the recursion by hand, and the minutes that come out of them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from barlake.errors import InvalidInputError
from simulation_service.scenarios.session_blocks import SessionBlocks
from simulation_service.scenarios.volatility_paths import (
    LONGEST_WITHOUT_LEVEL,
    VolatilityModel,
    session_log_returns,
)

BarMaker = Callable[..., pl.DataFrame]


def made_up(sessions: int, *, alpha: float, beta: float, seed: int = 0) -> np.ndarray:
    """Returns of a GARCH(1,1) process of about 1 % a session."""
    generator = np.random.default_rng(seed)
    omega = 1e-4 * max(1 - alpha - beta, 0.001)
    variance, shock, out = 1e-4, 0.0, []
    for draw in generator.normal(size=sessions):
        variance = omega + alpha * shock**2 + beta * variance
        shock = draw * np.sqrt(variance)
        out.append(shock)
    return np.array(out)


@pytest.mark.parametrize("asymmetric", [False, True])
def test_a_path_follows_the_recursion_worked_out_by_hand(*, asymmetric: bool) -> None:
    returns = made_up(800, alpha=0.1, beta=0.85)
    model = VolatilityModel.fit(returns, asymmetric=asymmetric)
    order = np.random.default_rng(1).integers(800, size=(5, 40))
    simulated, volatility = model.simulate(order)
    terms = model.fitted.params
    gamma = terms["gamma[1]"] if asymmetric else 0.0
    shock, variance = np.asarray(model.fitted.resid)[-1], np.asarray(model.fitted.conditional_volatility)[-1] ** 2
    residuals = np.asarray(model.fitted.std_resid)
    for place in range(40):
        arch = terms["alpha[1]"] + gamma * (np.asarray(shock) < 0)
        variance = terms["omega"] + arch * shock**2 + terms["beta[1]"] * variance
        shock = residuals[order[:, place]] * np.sqrt(variance)
        assert volatility[:, place] * 100 == pytest.approx(np.sqrt(variance))
        assert simulated[:, place] * 100 == pytest.approx(terms["mu"] + shock)


def test_the_parameters_of_a_known_process_are_found() -> None:
    model = VolatilityModel.fit(made_up(5000, alpha=0.1, beta=0.85))
    assert model.persistence == pytest.approx(0.95, abs=0.02)
    assert model.longest(252) == 252


def test_a_volatility_without_a_level_shortens_the_path() -> None:
    model = VolatilityModel.fit(made_up(3000, alpha=0.15, beta=0.85, seed=3))
    assert model.persistence > 0.9973
    assert model.longest(252) == LONGEST_WITHOUT_LEVEL
    assert model.longest(20) == 20


def test_minutes_of_a_path_close_where_the_model_says(bars_of: BarMaker) -> None:
    blocks = SessionBlocks.of(bars_of("SPY", sessions=120, minutes=4))
    real = session_log_returns(blocks, "SPY")
    model = VolatilityModel.fit(real)
    order = blocks.draw(np.random.default_rng(2), paths=2, block_sessions=1)
    stretch, tilt = model.bends(order, real)
    wanted, volatility = model.simulate(order)
    path = blocks.path(order[1], stretch=stretch[1], tilt=tilt[1])
    closes = path.group_by("session", maintain_order=True).agg(pl.col("close").last())["close"].to_numpy()
    begins = blocks.sessions["previous_close"][0]
    assert np.diff(np.log([begins, *closes])) == pytest.approx(wanted[1], abs=5e-6)
    assert stretch == pytest.approx(volatility / model.volatility[order])


def test_too_few_sessions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="99 sessions are too few"):
        VolatilityModel.fit(np.zeros(99))


def test_without_the_package_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arch", None)
    with pytest.raises(InvalidInputError, match=r'pip install "barlake\[garch\]"'):
        VolatilityModel.fit(made_up(200, alpha=0.1, beta=0.8))
