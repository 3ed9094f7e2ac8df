"""Sizes follow risk and proven skill, know only earlier sessions, and agree with pencil and with skfolio."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from simulation_service.sizing import (
    EqualRisk,
    FixedFraction,
    FractionalKelly,
    Optimised,
    Past,
    SignalWeight,
    Sizing,
    VolatilityTarget,
    make_sizing,
    risk_parity,
)
from simulation_service.ticks import FloatArray

METHODS: list[Sizing] = [
    FixedFraction(0.2),
    SignalWeight(0.5),
    VolatilityTarget(target=0.1, sessions=5),
    FractionalKelly(share=0.5, sessions=5),
    EqualRisk(sessions=8),
    Optimised(objective="hrp", sessions=8),
]


def past_of(returns: FloatArray, earned: FloatArray | None = None) -> Past:
    return Past(returns, returns if earned is None else earned, np.arange(returns.shape[0], dtype=np.int64) // 10)


def noise(sessions: int, symbols: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(0.0005, 0.01, (sessions, symbols))


def test_the_account_is_divided_evenly_where_no_fraction_is_given() -> None:
    assert (FixedFraction().weights(past_of(noise(3, 4))) == 0.25).all()
    assert (FixedFraction(0.1).weights(past_of(noise(3, 4))) == 0.1).all()


def test_a_volatility_target_by_hand() -> None:
    # Returns of +1 % and -1 % by turns: the sample deviation of four is 0.01 * sqrt(4/3).
    returns = np.array([[0.01], [-0.01], [0.01], [-0.01], [0.5]])
    found = VolatilityTarget(target=0.10, sessions=4).weights(past_of(returns))
    yearly = 0.01 * math.sqrt(4 / 3) * math.sqrt(252)
    assert (found[:4] == 0).all()
    assert found[4, 0] == pytest.approx(0.10 / yearly, rel=1e-12)


def test_a_volatility_target_shares_the_target_among_symbols_and_stops_at_its_most() -> None:
    returns = np.tile([[0.01, 1e-6], [-0.01, -1e-6]], (3, 1))
    found = VolatilityTarget(target=0.10, sessions=4, most=0.9).weights(past_of(returns))
    assert found[4, 0] == pytest.approx(0.05 / (0.01 * math.sqrt(4 / 3 * 252)), rel=1e-12)
    assert found[4, 1] == 0.9


def test_a_price_that_never_moved_gets_no_position() -> None:
    still = np.zeros((10, 1))
    for sizing in METHODS[2:]:
        assert (sizing.weights(past_of(still)) == 0).all()


def test_half_kelly_by_hand() -> None:
    # Mean 0.01 and variance (ddof 1) 4e-4/3 over four: shrunk by 1 - (4e-4/3)/(4 * 1e-4) = 2/3.
    earned = np.array([[0.02], [0.0], [0.02], [0.0], [0.0]])
    found = FractionalKelly(share=0.5, sessions=4, most=100.0).weights(past_of(earned))
    assert found[4, 0] == pytest.approx(0.5 * 0.01 * (2 / 3) / (4e-4 / 3), rel=1e-12)


def test_kelly_bets_nothing_on_a_loss_or_on_what_may_be_luck() -> None:
    losing = np.array([[-0.02], [0.0], [-0.02], [0.0], [0.0]])
    # A mean of 0.0025 with a deviation of 0.02 is within its own error.
    lucky = np.array([[0.0225], [-0.0175], [0.0225], [-0.0175], [0.0]])
    for earned in (losing, lucky):
        assert FractionalKelly(sessions=4).weights(past_of(earned))[4, 0] == 0


def test_kelly_above_one_half_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"share 0\.6 of Kelly: at most 0\.5"):
        FractionalKelly(share=0.6)


def test_equal_risk_gives_every_symbol_the_same_part_of_the_variance() -> None:
    mixing = np.random.default_rng(1).normal(size=(6, 6))
    covariance = mixing @ mixing.T + np.eye(6)
    weights = risk_parity(covariance)
    parts = weights * (covariance @ weights)
    assert parts == pytest.approx(np.full(6, parts.mean()), rel=1e-9)
    assert weights.sum() == pytest.approx(1.0)


def test_equal_risk_agrees_with_skfolio() -> None:
    from skfolio.optimization import RiskBudgeting

    returns = noise(200, 4) * np.array([1.0, 2.0, 3.0, 0.5])
    theirs = RiskBudgeting().fit(returns).weights_
    ours = EqualRisk(sessions=200).weights(past_of(np.vstack([returns, np.zeros((1, 4))])))[-1]
    assert ours == pytest.approx(np.asarray(theirs), abs=1e-4)


@pytest.mark.parametrize("objective", ["min_variance", "max_sharpe", "min_cvar", "hrp"])
def test_an_optimiser_of_skfolio_finds_weights_anew_in_each_month(objective: str) -> None:
    returns = noise(50, 3)
    found = Optimised(objective=objective, sessions=30, total=0.8).weights(past_of(returns))
    assert (found[:30] == 0).all()
    assert found[30:].sum(axis=1) == pytest.approx(np.full(20, 0.8))
    assert (found >= 0).all()
    assert (found[30] == found[39]).all()
    assert (found[39] != found[40]).any()


def test_the_smallest_variance_by_hand() -> None:
    # Two symbols that never move together: weights go by the inverse of the variance, 4 to 1.
    calm, restless = [0.01, -0.01, 0.01, -0.01], [0.02, 0.02, -0.02, -0.02]
    returns = np.column_stack([calm, restless]) + 1e-9
    found = Optimised(objective="min_variance", sessions=4).weights(past_of(np.vstack([returns, returns[:1]])))
    assert found[4] == pytest.approx(np.array([0.8, 0.2]), abs=5e-4)  # the solver stops there


@pytest.mark.parametrize("sizing", METHODS, ids=lambda sizing: sizing.name)
def test_sizes_of_a_session_know_nothing_of_it_or_of_later_ones(sizing: Sizing) -> None:
    returns = noise(40, 3)
    for row in (9, 15, 23):
        changed = returns.copy()
        changed[row:] = noise(40 - row, 3, seed=row) * 7
        before, after = sizing.weights(past_of(returns)), sizing.weights(past_of(changed))
        assert (before[: row + 1] == after[: row + 1]).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 7), st.integers(0, 2**31))
def test_risk_parity_is_positive_and_whole_for_any_covariance(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scales = 10.0 ** generator.uniform(-4, 1, size)
    mixing = generator.normal(size=(size, size + 2)) * scales[:, None]
    weights = risk_parity(mixing @ mixing.T)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("kely", {}, "sizing 'kely' is not known.*Did you mean 'kelly'"),
        ("kelly", {"shares": 0.1}, "has no parameter 'shares'.*Did you mean 'share'"),
        ("fraction", {"fraction": -0.1}, "fraction -0.1 of sizing 'fraction' must be a number above 0"),
        ("volatility", {"sessions": 1}, "sessions 1 to estimate from must be a whole number"),
        ("optimised", {"objective": "best"}, "objective 'best' is not known"),
    ],
)
def test_a_wrong_sizing_is_told_what_there_is(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make_sizing(name, parameters)


def test_a_sizing_says_its_name_and_parameters() -> None:
    assert make_sizing("volatility", {"target": 0.2}).as_dict() == {
        "name": "volatility", "target": 0.2, "sessions": 20, "most": 1.0,
    }  # fmt: skip
