from __future__ import annotations

import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation_service.drawdown import max_drawdown
from simulation_service.ratios import (
    cagr,
    calmar_ratio,
    expected_shortfall,
    last_bars,
    session_returns,
    sharpe_ratio,
    sortino_ratio,
    tail_ratio,
    value_at_risk,
    volatility,
)

with warnings.catch_warnings():
    # What other libraries' imports say is not ours to fail on.
    warnings.simplefilter("ignore")
    import empyrical
    import quantstats.stats as quantstats

ANSWERS = Path(__file__).parents[1] / "answers" / "metrics_sessions.csv"
WORKED_OUT = pl.read_csv(ANSWERS, comment_prefix="#", infer_schema=False).to_dicts()
YEARS = np.random.default_rng(4).standard_t(3, (12, 756)) * 0.01


@pytest.mark.parametrize(
    "answer",
    WORKED_OUT,
    ids=lambda answer: answer["returns"],
)
def test_ratios_from_session_returns_equal_the_worked_out_ones(answer: dict[str, str]) -> None:
    returns = np.array([float(text) for text in answer["returns"].split()])
    total = float(np.prod(1 + returns) - 1)
    assert total == pytest.approx(float(answer["total_return"]), rel=1e-12)
    assert sharpe_ratio(returns) == pytest.approx(float(answer["sharpe"]), rel=1e-12)
    assert sortino_ratio(returns) == pytest.approx(float(answer["sortino"]), rel=1e-12)
    assert cagr(total, sessions=returns.size) == pytest.approx(float(answer["cagr"]), rel=1e-11)


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60))
def test_ratios_equal_a_plain_reference(values: list[float]) -> None:
    n = len(values)
    mean = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    downside = math.sqrt(math.fsum(min(value, 0.0) ** 2 for value in values) / n)
    found = sharpe_ratio(np.array(values)), sortino_ratio(np.array(values))
    if deviation > 1e-9:
        assert found[0] == pytest.approx(mean / deviation * math.sqrt(252), rel=1e-6, abs=1e-6)
    if downside > 1e-9:
        assert found[1] == pytest.approx(mean / downside * math.sqrt(252), rel=1e-6, abs=1e-6)


def test_loss_of_the_first_session_counts() -> None:
    returns = session_returns(np.array([95.0, 90.0, 99.0]), np.array([1, 2]), 100.0)
    assert returns == pytest.approx([-0.1, 0.1])


@pytest.mark.parametrize("returns", [[], [0.01], [0.01, 0.01]])
def test_sharpe_needs_two_returns_that_differ(returns: list[float]) -> None:
    assert sharpe_ratio(np.array(returns)) is None


@pytest.mark.parametrize("returns", [[], [-0.01], [0.01, 0.02]])
def test_sortino_needs_two_returns_and_a_loss(returns: list[float]) -> None:
    assert sortino_ratio(np.array(returns)) is None


@pytest.mark.parametrize(("total", "sessions"), [(0.1, 1), (-1.0, 252), (1e300, 2)])
def test_growth_a_year_is_none_where_it_says_nothing(total: float, sessions: int) -> None:
    assert cagr(total, sessions=sessions) is None


def dated(returns: np.ndarray) -> pd.Series:
    return pd.Series(returns, index=pd.date_range("2020-01-01", periods=returns.size))


def close(returns: np.ndarray) -> np.ndarray:
    return 100.0 * np.cumprod(1 + returns)


@pytest.mark.parametrize("returns", YEARS, ids=range(len(YEARS)))
def test_every_figure_equals_that_of_empyrical(returns: np.ndarray) -> None:
    total = float(np.prod(1 + returns) - 1)
    growth = cagr(total, sessions=returns.size)
    deepest = max_drawdown(close(returns), 100.0).fraction
    ours = [
        growth,
        volatility(returns),
        sharpe_ratio(returns),
        sortino_ratio(returns),
        deepest,
        calmar_ratio(growth, deepest),
        tail_ratio(returns),
        value_at_risk(returns),
        expected_shortfall(returns),
    ]
    theirs = [
        empyrical.annual_return(returns),
        empyrical.annual_volatility(returns),
        empyrical.sharpe_ratio(returns),
        empyrical.sortino_ratio(returns),
        -empyrical.max_drawdown(returns),
        empyrical.calmar_ratio(returns),
        empyrical.tail_ratio(returns),
        -empyrical.value_at_risk(returns),
        -empyrical.conditional_value_at_risk(returns),
    ]
    assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("returns", YEARS, ids=range(len(YEARS)))
def test_every_figure_that_quantstats_has_too_is_the_same(returns: np.ndarray) -> None:
    growth = cagr(float(np.prod(1 + returns) - 1), sessions=returns.size)
    deepest = max_drawdown(close(returns), 100.0).fraction
    theirs = dated(returns)
    assert growth == pytest.approx(quantstats.cagr(theirs), rel=1e-9)
    assert volatility(returns) == pytest.approx(quantstats.volatility(theirs), rel=1e-9)
    assert sharpe_ratio(returns) == pytest.approx(quantstats.sharpe(theirs), rel=1e-9)
    assert sortino_ratio(returns) == pytest.approx(quantstats.sortino(theirs), rel=1e-9)
    assert deepest == pytest.approx(-quantstats.max_drawdown(theirs), rel=1e-9)
    assert calmar_ratio(growth, deepest) == pytest.approx(quantstats.calmar(theirs), rel=1e-9)
    assert tail_ratio(returns) == pytest.approx(quantstats.tail_ratio(theirs), rel=1e-9)


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60))
def test_worst_sessions_lose_on_average_at_least_the_value_at_risk(values: list[float]) -> None:
    returns = np.array(values)
    risk, shortfall = value_at_risk(returns), expected_shortfall(returns)
    assert risk is not None
    assert shortfall is not None
    assert -returns.max() - 1e-12 <= risk <= shortfall + 1e-12 <= -returns.min() + 2e-12


@pytest.mark.parametrize("figure", [volatility, tail_ratio, value_at_risk, expected_shortfall])
@pytest.mark.parametrize("returns", [[], [0.01]])
def test_one_session_has_no_spread_and_no_tail(figure: object, returns: list[float]) -> None:
    assert callable(figure)
    assert figure(np.array(returns)) is None


def test_tail_without_losses_has_no_ratio() -> None:
    assert tail_ratio(np.array([0.0] * 19 + [0.5])) is None


@pytest.mark.parametrize(("growth", "deepest"), [(None, 0.1), (0.1, 0.0)])
def test_calmar_needs_growth_and_a_fall(growth: float | None, deepest: float) -> None:
    assert calmar_ratio(growth, deepest) is None


def test_account_that_is_ruined_earns_nothing_afterwards() -> None:
    # 100 -> 50 -> -25 (short of a price that rose) -> -50 -> 10: from the second close on there is no capital.
    returns = session_returns(np.array([50.0, -25.0, -50.0, 10.0]), np.arange(4), 100.0)
    assert returns.tolist() == [-0.5, -1.5, 0.0, 0.0]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_last_bar_of_each_session_is_where_the_next_one_begins(lengths: list[int]) -> None:
    session = np.repeat(np.arange(len(lengths)), lengths)
    assert last_bars(session).tolist() == (np.cumsum(lengths) - 1).tolist()
