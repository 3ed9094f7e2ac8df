from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation_service.ratios import sharpe_ratio
from simulation_service.tear_sheet.curves import (
    Paths,
    drawdown_chart,
    drawdowns,
    equity_chart,
    rolling_sharpe,
    sharpe_chart,
)
from tests.simulation_service.tear_sheet.small_run import bar_times, equity_table


def test_drawdown_of_the_first_bar_is_from_the_starting_cash() -> None:
    assert drawdowns(np.array([80.0, 100.0, 50.0]), 100.0) == pytest.approx([-0.2, 0.0, -0.5])


@given(st.lists(st.floats(-0.1, 0.1), min_size=0, max_size=40), st.integers(2, 10))
def test_rolling_sharpe_is_the_ratio_of_each_window(returns: list[float], window: int) -> None:
    array = np.array(returns)
    rolled = rolling_sharpe(array, window)
    for last in range(array.size):
        stretch = array[max(0, last + 1 - window) : last + 1]
        expected = sharpe_ratio(stretch) if stretch.size == window else None
        assert rolled[last] == pytest.approx(expected, rel=1e-9) if expected is not None else np.isnan(rolled[last])


def test_sessions_begin_and_end_where_their_dates_change() -> None:
    paths = Paths(equity_table([1000.0] * 10), 1000.0)
    assert (paths.starts.tolist(), paths.ends.tolist()) == ([0, 5], [4, 9])
    assert paths.sessions == [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    assert paths.held is None


def test_equity_chart_holds_every_curve_and_the_starting_cash() -> None:
    values = [1100.0, 1200.0, 1300.0, 1200.0, 1100.0, 1250.0, 1250.0, 1250.0, 1250.0, 1250.0]
    chart = equity_chart(Paths(equity_table(values, [1150.0] * 10), 1000.0), "Next open")
    assert [line.legend for line in chart.lines] == ["Buy and hold", "Next open"]
    assert chart.y_labels[0].text == "1,000"
    assert chart.zero == 100.0
    assert chart.lines[-1].path.startswith("M0.0 ")


def test_drawdown_chart_of_an_account_that_never_fell_has_a_height() -> None:
    chart = drawdown_chart(Paths(equity_table([1000.0] * 10), 1000.0), "Next open")
    assert chart.y_labels[-1].text == "0.00%"
    assert chart.area is not None
    assert chart.area.endswith("L1000 0L0 0Z")


@pytest.mark.parametrize(
    ("count", "window", "drawn"), [(41, 21, False), (42, 21, True), (125, 21, True), (126, 63, True), (504, 252, True)]
)
def test_rolling_window_grows_with_the_number_of_sessions(count: int, window: int, *, drawn: bool) -> None:
    days = [dt.date(2024, 1, 2) + dt.timedelta(days=number) for number in range(count)]
    times = bar_times(*days, minutes=1)
    values = (1000.0 + np.cumsum(np.random.default_rng(1).normal(size=count))).tolist()
    found, chart = sharpe_chart(Paths(equity_table(values, times=times), 1000.0), "Next open")
    assert found == window
    assert (chart is not None) is drawn


def test_an_account_that_never_traded_has_no_rolling_sharpe() -> None:
    times = bar_times(*[dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(60)], minutes=1)
    assert sharpe_chart(Paths(equity_table([1000.0] * 60, times=times), 1000.0), "Next open") == (21, None)
