"""A strategy under scenarios, worked out by hand on a few bars and followed through a feed that is out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import ClassVar

import polars as pl
import pytest

from barlake.errors import InvalidInputError, NotFoundError
from barlake.sessions import Calendar
from simulation_service.plan import SimulationPlan, StrategySource
from simulation_service.scenarios.scenario_table import Scenario
from simulation_service.scenarios.shocks import FeedOutage, Gap, Halt, Stage
from simulation_service.scenarios.stress import stress
from simulation_service.scenarios.trading import Trader
from simulation_service.strategies.base import Strategy

BarMaker = Callable[..., pl.DataFrame]


class Always(Strategy):
    """Wants to be long."""

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        return pl.Series([1.0] * bars.height)


class SellsAt(Strategy):
    """Long, but flat in the minute that opens at a New York time."""

    looked_at: ClassVar[list[int]] = []

    def __init__(self, time: str = "09:40") -> None:
        self.time = time

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        self.looked_at.append(bars.height)
        clock = bars["timestamp"].dt.convert_time_zone("America/New_York").dt.time()
        return (clock != dt.time.fromisoformat(self.time)).cast(pl.Float64)


def trader(strategy: Strategy | None, *, feed: str = "sip", symbol: str = "SPY") -> Trader:
    plan = SimulationPlan((symbol,), StrategySource("buy_and_hold"), cash_usd=100_000)
    return Trader(plan, strategy, feed, "regular", Calendar.default())


def no_span(scenario: Scenario) -> pl.DataFrame:
    raise NotFoundError(f"no bars of {scenario.start}")


def test_a_gap_takes_a_tenth_from_who_holds_through_it(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=4)
    report = stress(trader(Always()), bars, [Scenario("gap", "", shocks=(Gap(-0.1),))], span=no_span)
    plain, gapped = report.outcomes
    assert not plain.is_synthetic
    assert gapped.is_synthetic
    assert plain.traded is not None
    assert gapped.traded is not None
    shares = plain.traded.account.fill_shares[0]
    # The same shares, bought before; what is left of the cash lay idle.
    idle = plain.traded.account.cash[-1] / 10_000
    close = round(bars["close"][-1] * 0.9, 4)
    assert gapped.traded.account.final_value / 10_000 == pytest.approx(idle + shares * close, abs=1e-4)
    row = report.table().row(1, named=True)
    assert row["max_drawdown"] > 0.1
    assert row["worst_session"] < -0.09
    # Buy and hold has its shares from the first open, a bar earlier.
    assert row["total_return"] == pytest.approx(row["buy_and_hold"], abs=0.002)


def test_while_the_feed_is_out_nothing_is_decided_and_what_is_held_is_kept(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=2, minutes=20)
    day = bars["session"][0].isoformat()
    outage = Scenario("outage", "", shocks=(FeedOutage(time="09:38", minutes=5, session=day),))
    SellsAt.looked_at.clear()
    plain, out = stress(trader(SellsAt()), bars, [outage], span=no_span).outcomes
    assert plain.traded is not None
    assert out.traded is not None
    # Bar 10 of each session says sell; in the first one nobody sees it.
    assert plain.traded.account.fill_bars.tolist() == [1, 11, 12, 31, 32]
    assert out.traded.account.fill_bars.tolist() == [1, 31, 32]
    assert SellsAt.looked_at == [40, 35]


def test_an_order_sent_before_a_halt_fills_at_the_first_bar_after_it(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=1, minutes=30)
    halt = Scenario("halt", "", shocks=(Halt(time="09:41", minutes=10),))
    _, halted = stress(trader(SellsAt()), bars, [halt], span=no_span).outcomes
    assert halted.traded is not None
    account = halted.traded.account
    assert halted.traded.bars["timestamp"][int(account.fill_bars[1])].minute == 51
    assert account.fill_prices[1] == round(bars["open"][21] * 10_000)


def test_signals_without_a_strategy_stay_with_their_minutes(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=2, minutes=5).with_columns(signal=pl.Series([1.0, None, 0.0, None, None] * 2))
    gap = Scenario("gap", "", shocks=(Gap(0.5, time="09:32"),))
    report = stress(trader(None), bars, [gap], span=no_span)
    assert [outcome.traded.account.fill_bars.tolist() for outcome in report.outcomes if outcome.traded] == [
        [1, 3, 6, 8],
        [1, 3, 6, 8],
    ]


def test_a_span_is_traded_on_its_own_bars_with_the_halts_of_their_dates(bars_of: BarMaker) -> None:
    crash = bars_of("SPY", sessions=1, minutes=30, start=dt.date(2020, 3, 9))
    # Bars of each minute of a halt would be those of a market that it did not stop.
    crash = crash.filter(pl.col("timestamp") != dt.datetime(2020, 3, 9, 13, 45, tzinfo=dt.UTC))
    span = Scenario("march", "", start=dt.date(2020, 3, 9), end=dt.date(2020, 3, 10))
    asked: list[Scenario] = []

    def fetch(scenario: Scenario) -> pl.DataFrame:
        asked.append(scenario)
        return crash

    _, found = stress(trader(SellsAt("09:36")), bars_of("SPY", sessions=1), [span], span=fetch).outcomes
    assert asked == [span]
    assert not found.is_synthetic
    assert found.traded is not None
    # Trading stood still from 09:34:13 to 09:49:13, so the sale wanted at 09:37 could not be had.
    assert found.traded.account.fill_bars.tolist() == [1]
    made_up = trader(SellsAt("09:36")).trade(Stage.of(crash), made_up=True)
    assert made_up.account.fill_bars.tolist() == [1, 7, 8]


def test_what_cannot_be_tried_says_why_or_stops_everything(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=2)
    span = Scenario("march", "", start=dt.date(2020, 3, 9), end=dt.date(2020, 3, 10))
    report = stress(trader(Always()), bars, [span], span=no_span)
    row = report.as_dict()["scenarios"][1]
    assert row["reason"] == "no bars of 2020-03-09"
    assert row["total_return"] is None
    with pytest.raises(NotFoundError, match="no bars of 2020-03-09"):
        stress(trader(Always()), bars, [span], span=no_span, must_all_work=True)
    wrong = Scenario("late", "", shocks=(Gap(-0.1, session="2031-01-02"),))
    with pytest.raises(InvalidInputError, match="has no bars here"):
        stress(trader(Always()), bars, [wrong], span=no_span, must_all_work=True)


def test_made_up_bars_are_called_so_even_as_they_are(bars_of: BarMaker) -> None:
    report = stress(trader(Always(), feed="synthetic"), bars_of("SPY", sessions=2), [], span=no_span)
    assert report.table()["synthetic"].to_list() == [True]
