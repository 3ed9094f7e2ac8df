from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation_service.costs import Costs
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import replay
from simulation_service.market import Market
from simulation_service.random_entries import RandomEntries, Trips, draw_returns, random_entries
from simulation_service.rules import Direction, Rules
from simulation_service.trades import round_trips

CASH = 10_000_000_000
BASIC = Execution()


def walk(bars: int, *, seed: int, drift: float = 0.0) -> Market:
    steps = np.random.default_rng(seed).normal(drift, 3e-4, 2 * bars)
    path = np.rint(1_000_000 * np.exp(np.cumsum(steps)))
    return Market.from_ticks(path[::2], path[1::2])


def drawn(signal: np.ndarray, market: Market, execution: Execution = BASIC, *, seed: int = 0) -> RandomEntries:
    done = replay(signal, market, cash_ticks=CASH, execution=execution)
    found = random_entries(done, market, execution=execution, seed=seed)
    assert found is not None
    return found


@pytest.mark.parametrize("cost", [0.0, 0.01])
def test_draws_are_the_orders_that_trips_and_gaps_can_take(cost: float) -> None:
    prices = np.array([10.0, 11.0, 9.0, 12.0, 15.0, 14.0, 13.0, 17.0])
    trips = Trips(np.array([1, 4]), np.array([2, 7]), np.array([1.0, -1.0]))
    possible = set()
    for (first, second), gaps in itertools.product(
        itertools.permutations([(1, 1), (3, -1)]), itertools.permutations([1, 2, 0])
    ):
        growth, at = 1.0, 0
        for (length, side), gap in zip((first, second), gaps, strict=False):
            ratio = prices[at + gap + length] / prices[at + gap]
            growth *= 1 + side * (ratio - 1) - cost * (1 + ratio)
            at += gap + length
        possible.add(round(growth - 1, 12))
    found = draw_returns(trips, prices, cost=cost, draws=2_000, seed=1)
    assert set(found.round(12).tolist()) == possible


def test_every_order_is_as_likely_as_the_next() -> None:
    # One trip of one step over three: only its place is drawn, and each return tells the place.
    prices = np.array([1.0, 2.0, 6.0, 24.0])
    trips = Trips(np.array([0]), np.array([1]), np.array([1.0]))
    found = draw_returns(trips, prices, cost=0.0, draws=6_000, seed=2)
    # Gaps before and after are 0 and 2: either all of them before the trip, or none.
    counts = [np.count_nonzero(found == 1.0), np.count_nonzero(found == 3.0)]
    assert sum(counts) == 6_000
    assert counts == pytest.approx([3_000, 3_000], abs=5 * np.sqrt(1_500))


def test_random_signals_stand_anywhere_among_random_entries() -> None:
    places = []
    for seed in range(40):
        signal = np.repeat(np.random.default_rng(seed).random(150) < 0.5, 10).astype(float)
        places.append(drawn(signal, walk(1_500, seed=1_000 + seed)).lower)
    assert 0.35 < np.mean(places) < 0.65
    assert min(places) < 0.2
    assert max(places) > 0.8


def test_entries_that_know_the_next_bars_beat_every_random_one() -> None:
    market = walk(2_000, seed=5)
    ahead = np.append(np.diff(market.open)[1:], [0.0, 0.0])
    found = drawn((ahead > 0).astype(float), market)
    assert found.lower == 1.0
    assert found.total_return > found.quantiles["0.95"]


def test_in_a_rising_market_random_entries_earn_what_exposure_alone_earns() -> None:
    market = walk(4_000, seed=6, drift=3e-5)
    signal = np.repeat(np.random.default_rng(1).random(400) < 0.5, 10).astype(float)
    found = drawn(signal, market)
    rise = np.log(market.close[-1] / market.open[0])
    assert found.quantiles["0.5"] == pytest.approx(np.expm1(found.exposure * rise), abs=0.02)


@pytest.mark.parametrize("fill", [Fill.NEXT_OPEN, Fill.SAME_CLOSE])
def test_holding_all_the_time_leaves_nothing_to_chance(fill: Fill) -> None:
    market = walk(300, seed=7)
    found = drawn(np.ones(300), market, Execution(fill))
    first = 1 if fill is Fill.NEXT_OPEN else 0
    assert (found.trades, found.exposure) == (1, (300 - first) / 300)
    # The one trip starts a bar earlier or later at most; the account holds whole shares only.
    assert found.total_return == pytest.approx(found.quantiles["0.5"], abs=2e-3)


@pytest.mark.parametrize("cash", [CASH, 1_500_000])
def test_holding_all_the_time_stands_in_the_middle_of_its_own_draws_with_little_cash_too(cash: int) -> None:
    market = walk(300, seed=7)
    done = replay(np.ones(300), market, cash_ticks=cash)
    found = random_entries(done, market, execution=BASIC)
    assert found is not None
    # The one trip starts at the first or at the second open, and its own is one of the two.
    bought = float(market.open[1] * (cash // market.open[1]))
    assert found.invested == pytest.approx(bought / cash)
    assert found.own_return == pytest.approx(bought / cash * (market.close[-1] / market.open[1] - 1))
    assert found.own_return == pytest.approx(found.total_return, abs=1e-12)
    assert 0.2 < found.lower < 0.8


def test_own_trips_are_reckoned_by_their_fills_in_parts_stopped_and_still_open() -> None:
    prices = np.array([100.0, 100.0, 110.0, 120.0, 90.0, 100.0, 130.0]) * 10_000
    market = Market.from_ticks(prices, prices, volume=np.full(7, 400.0))
    execution = Execution(volume_share=1.0)
    done = replay(np.array([1.0, 1, 0, 0, 1, 1, 1]), market, cash_ticks=6_000 * 1_000_000, execution=execution)
    found = random_entries(done, market, execution=execution)
    assert found is not None
    rows = round_trips(done, timestamp=pl.Series(range(7)), close_ticks=market.close)
    assert rows.height == found.trades == 2
    ratios = (rows["exit_price_usd"] / rows["entry_price_usd"]).to_numpy()
    assert found.own_return == pytest.approx(float(np.prod(1 + found.invested * (ratios - 1))) - 1)


def test_the_same_seed_gives_the_same_figures_and_another_one_others() -> None:
    signal, market = np.tile([1.0, 0.0, 0.0], 100), walk(300, seed=8)
    assert drawn(signal, market) == drawn(signal, market)
    assert drawn(signal, market, seed=1).quantiles != drawn(signal, market).quantiles


def test_what_never_traded_has_no_random_twin() -> None:
    market = walk(10, seed=9)
    done = replay(np.zeros(10), market, cash_ticks=CASH)
    assert random_entries(done, market, execution=Execution()) is None


def test_what_cannot_be_traded_in_is_filled_at_the_next_bar_that_can() -> None:
    prices = np.array([10.0, 99.0, 20.0, 30.0]) * 10_000
    market = Market.from_ticks(prices, prices, tradable=np.array([True, False, True, True]))
    done = replay(np.array([1.0, 0.0, 0.0, 0.0]), Market.from_ticks(prices, prices), cash_ticks=CASH)
    found = random_entries(done, market, execution=Execution())
    assert found is not None
    # Steps of one bar from 10, 20 (where 99 cannot be had), 20 and 30, the last of them into the last close.
    assert {round(value, 3) for value in found.quantiles.values()} <= {1.0, 0.0, 0.5}


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), min_size=1, max_size=8), st.integers(0, 3))
def test_trips_of_a_replay_and_their_gaps_fill_the_bars(stretches: list[tuple[int, int]], tail: int) -> None:
    wanted = [value for flat, held in stretches for value in [0.0] * flat + [1.0] * held] + [0.0] * tail
    market = walk(len(wanted), seed=len(wanted))
    done = replay(np.array(wanted), market, cash_ticks=CASH, execution=Execution(Fill.SAME_CLOSE))
    trips = Trips.of(done, last=len(wanted) - 1)
    assert trips.holding.sum() + trips.gaps(len(wanted)).sum() == len(wanted) - 1
    assert (trips.gaps(len(wanted)) >= 0).all()
    # Held after the close of every bar from the entry up to the exit.
    inside = np.zeros(len(wanted), dtype=bool)
    for entry, left in zip(trips.entry, trips.exit, strict=True):
        inside[entry:left] = True
    assert (inside == (done.shares > 0))[:-1].all()


def test_long_and_short_trips_keep_their_sides_also_in_parts_of_shares() -> None:
    market = walk(12, seed=3)
    signal = np.array([1.0, 1.0, -1.0, -1.0, -1.0, 0.0, 0.0, -1.0, 0.0, 1.0, 1.0, 1.0])
    rules = Rules(direction=Direction.BOTH, fractional=True)
    done = replay(signal, market, cash_ticks=CASH, rules=rules)
    trips = Trips.of(done, last=12)
    assert trips.entry.tolist() == [1, 3, 8, 10]
    assert trips.exit.tolist() == [3, 6, 9, 12]
    assert trips.side.tolist() == [1.0, -1.0, -1.0, 1.0]


def test_an_order_filled_in_parts_is_one_trip() -> None:
    market = walk(8, seed=4)
    scarce = Market.from_ticks(market.open, market.close, volume=np.full(8, 2_000.0))
    execution = Execution(volume_share=1.0)
    done = replay(np.array([1.0, 1, 1, 1, 0, 0, 0, 0]), scarce, cash_ticks=5_000 * 1_000_000, execution=execution)
    assert done.fill_bars.size > 2
    trips = Trips.of(done, last=8)
    assert trips.entry.tolist() == [1]
    assert trips.exit.size == 1


def test_every_draw_pays_what_each_dollar_cost_the_strategy() -> None:
    market = walk(2_000, seed=10)
    signal = np.tile([1.0] * 10 + [0.0] * 10, 100)
    free, dear = Execution(), Execution(costs=Costs(half_spread_bps=5.0))
    without, paid = (1 + np.array(list(drawn(signal, market, way).quantiles.values())) for way in (free, dear))
    # A hundred trips, two sides each, 5 bps a side.
    assert paid / without == pytest.approx(np.full(5, (1 - 5e-4) ** 200), rel=1e-3)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=30), st.sampled_from([500.0, 1e9]))
def test_trips_are_the_round_trips_of_the_run(signal: list[float], volume: float) -> None:
    bars = len(signal)
    market = walk(bars, seed=bars)
    market = Market.from_ticks(market.open, market.close, volume=np.full(bars, volume))
    execution, rules = Execution(volume_share=0.5), Rules(direction=Direction.BOTH)
    done = replay(np.array(signal), market, cash_ticks=2_000 * 1_000_000, execution=execution, rules=rules)
    stamps = pl.Series(range(bars))
    if not done.fill_bars.size:
        return
    trips, listed = Trips.of(done, last=bars), round_trips(done, timestamp=stamps, close_ticks=market.close)
    assert trips.entry.tolist() == listed["entry_timestamp"].to_list()
    assert trips.side.tolist() == np.sign(listed["shares"].to_numpy()).tolist()
    closed = ~listed["is_open"].to_numpy()
    assert trips.exit[closed].tolist() == listed["exit_timestamp"].filter(closed).to_list()
