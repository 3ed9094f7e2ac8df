"""Each shock does to prices and minutes what its name says, to the tick, and nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from polars.testing import assert_frame_equal

from barlake.errors import InvalidInputError
from simulation_service.scenarios.session_blocks import PRICES
from simulation_service.scenarios.shocks import FeedOutage, Gap, Halt, SessionMoves, Shock, Stage, Volatility

BarMaker = Callable[..., pl.DataFrame]


def new_york(bars: pl.DataFrame) -> pl.Series:
    return bars["timestamp"].dt.convert_time_zone("America/New_York").dt.time()


def test_a_gap_lowers_everything_from_the_middle_session_on(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=4)
    after = Gap(-0.1).apply(Stage.of(bars)).market
    middle = bars["session"].unique().sort()[2]
    later = bars["session"] >= middle
    assert_frame_equal(after.filter(~later), bars.filter(~later))
    for name in PRICES:
        assert after.filter(later)[name].to_list() == [round(price * 0.9, 4) for price in bars.filter(later)[name]]


def test_a_gap_can_begin_within_a_session(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=2)
    day = bars["session"][0]
    after = Gap(0.5, session=day.isoformat(), time="09:40").apply(Stage.of(bars)).market
    assert after["close"].to_list() == [
        round(price * (1.5 if place >= 10 else 1.0), 4) for place, price in enumerate(bars["close"])
    ]


def test_doubled_volatility_keeps_both_ends_and_doubles_the_distance_from_their_line(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=3)
    after = Volatility(2.0).apply(Stage.of(bars)).market
    assert after["open"][0] == bars["open"][0]
    assert after["close"][-1] == bars["close"][-1]
    line = np.linspace(np.log(bars["open"][0]), np.log(bars["close"][-1]), bars.height)
    assert np.log(after["high"].to_numpy()) - line == pytest.approx(
        2 * (np.log(bars["high"].to_numpy()) - line), abs=2e-6
    )


def test_volatility_of_one_changes_nothing_and_of_none_leaves_the_line(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", "QQQ", sessions=3)
    assert_frame_equal(Volatility(1.0).apply(Stage.of(bars)).market, bars)
    flat = Volatility(0.0).apply(Stage.of(bars)).market.filter(symbol="SPY")
    assert np.diff(np.log(flat["close"].to_numpy())).std() < 1e-5


def test_a_halt_takes_the_minutes_away_and_an_outage_only_the_view_of_them(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=4, minutes=60)
    halted = Halt(time="10:00", minutes=15, every=2).apply(Stage.of(bars))
    inside = (new_york(bars) >= dt.time(10)) & (new_york(bars) < dt.time(10, 15))
    days = bars["session"].is_in(bars["session"].unique().sort()[::2].to_list())
    assert_frame_equal(halted.market, bars.filter(~(inside & days)))
    assert_frame_equal(halted.seen, halted.market)
    out = FeedOutage(time="10:00", minutes=15, every=2).apply(Stage.of(bars))
    assert_frame_equal(out.market, bars)
    assert_frame_equal(out.seen, halted.market)


def test_what_is_not_seen_stays_unseen_through_later_shocks(bars_of: BarMaker) -> None:
    stage = FeedOutage(time="09:30", minutes=5).apply(Stage.of(bars_of("SPY", "QQQ", sessions=3)))
    after = Gap(-0.2).apply(Volatility(2.0).apply(SessionMoves(((-0.01, 0.0, 0.01),)).apply(stage)))
    assert after.seen.height == stage.seen.height == stage.market.height - 10
    assert_frame_equal(after.seen, after.market.join(after.seen, on=["timestamp", "symbol"], how="semi"))


def test_session_moves_come_out_as_they_were(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", "QQQ", sessions=6, minutes=None)
    moves = ((-0.05, 0.02, 0.04), (0.01, -0.08, 0.09))
    after = SessionMoves(moves).apply(Stage.of(bars)).market
    for symbol in ("SPY", "QQQ"):
        real, bent = (
            frame.filter(symbol=symbol)
            .group_by("session", maintain_order=True)
            .agg(pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last())
            for frame in (bars, after)
        )
        assert bent["close"][1] == real["close"][1]
        for place, (overnight, whole, extent) in enumerate(moves, start=2):
            assert bent["open"][place] / bent["close"][place - 1] - 1 == pytest.approx(overnight, abs=2e-6)
            assert bent["close"][place] / bent["open"][place] - 1 == pytest.approx(whole, abs=2e-6)
            # A session that really rose and is bent to fall is wider than asked for, or narrower.
            assert 0.4 * extent < bent["high"][place] / bent["low"][place] - 1 < 2.5 * extent
        later = bent["close"].to_numpy()[3:] / real["close"].to_numpy()[3:]
        assert later == pytest.approx(np.full(3, later[0]), rel=1e-5)


PRICE_SHOCKS = some.one_of(
    some.builds(Gap, some.floats(-0.9, 3)),
    some.builds(Volatility, some.floats(0, 4)),
    some.builds(
        lambda row: SessionMoves((row,)),
        some.tuples(some.floats(-0.3, 0.3), some.floats(-0.3, 0.3), some.floats(0, 0.5)),
    ),
)


@settings(max_examples=60, deadline=None)
@given(shocks=some.lists(PRICE_SHOCKS, min_size=1, max_size=3))
def test_bars_stay_bars_under_any_shocks(bars_of: BarMaker, shocks: list[Shock]) -> None:
    stage = Stage.of(bars_of("SPY", sessions=4, minutes=10))
    for shock in shocks:
        stage = shock.apply(stage)
    bars = stage.market
    assert (bars["low"] >= 0.0001).all()
    sound = pl.col("low") <= pl.min_horizontal("open", "close"), pl.col("high") >= pl.max_horizontal("open", "close")
    assert bars.filter(*sound).height == bars.height
    assert (bars["close"] == bars["close"].round(4)).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Gap(-1.0), "gap: size -1.0 must be"),
        (lambda: Volatility(-1), "volatility: factor -1 must be"),
        (lambda: Halt(minutes=0), "halt: minutes 0 must be at least 1"),
        (lambda: Halt(time="25:00"), "write it as 10:00"),
        (lambda: FeedOutage(every=0), "feed_outage: every 0 must be at least 1"),
        (lambda: FeedOutage(every=2, session="2024-01-02"), "in place of session"),
        (lambda: SessionMoves(()), "session_moves: moves"),
        (lambda: SessionMoves(((0.0, 0.0),)), "session_moves: moves"),
    ],
)
def test_a_shock_that_cannot_be_is_refused(make: Callable[[], Shock], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        make()


def test_a_session_without_bars_is_named_with_the_span(bars_of: BarMaker) -> None:
    stage = Stage.of(bars_of("SPY", sessions=3))
    with pytest.raises(InvalidInputError, match="'2020-01-02' has no bars here: the span has 3 sessions"):
        Gap(-0.1, session="2020-01-02").apply(stage)
    with pytest.raises(InvalidInputError, match="needs 4 sessions from its first on, of 3"):
        SessionMoves(((0.0, 0.0, 0.0),) * 4).apply(stage)
