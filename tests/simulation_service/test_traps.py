"""Ways to be fooled at one minute: the bounce between bid and ask, a close known too well, and years of minutes."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from simulation_service.execution import Execution, Fill
from simulation_service.kernel import buy_and_hold, replay
from simulation_service.ladder import Ladder, climb
from simulation_service.market import Market
from simulation_service.metrics import Metrics, measure
from simulation_service.random_entries import random_entries
from simulation_service.ticks import FloatArray
from simulation_service.trades import round_trips

CASH = 10**12
MINUTES = 390
HALF_SPREAD = 1e-4


@dataclass(frozen=True, eq=False)
class Bounced:
    """A martingale around 400 dollars, seen only through prints one basis point above or below it, in cents."""

    market: Market
    middle_at_close: FloatArray

    @classmethod
    def path(cls, sessions: int, *, seed: int) -> Bounced:
        rng = np.random.default_rng(seed)
        steps = rng.normal(-0.5 * 0.00035**2, 0.00035, 2 * MINUTES * sessions)  # 16 % a year; exp(steps) has mean 1
        middle = 400.0 * np.exp(np.cumsum(steps))
        prints = np.rint(middle * (1 + HALF_SPREAD * rng.choice([-1, 1], middle.size)) * 100) * 100
        number = np.repeat(np.arange(sessions), MINUTES)
        volume = np.full(number.size, 1e6)
        market = Market.from_ticks(prints[::2], prints[1::2], volume=volume, session_number=number)
        return cls(market, middle[1::2])

    def ladder(self, signal: FloatArray) -> Ladder:
        return climb(signal, self.market, cash_ticks=CASH)


def last_bar_fell(market: Market) -> FloatArray:
    return np.append(0.0, np.diff(market.close) < 0).astype(np.float64)


def place_among_random_entries(path: Bounced, signal: FloatArray, fill: Fill) -> float:
    execution = Execution(fill)
    done = replay(signal, path.market, cash_ticks=CASH, execution=execution)
    found = random_entries(done, path.market, execution=execution)
    assert found is not None
    return found.lower


def test_buying_what_just_fell_is_a_fortune_at_the_same_close_a_loss_at_the_next_open_and_ruin_with_costs() -> None:
    # Two years in which holding loses 3 %.
    path = Bounced.path(512, seed=11)
    found = path.ladder(last_bar_fell(path.market))
    assert found["same close"].total_return > 3.0
    assert -0.3 < found["next open"].total_return < 0.0
    assert all(rung.total_return < -0.999 for rung in found.rungs[2:])
    assert found.break_even_cost_bps is None


def test_at_the_next_open_the_bounce_is_worth_nothing_on_average() -> None:
    ladders = [path.ladder(last_bar_fell(path.market)) for path in (Bounced.path(60, seed=seed) for seed in range(20))]
    same, following = np.log1p(
        [[ladder[name].total_return for ladder in ladders] for name in ("same close", "next open")]
    )
    error = following.std(ddof=1) / math.sqrt(following.size)
    assert abs(following.mean()) < 3 * error
    assert same.mean() > 3 * error
    assert same.min() > 0


def test_who_knows_on_which_side_this_close_printed_loses_it_all_on_the_second_rung() -> None:
    path = Bounced.path(60, seed=1)
    below = (path.market.close / 10_000 < path.middle_at_close).astype(np.float64)
    found = path.ladder(below)
    assert found["same close"].total_return > 2.0
    assert abs(found["next open"].total_return) < 0.1
    assert found["+ spread"].total_return < -0.6
    assert place_among_random_entries(path, below, Fill.SAME_CLOSE) == 1.0
    assert 0.01 < place_among_random_entries(path, below, Fill.NEXT_OPEN) < 0.99


@dataclass(frozen=True, eq=False)
class Years:
    """Ten years of one share held: minutes with nights between them, most of the drift at night."""

    close: FloatArray
    session: pl.Series
    timestamp: pl.Series

    @classmethod
    def drawn(cls) -> Years:
        rng = np.random.default_rng(8)
        sessions = 2_560
        steps = rng.normal(2e-7, 4e-4, (sessions, MINUTES))
        steps[:, 0] += rng.normal(6e-4, 5e-3, sessions)
        days = pl.date_range(dt.date(2010, 1, 1), dt.date(2010, 1, 1) + dt.timedelta(days=sessions - 1), eager=True)
        day = days.repeat_by(MINUTES).explode()
        minute = pl.Series(np.tile(np.arange(MINUTES), sessions))
        stamp = pl.select(
            day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(minutes=minute)
        ).to_series()
        return cls(np.rint(1_000_000 * np.exp(np.cumsum(steps))), day, stamp)

    def measured(self, kept: npt.NDArray[np.bool_]) -> Metrics:
        close, stamp, session = self.close[kept], self.timestamp.filter(kept), self.session.filter(kept)
        done = buy_and_hold(Market.from_ticks(close, close), cash_ticks=CASH, execution=Execution(Fill.SAME_CLOSE))
        trips = round_trips(done, timestamp=stamp, close_ticks=close)
        return measure(done, trips, timestamp=stamp, session=session)


@pytest.fixture(scope="module")
def years() -> Years:
    return Years.drawn()


def test_years_of_minutes_give_as_many_sharpe_ratios_as_there_are_ways_to_count_and_session_closes_one(
    years: Years,
) -> None:
    found = years.measured(np.full(years.close.size, fill_value=True))
    ours = found.sharpe
    assert found.cagr == pytest.approx((1 + found.total_return) ** (252 / 2_560) - 1)
    daily = years.close.reshape(-1, MINUTES)[:, -1]
    returns = daily[1:] / daily[:-1] - 1
    by_sessions = returns.mean() / returns.std(ddof=1) * math.sqrt(252)
    assert ours == pytest.approx(by_sessions, abs=0.02)  # the first session counts here, and not there
    minutes = years.close[1:] / years.close[:-1] - 1
    every_minute_of_a_year = minutes.mean() / minutes.std(ddof=1) * math.sqrt(525_600)
    assert every_minute_of_a_year / by_sessions > 2
    at_night = np.arange(minutes.size) % MINUTES == MINUTES - 1
    inside = minutes[~at_night]
    without_nights = inside.mean() / inside.std(ddof=1) * math.sqrt(252 * MINUTES)
    assert abs(without_nights / by_sessions - 1) > 0.3


@pytest.mark.parametrize("every", [2, 5, 30, 390])
def test_risk_of_a_held_share_does_not_depend_on_how_many_bars_a_session_has(years: Years, every: int) -> None:
    # The first bar, at which the share is bought, and the last of each session stay.
    kept = np.arange(years.close.size) % MINUTES % every == (MINUTES - 1) % every
    kept[0] = True
    whole, thinned = (years.measured(bars).as_dict() for bars in (np.full(kept.size, fill_value=True), kept))
    for name in (
        "total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "probabilistic_sharpe", "tail_ratio",
        "value_at_risk", "expected_shortfall", "longest_drawdown_sessions",
    ):  # fmt: skip
        assert thinned[name] == whole[name], name


def test_bounce_inside_a_session_is_no_risk(years: Years) -> None:
    side = np.random.default_rng(2).choice([-1, 1], years.close.size)
    side[MINUTES - 1 :: MINUTES] = 0
    side[0] = 0
    seen = Years(np.rint(years.close * (1 + 2 * HALF_SPREAD * side)), years.session, years.timestamp)
    everything = np.full(years.close.size, fill_value=True)
    assert seen.measured(everything).sharpe == years.measured(everything).sharpe
    minutes = [np.diff(one.close) / one.close[:-1] for one in (years, seen)]
    assert minutes[1].std() > 1.15 * minutes[0].std()
