from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation_service.kernel import Fill, replay
from simulation_service.metrics import (
    Drawdown,
    Metrics,
    cagr,
    max_drawdown,
    measure,
    session_returns,
    sharpe_ratio,
    sortino_ratio,
)
from simulation_service.ticks import TICKS_PER_DOLLAR
from simulation_service.trades import round_trips

ANSWERS = Path(__file__).parents[1] / "answers"


def answers(name: str) -> list[dict[str, str | None]]:
    return pl.read_csv(ANSWERS / name, comment_prefix="#", infer_schema=False).to_dicts()


def measured(closes: list[float], signals: list[float], sessions: list[int], cash: float) -> Metrics:
    prices = np.array(closes) * TICKS_PER_DOLLAR
    done = replay(
        np.array(signals),
        open_ticks=prices,
        close_ticks=prices,
        cash_ticks=int(cash * TICKS_PER_DOLLAR),
        fill=Fill.SAME_CLOSE,
    )
    start = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    stamps = pl.Series([start + dt.timedelta(days=day, minutes=bar) for bar, day in enumerate(sessions)])
    trips = round_trips(done, timestamp=stamps, close_ticks=prices)
    return measure(done, trips, timestamp=stamps, session=stamps.dt.date())


@pytest.mark.parametrize("answer", answers("metrics_sessions.csv"), ids=lambda answer: answer["returns"])
def test_ratios_from_session_returns_equal_the_worked_out_ones(answer: dict[str, str]) -> None:
    returns = np.array([float(text) for text in answer["returns"].split()])
    total = float(np.prod(1 + returns) - 1)
    assert total == pytest.approx(float(answer["total_return"]), rel=1e-12)
    assert sharpe_ratio(returns) == pytest.approx(float(answer["sharpe"]), rel=1e-12)
    assert sortino_ratio(returns) == pytest.approx(float(answer["sortino"]), rel=1e-12)
    assert cagr(total, sessions=returns.size) == pytest.approx(float(answer["cagr"]), rel=1e-11)


@pytest.mark.parametrize("answer", answers("metrics_drawdown.csv"), ids=lambda answer: answer["name"])
def test_drawdown_and_its_bars_equal_the_worked_out_ones(answer: dict[str, str | None]) -> None:
    equity = np.array([float(text) for text in str(answer["equity"]).split()])
    found = max_drawdown(equity, 100.0)
    expected = [None if (text := answer[name]) is None else int(text) for name in ("peak", "trough", "recovery")]
    assert found.fraction == pytest.approx(float(str(answer["fraction"])), abs=1e-12)
    assert [found.peak, found.trough, found.recovery] == expected


@given(st.lists(st.floats(1.0, 1e6), min_size=1, max_size=60))
def test_drawdown_equals_the_worst_pair_of_an_earlier_and_a_later_value(equity: list[float]) -> None:
    curve = [100.0, *equity]
    worst = max(1 - later / earlier for i, earlier in enumerate(curve) for later in curve[i:])
    assert max_drawdown(np.array(equity), 100.0).fraction == pytest.approx(worst, abs=1e-12)


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


def test_sharpe_comes_from_session_closes_and_not_from_bars() -> None:
    closes = [100.0, 130.0, 110.0, 60.0, 99.0, 10.0, 108.9, 200.0, 108.9]
    found = measured(closes, [1.0] * 9, [0, 0, 0, 1, 1, 2, 2, 3, 3], 100.0)
    # 100 -> 110 -> 99 -> 108.9 -> 108.9: the first line of metrics_sessions.csv.
    assert found.sharpe == pytest.approx(4.14509567824654462830)
    assert found.sortino == pytest.approx(7.93725393319377177150)


def test_figures_of_two_closed_trades_and_an_open_one_equal_pencil_arithmetic() -> None:
    # 10 shares 10 -> 12 (+20), 10 at 12 -> 9 (-30), 10 at 9 held to 10: cash 90, 100.., all within one session.
    found = measured([10.0, 12.0, 12.0, 9.0, 9.0, 10.0], [1.0, 0.0, 1.0, 0.0, 1.0, 1.0], [0] * 6, 100.0)
    # Equity: 100, 120, 120, 90, 90, 100. Dollars traded: 100 + 120 + 120 + 90 + 90.
    assert found.total_return == 0.0
    assert (found.trades, found.open_trade) == (2, True)
    assert found.hit_rate == 0.5
    assert found.profit_factor == pytest.approx(20 / 30)
    assert found.average_trade_usd == pytest.approx(-5.0)
    assert found.average_trade_return == pytest.approx((0.2 - 0.25) / 2)
    assert found.exposure == pytest.approx(4 / 6)
    assert found.turnover == pytest.approx(520 / (620 / 6))
    assert found.max_drawdown == pytest.approx(0.25)
    assert found.drawdown_start == "2024-01-02T14:32:00+00:00"
    assert found.drawdown_bottom == "2024-01-02T14:33:00+00:00"
    assert found.drawdown_end is None
    assert found.break_even_cost_bps is None


def test_break_even_cost_is_profit_by_dollars_traded() -> None:
    found = measured([10.0, 12.0], [1.0, 0.0], [0, 0], 100.0)
    assert found.break_even_cost_bps == pytest.approx(20 / 220 * 1e4)


def test_figures_that_are_not_defined_are_none_and_never_zero() -> None:
    found = measured([10.0, 10.0], [0.0, 0.0], [0, 0], 100.0)
    undefined = [
        name
        for name in ("cagr", "sharpe", "sortino", "hit_rate", "profit_factor", "average_trade_usd")
        if getattr(found, name) is None
    ]
    assert len(undefined) == 6
    assert (found.total_return, found.max_drawdown, found.exposure, found.turnover) == (0.0, 0.0, 0.0, 0.0)


def test_profit_factor_without_a_loss_is_not_defined() -> None:
    assert measured([10.0, 12.0], [1.0, 0.0], [0, 0], 100.0).profit_factor is None


@pytest.mark.parametrize("returns", [[], [0.01], [0.01, 0.01]])
def test_sharpe_needs_two_returns_that_differ(returns: list[float]) -> None:
    assert sharpe_ratio(np.array(returns)) is None


@pytest.mark.parametrize("returns", [[], [-0.01], [0.01, 0.02]])
def test_sortino_needs_two_returns_and_a_loss(returns: list[float]) -> None:
    assert sortino_ratio(np.array(returns)) is None


@pytest.mark.parametrize(("total", "sessions"), [(0.1, 1), (-1.0, 252), (1e300, 2)])
def test_growth_a_year_is_none_where_it_says_nothing(total: float, sessions: int) -> None:
    assert cagr(total, sessions=sessions) is None


def test_curve_that_never_falls_has_no_drawdown_dates() -> None:
    assert max_drawdown(np.array([100.0, 101.0]), 100.0) == Drawdown(0.0, None, None, None)
