from __future__ import annotations

import re

import numpy as np
import pytest

from simulation_service.tear_sheet.deals import MOST_TRADES, groups, last_trades, scatter
from tests.simulation_service.tear_sheet.small_run import trade, trades_table


def dots(path: str) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in re.findall(r"M(-?\d+) (-?\d+)h0", path)]


def test_trades_stand_by_length_and_return_won_and_lost_apart() -> None:
    chart = scatter(trades_table(trade(1, 0.02), trade(100, -0.02), trade(10, 0.0), trade(5, 0.5, is_open=True)))
    assert chart is not None
    lost, won = chart.lines
    assert (lost.legend, len(dots(lost.path)), won.legend, len(dots(won.path))) == ("Lost or even", 2, "Won", 1)
    (short, up), ((long, down), (middle, even)) = dots(won.path)[0], sorted(dots(lost.path), reverse=True)
    assert short < middle < long
    assert up < even < down
    assert even == round(chart.zero * chart.height / 100)


def test_no_closed_trade_is_no_chart() -> None:
    assert scatter(trades_table()) is None
    assert scatter(trades_table(trade(1, 0.1, is_open=True))) is None


def test_any_number_of_trades_makes_a_chart_of_few_dots_that_keeps_the_corners() -> None:
    rng = np.random.default_rng(2)
    many = (
        trades_table(trade(1, -0.5), trade(100_000, 0.5))
        .sample(0)
        .vstack(
            trades_table(
                *[
                    trade(int(minutes), value)
                    for minutes, value in zip(rng.integers(1, 5000, 9000), rng.normal(size=9000), strict=True)
                ]
            )
        )
    )
    chart = scatter(many)
    assert chart is not None
    found = [dots(line.path) for line in chart.lines]
    assert all(len(places) <= 4000 for places in found)
    assert len(set(found[0])) == len(found[0])


def test_closed_trades_are_summed_up_by_reason_the_most_frequent_first() -> None:
    table = trades_table(trade(1, 0.01), trade(1, -0.02, reason="stop"), trade(1, 0.03), trade(1, 0.05, is_open=True))
    signal, stop = groups(table, "exit_reason")
    assert (signal.name, signal.trades, signal.won) == ("signal", 2, 1.0)
    assert signal.average_return == pytest.approx(0.02)
    assert signal.profit_usd == pytest.approx(40.0)
    assert (stop.name, stop.trades, stop.profit_usd) == ("stop", 1, pytest.approx(-20.0))


def test_long_list_of_trades_is_cut_and_says_how_many_more() -> None:
    found = last_trades(trades_table(*[trade(number + 1, 0.0) for number in range(MOST_TRADES + 7)]))
    assert (found["shown"], found["earlier"]) == (MOST_TRADES, 7)
    assert found["rows"][0]["exit_timestamp"] > found["rows"][-1]["exit_timestamp"]
