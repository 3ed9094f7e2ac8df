"""Strategies on synthetic paths: who only holds gets what the drawn sessions add up to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from barlake.errors import InvalidInputError
from barlake.sessions import Calendar
from simulation_service.plan import SimulationPlan, StrategySource
from simulation_service.scenarios.session_blocks import SessionBlocks
from simulation_service.scenarios.traded_paths import traded_paths
from simulation_service.scenarios.trading import Trader
from simulation_service.scenarios.volatility_paths import LONGEST_WITHOUT_LEVEL, VolatilityModel, session_log_returns
from simulation_service.strategies.catalogue import make_strategy

BarMaker = Callable[..., pl.DataFrame]


@pytest.fixture
def trader() -> Trader:
    """A large account that buys and holds SPY."""
    plan = SimulationPlan(("SPY",), StrategySource("buy_and_hold"), cash_usd=100_000_000)
    return Trader(plan, make_strategy("buy_and_hold"), "sip", "regular", Calendar.default())


def test_who_holds_gets_the_product_of_the_drawn_sessions(bars_of: BarMaker, trader: Trader) -> None:
    blocks = SessionBlocks.of(bars_of("SPY", sessions=30, minutes=5))
    done: list[tuple[str, int, int]] = []
    futures = traded_paths(trader, blocks, paths=4, block_sessions=3, seed=9, notify=lambda *step: done.append(step))
    assert done[-1] == ("paths", 4, 4)
    assert futures.closes.shape == (4, 30)
    order = blocks.draw(np.random.default_rng(9), paths=4, block_sessions=3)
    growth = np.exp(np.cumsum(session_log_returns(blocks, "SPY")[order], axis=1))
    # Bought at the second open, not at the close before the first session: from there on they go together.
    steps = futures.closes[:, 1:] / futures.closes[:, :-1]
    assert steps == pytest.approx(growth[:, 1:] / growth[:, :-1], abs=2e-5)
    assert (futures.lowest <= futures.closes.min(axis=1)).all()


def test_the_same_seed_gives_the_same_futures(bars_of: BarMaker, trader: Trader) -> None:
    blocks = SessionBlocks.of(bars_of("SPY", sessions=10, minutes=3))
    one, two, other = (traded_paths(trader, blocks, paths=2, seed=seed).closes for seed in (1, 1, 2))
    assert one.tobytes() == two.tobytes()
    assert (one != other).any()


def test_volatility_that_comes_and_goes_moves_the_paths(bars_of: BarMaker, trader: Trader) -> None:
    blocks = SessionBlocks.of(bars_of("SPY", sessions=120, minutes=3))
    returns = session_log_returns(blocks, "SPY")
    model = VolatilityModel.fit(returns)
    futures = traded_paths(trader, blocks, paths=3, sessions=20, seed=4, model=model)
    order = blocks.draw(np.random.default_rng(4), paths=3, block_sessions=5)[:, :20]
    wanted = model.simulate(order)[0]
    assert np.diff(np.log(futures.closes), axis=1) == pytest.approx(wanted[:, 1:], abs=2e-5)
    lasting = VolatilityModel(model.fitted, model.volatility, persistence=1.0)
    assert traded_paths(trader, blocks, paths=1, model=lasting).closes.shape == (1, LONGEST_WITHOUT_LEVEL)


@pytest.mark.parametrize("sessions", [0, 11])
def test_a_path_cannot_be_longer_than_the_bars(bars_of: BarMaker, trader: Trader, sessions: int) -> None:
    with pytest.raises(InvalidInputError, match="10 sessions to stand on"):
        traded_paths(trader, SessionBlocks.of(bars_of("SPY", sessions=10)), paths=1, sessions=sessions)
