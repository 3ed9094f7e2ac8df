from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kurtosis, norm, skew

from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay, replay
from simulation_service.market import Market
from simulation_service.metrics import Metrics, measure
from simulation_service.ticks import TICKS_PER_DOLLAR, FloatArray
from simulation_service.trades import round_trips

ANSWERS = Path(__file__).parents[1] / "answers"


def traded(closes: list[float], signals: list[float], cash: float, stamps: pl.Series) -> tuple[Replay, pl.DataFrame]:
    prices = np.array(closes) * TICKS_PER_DOLLAR
    done = replay(
        np.array(signals),
        Market.from_ticks(prices, prices),
        cash_ticks=int(cash * TICKS_PER_DOLLAR),
        execution=Execution(Fill.SAME_CLOSE),
    )
    return done, round_trips(done, timestamp=stamps, close_ticks=prices)


def measured(closes: list[float], signals: list[float], sessions: list[int], cash: float) -> Metrics:
    start = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    stamps = pl.Series([start + dt.timedelta(days=day, minutes=bar) for bar, day in enumerate(sessions)])
    done, trips = traded(closes, signals, cash, stamps)
    return measure(done, trips, timestamp=stamps, session=stamps.dt.date())


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


def test_risk_figures_of_four_sessions_equal_pencil_arithmetic() -> None:
    # Equity at session closes: 100 -> 110 -> 99 -> 108.9 -> 108.9; one trade, open, all cash in shares from the start.
    found = measured([100.0, 110.0, 99.0, 108.9, 108.9], [1.0] * 5, [0, 0, 1, 2, 3], 100.0)
    growth = 1.089 ** (252 / 4) - 1
    assert found.cagr == pytest.approx(growth)
    assert found.volatility == pytest.approx(math.sqrt(0.0275 / 3) * math.sqrt(252))
    assert found.calmar == pytest.approx(growth / 0.1)
    assert found.longest_drawdown_sessions == 3
    # Percentiles of -0.1, 0, 0.1, 0.1: at 0.15 of the way from the first to the second, and at the top.
    assert found.value_at_risk == pytest.approx(0.085)
    assert found.tail_ratio == pytest.approx(0.1 / 0.085)
    assert found.expected_shortfall == pytest.approx(0.1)
    assert (found.exposure, found.gross_exposure) == (1.0, 1.0)
    assert found.capacity_usd is None


def test_probabilistic_sharpe_is_that_of_the_session_returns() -> None:
    found = measured([100.0, 110.0, 99.0, 108.9, 108.9], [1.0] * 5, [0, 0, 1, 2, 3], 100.0)
    returns = np.array([0.1, -0.1, 0.1, 0.0])
    assert found.sharpe is not None
    sharpe = found.sharpe / math.sqrt(252)
    error = math.sqrt((1 - skew(returns) * sharpe + (kurtosis(returns, fisher=False) - 1) / 4 * sharpe**2) / 3)
    assert found.probabilistic_sharpe == pytest.approx(norm.cdf(sharpe / error))


def test_capacity_comes_from_the_volume_of_the_bars_filled_in() -> None:
    # 10 shares of 100 and 10 of 400: the first is 10 % of its bar, so a tenth of the cash would be 1 %.
    closes, stamps = [10.0, 12.0], pl.Series([dt.datetime(2024, 1, 2, 15, minute, tzinfo=dt.UTC) for minute in (0, 1)])
    done, trips = traded(closes, [1.0, 0.0], 100.0, stamps)
    found = measure(
        done, trips, timestamp=stamps, session=stamps.dt.date(), fill_volume=np.array([100.0, 400.0])[done.fill_bars]
    )
    assert found.capacity_usd == pytest.approx(10.0)


def test_every_figure_is_described() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert [name for name in Metrics.__dataclass_fields__ if f"`{name}`" not in page] == []


@dataclass(frozen=True, eq=False)
class Drawn:
    """An account of any equity, also in debt, that never traded but holds what it does not hold in cash."""

    start_cash: int
    cash: FloatArray
    equity: FloatArray
    fill_bars: npt.NDArray[np.int64]
    fill_shares: FloatArray
    fill_prices: FloatArray


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30), st.integers(1, 5))
def test_whatever_became_of_an_account_its_figures_are_numbers_or_not_defined(equity: list[int], bars: int) -> None:
    nothing = np.zeros(0)
    done = Drawn(10**8, np.zeros(len(equity)), np.array(equity, float), np.zeros(0, np.int64), nothing, nothing)
    stamps = pl.Series(
        [dt.datetime(2024, 1, 2, tzinfo=dt.UTC) + dt.timedelta(minutes=bar) for bar in range(len(equity))]
    )
    trips = pl.DataFrame(schema={"profit_usd": pl.Float64(), "simple_return": pl.Float64(), "is_open": pl.Boolean()})
    session = pl.Series([dt.date(2024, 1, 2) + dt.timedelta(days=bar // bars) for bar in range(len(equity))])
    found = measure(done, trips, timestamp=stamps, session=session, fill_volume=nothing).as_dict()
    assert all(math.isfinite(value) for value in found.values() if isinstance(value, float))
    assert json.loads(json.dumps(found)) == found
    assert found["max_drawdown"] >= 0
