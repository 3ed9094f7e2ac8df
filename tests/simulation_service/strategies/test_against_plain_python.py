"""Each strategy wants at every bar what a loop in plain Python wants; levels and ties as their pages say."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.breakout import Breakout
from simulation_service.strategies.buy_and_hold import BuyAndHold
from simulation_service.strategies.conditions import DayOfWeek, TimeOfDay, VolatilityRegime
from simulation_service.strategies.fly import Fly
from simulation_service.strategies.mean_reversion import MeanReversion
from simulation_service.strategies.model_signals import ModelSignals
from simulation_service.strategies.moving_average_cross import MovingAverageCross
from simulation_service.strategies.pair import Pair
from simulation_service.strategies.placing import signal_frame
from simulation_service.strategies.switch import Switch
from simulation_service.strategies.threshold import Threshold
from tests.simulation_service.strategies import by_hand

NEW_YORK = ZoneInfo("America/New_York")

Wanted = Mapping[tuple[object, str], float | None]


def signals_of(strategy: Strategy, bars: pl.DataFrame) -> list[float | None]:
    return signal_frame(strategy, bars)["signal"].to_list()


def changes(signals: list[float | None]) -> int:
    return sum(one != other for one, other in itertools.pairwise(signals))


def prices(closes: list[float]) -> pl.DataFrame:
    """Bars whose close is their every price."""
    stamp = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    return pl.DataFrame(
        {
            "symbol": "AAA",
            "session": dt.date(2024, 1, 2),
            "timestamp": [stamp + dt.timedelta(minutes=row) for row in range(len(closes))],
            **{name: pl.Series(closes, dtype=pl.Float64) for name in ("open", "high", "low", "close")},
            "volume": 100,
        }
    )


def test_the_cross_is_the_sign_of_exact_means(one: pl.DataFrame) -> None:
    found = signals_of(MovingAverageCross(5, 20), one)
    assert found == by_hand.cross(by_hand.closes_of(one), 5, 20)
    assert changes(found) > 30


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_averages_that_are_equal_are_neither_above_nor_below(cents: list[int], fast: int, more: int) -> None:
    bars = prices([cent / 100 for cent in cents])
    wanted = by_hand.cross(by_hand.closes_of(bars), fast, fast + more)
    assert signals_of(MovingAverageCross(fast, fast + more), bars) == wanted


def test_coins_of_a_hundred_thousandth_of_a_dollar_cross_too() -> None:
    bars = prices([1.001e-5, 1.002e-5, 1.001e-5, 1.003e-5, 1.000e-5, 1.002e-5])
    assert signals_of(MovingAverageCross(1, 2), bars) == [None, 1.0, -1.0, 1.0, -1.0, 1.0]


def test_a_window_whose_sum_would_not_be_exact_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="100,000 bars is too long for prices up to 1,000,000"):
        signals_of(MovingAverageCross(1, 100_000), prices([1e6, 1e6]))


def test_where_history_begins_changes_no_cross_once_the_window_is_full(one: pl.DataFrame) -> None:
    whole = signals_of(MovingAverageCross(3, 10), one)
    assert signals_of(MovingAverageCross(3, 10), one.tail(100))[9:] == whole[-91:]


def test_mean_reversion_is_bollinger_bands_with_a_way_out(one: pl.DataFrame) -> None:
    found = signals_of(MeanReversion(20, 1.5, 0.25), one)
    assert found == by_hand.reversion(one["close"].to_list(), 20, 1.5, 0.25)
    assert changes(found) > 30
    close = one["close"].to_numpy()
    upper, _, lower = talib.BBANDS(close, 20, 1.5, 1.5)
    entered = np.array([math.nan if value is None else value for value in found])
    assert (entered[close < lower] == 1).all()
    assert (entered[close > upper] == -1).all()


def test_closes_that_do_not_move_are_at_their_mean() -> None:
    bars = prices([10.0, 10.5, 9.0, *[10.1] * 6])
    assert signals_of(MeanReversion(3, 1.2, 0.5), bars) == [None, None, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_a_breakout_compares_with_the_bars_before_it(one: pl.DataFrame) -> None:
    found = signals_of(Breakout(20, 10), one)
    assert found == by_hand.breakout(one, 20, 10)
    assert changes(found) > 10


def test_a_breakout_by_hand() -> None:
    # 11 is above the three before; 10 is below the one before, but not the three; 8 is below all of them.
    bars = prices([10, 9, 10, 11, 11, 10, 12, 8])
    assert signals_of(Breakout(3, 1), bars) == [None, None, None, 1, 1, 0, 1, -1]


def test_a_threshold_holds_between_its_levels(one: pl.DataFrame) -> None:
    found = signals_of(Threshold(0.52, 0.49, 0.45, 0.48), one)
    assert found == by_hand.threshold(one["prediction"].to_list(), 0.52, 0.49, 0.45, 0.48)
    assert changes(found) > 30
    assert set(found) == {1.0, 0.0, -1.0, None}


def test_at_the_levels_themselves_nothing_is_entered_and_all_is_left() -> None:
    bars = prices([1.0] * 9).with_columns(
        prediction=pl.Series([0.6, 0.61, 0.55, None, 0.51, 0.5, 0.55, float("nan"), 0.7])
    )
    assert signals_of(Threshold(0.6, 0.5), bars) == [0, 1, 1, None, 1, 0, 0, None, 1]


def test_one_level_without_hysteresis_is_what_a_model_says_of_a_classifier(one: pl.DataFrame) -> None:
    found = signals_of(ModelSignals(), one)
    assert found == signals_of(Threshold(0.5, None), one)
    assert found == one["model_signal"].to_list()


@given(
    st.lists(st.none() | st.integers(-6, 6), min_size=1, max_size=40),
    st.lists(st.integers(-5, 5), min_size=4, max_size=4),
)
def test_any_levels_in_order_hold_one_position_at_a_time(values: list[int | None], levels: list[int]) -> None:
    first, second, third, fourth = sorted(levels)
    for leave, short_leave in ((second, third), (third, second)):
        strategy = Threshold(fourth, leave, first, short_leave)
        bars = prices([1.0] * len(values)).with_columns(prediction=pl.Series(values, dtype=pl.Float64))
        assert signals_of(strategy, bars) == by_hand.threshold(values, fourth, leave, first, short_leave)


def beside(bars: pl.DataFrame, wanted: Wanted) -> list[float | None]:
    return [wanted.get((stamp, symbol)) for stamp, symbol in bars.select("timestamp", "symbol").iter_rows()]


def assert_close(found: list[float | None], wanted: list[float | None]) -> None:
    assert [value is None for value in found] == [value is None for value in wanted]
    assert [value for value in found if value is not None] == pytest.approx([one for one in wanted if one is not None])


@pytest.mark.parametrize("hedge", [1.0, 0.5])
def test_a_pair_is_half_long_and_half_short_of_common_minutes_only(two: pl.DataFrame, hedge: float) -> None:
    found = signals_of(Pair("AAA", "BBB", 30, 1.5, 0.25, hedge), two)
    assert_close(found, beside(two, by_hand.spread(two, {"AAA": 1.0, "BBB": -hedge}, 30, 1.5, 0.25)))
    assert changes(found) > 30
    totals = two.with_columns(signal=pl.Series(found)).group_by("timestamp").agg(pl.col("signal").abs().sum())
    assert set(totals["signal"].round(12)) == {0.0, 1.0}


def test_a_fly_is_short_half_of_the_body_against_its_wings(three: pl.DataFrame) -> None:
    found = signals_of(Fly("AAA", "BBB", "CCC", 30, 1.5, 0.25), three)
    wanted = by_hand.spread(three, {"AAA": 1.0, "BBB": -2.0, "CCC": 1.0}, 30, 1.5, 0.25)
    assert_close(found, beside(three, wanted))
    assert set(found) == {0.0, 0.25, -0.25, 0.5, -0.5, None}


@pytest.mark.parametrize(("lead", "least"), [(0.0, None), (0.001, None), (0.0005, 0.0)])
def test_a_switch_holds_the_stronger_one(two: pl.DataFrame, lead: float, least: float | None) -> None:
    found = signals_of(Switch("AAA", "BBB", 20, lead, least), two)
    assert found == beside(two, by_hand.switch(two, ["AAA", "BBB"], 20, lead, least))
    assert changes(found) > 30


def test_a_time_of_day_is_that_at_which_the_signal_is_known(one: pl.DataFrame) -> None:
    found = signals_of(TimeOfDay(BuyAndHold(), "09:45", "10:30"), one)
    known = [(stamp + dt.timedelta(minutes=1)).astimezone(NEW_YORK).time() for stamp in one["timestamp"]]
    assert found == [float(dt.time(9, 45) <= clock < dt.time(10, 30)) for clock in known]
    assert {1.0, 0.0} == set(found)
    waiting = signals_of(TimeOfDay(BuyAndHold(), "09:45", "10:30", outside="hold"), one)
    assert waiting == [value or None for value in found]


def test_a_time_of_day_follows_the_clock_through_summer_time() -> None:
    winter, summer = (dt.datetime(2024, month, 8, 15, 30, tzinfo=dt.UTC) for month in (3, 4))
    bars = prices([1.0, 1.0]).with_columns(timestamp=pl.Series([winter, summer]))
    assert signals_of(TimeOfDay(BuyAndHold(), "10:00", "11:00"), bars) == [1.0, 0.0]
    assert signals_of(TimeOfDay(BuyAndHold(), "15:00", "16:00", zone="UTC"), bars) == [1.0, 1.0]


def test_a_day_of_the_week_is_the_sessions(one: pl.DataFrame) -> None:
    found = signals_of(DayOfWeek(BuyAndHold(), "Tuesday, fri"), one)
    assert found == [float(f"{session:%a}" in {"Tue", "Fri"}) for session in one["session"]]
    assert {1.0, 0.0} == set(found)


def ratios(bars: pl.DataFrame, window: int, history: int) -> list[float | None]:
    steps: list[float] = []
    found: list[float | None] = []
    before: tuple[dt.date, float] | None = None
    for session, close in bars.select("session", "close").iter_rows():
        if before is not None and before[0] == session:
            steps.append(math.log(close / before[1]) ** 2)
        before = session, close
        now, then = (math.fsum(steps[-size:]) / size for size in (window, history))
        found.append(math.sqrt(now / then) if len(steps) >= history else None)
    return found


def test_a_volatility_regime_compares_steps_within_sessions(three: pl.DataFrame) -> None:
    found = signal_frame(VolatilityRegime(BuyAndHold(), 10, 60, 0.9, 1.1), three)
    for symbol in ("AAA", "BBB", "CCC"):
        bars = three.filter(symbol=symbol)
        wanted = [None if ratio is None else float(0.9 <= ratio < 1.1) for ratio in ratios(bars, 10, 60)]
        assert found.filter(symbol=symbol)["signal"].to_list() == wanted
        assert changes(wanted) > 20


def test_conditions_nest_and_a_symbol_inside_one_is_still_seen_alone(three: pl.DataFrame) -> None:
    inside = signal_frame(Breakout(10, 5), three)["signal"]
    both = DayOfWeek(TimeOfDay(Breakout(10, 5), "09:45", "10:30"), "tue")
    clock = signal_frame(TimeOfDay(BuyAndHold(), "09:45", "10:30"), three)["signal"]
    day = signal_frame(DayOfWeek(BuyAndHold(), "tue"), three)["signal"]
    assert signals_of(both, three) == (
        pl.select(pl.when(day == 0).then(0.0).when(clock == 0).then(0.0).otherwise(inside)).to_series().to_list()
    )


def test_buy_and_hold_wants_each_symbol_always(three: pl.DataFrame) -> None:
    assert set(signals_of(BuyAndHold(), three)) == {1.0}
