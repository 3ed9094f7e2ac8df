"""Synthetic paths are whole sessions of real bars, one after the other, on real dates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from barlake.errors import InvalidInputError
from simulation_service.scenarios.session_blocks import PRICES, SessionBlocks

BarMaker = Callable[..., pl.DataFrame]

EARLY = dt.date(2024, 7, 3)


def closes(bars: pl.DataFrame, symbol: str) -> np.ndarray:
    by_session = bars.filter(symbol=symbol).group_by("session", maintain_order=True)
    return by_session.agg(pl.col("close").last())["close"].to_numpy()


def test_sessions_in_their_own_order_are_the_bars_themselves(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", "QQQ")
    blocks = SessionBlocks.of(bars)
    assert_frame_equal(blocks.path(np.arange(10)), bars)


def test_a_drawn_session_keeps_its_minutes_volumes_and_overnight_move(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=4, minutes=3)
    order = np.array([2, 2, 1, 3])
    path = SessionBlocks.of(bars).path(order)
    assert path["session"].to_list() == bars["session"].to_list()
    assert path["timestamp"].to_list() == bars["timestamp"].to_list()
    volume = bars["volume"].to_numpy().reshape(4, 3)
    assert path["volume"].to_list() == volume[order].ravel().tolist()
    real = bars.select(PRICES).to_numpy().reshape(4, 12)
    # By hand: the session's prices, relative to the close before it, times the close before its new place.
    before = np.array([real[0, 0], real[0, -1], real[1, -1], real[2, -1]])
    level = before[0]
    for place, index in enumerate(order):
        wanted = real[index] / before[index] * level
        got = path.select(PRICES).to_numpy().reshape(4, 12)[place]
        assert got == pytest.approx(wanted, abs=0.0002)
        level = wanted[-1]


def test_all_symbols_take_the_same_session_at_the_same_place(bars_of: BarMaker) -> None:
    bars = bars_of("QQQ", "SPY", sessions=6, minutes=2)
    path = SessionBlocks.of(bars).path(np.array([5, 5, 4, 3, 2, 1]))
    for symbol in ("QQQ", "SPY"):
        real = closes(bars, symbol)
        moves = np.diff(np.log(closes(path, symbol)))
        assert moves == pytest.approx(np.diff(np.log(real))[[4, 3, 2, 1, 0]], abs=1e-5)


def test_minutes_keep_their_new_york_time_when_clocks_have_changed(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=4, minutes=1, start=dt.date(2024, 11, 1))
    path = SessionBlocks.of(bars).path(np.array([3, 2, 1, 0]))
    assert path["timestamp"].dt.hour().to_list() == [13, 14, 14, 14]


def test_early_closes_take_only_each_others_place(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=12, minutes=None)
    blocks = SessionBlocks.of(bars, early_closes=[EARLY])
    place = int(np.flatnonzero(blocks.is_early)[0])
    drawn = blocks.draw(np.random.default_rng(1), paths=300, block_sessions=3)
    assert (drawn[:, place] == place).all()
    assert not (np.delete(drawn, place, axis=1) == place).any()
    path = blocks.path(drawn[0])
    assert path.filter(session=EARLY).height == 210
    assert path.height == bars.height


def test_stretch_and_tilt_give_a_session_the_log_return_they_add_up_to(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", sessions=5)
    blocks = SessionBlocks.of(bars)
    stretch, tilt = np.array([1.0, 2.0, 0.5, 1.0, 3.0]), np.array([0.0, 0.01, -0.02, 0.03, 0.0])
    path = blocks.path(np.arange(5), stretch=stretch, tilt=tilt)
    first = bars["open"][0]
    real = np.diff(np.log([first, *closes(bars, "SPY")]))
    assert np.diff(np.log([first, *closes(path, "SPY")])) == pytest.approx(stretch * real + tilt, abs=5e-6)
    sound = pl.col("low") <= pl.min_horizontal("open", "close"), pl.col("high") >= pl.max_horizontal("open", "close")
    assert path.filter(*sound).height == path.height


def test_sessions_that_lack_a_symbol_are_not_drawn_from(bars_of: BarMaker) -> None:
    bars = bars_of("SPY", "QQQ", sessions=4)
    gone = bars["session"][0]
    blocks = SessionBlocks.of(bars.filter(~((pl.col("session") == gone) & (pl.col("symbol") == "QQQ"))))
    assert blocks.count == 3


def test_one_session_cannot_be_resampled(bars_of: BarMaker) -> None:
    with pytest.raises(InvalidInputError, match="at least 2 sessions that hold SPY"):
        SessionBlocks.of(bars_of("SPY", sessions=1))
