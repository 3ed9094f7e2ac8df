"""Where a fill may happen at all, and what a market refuses to be made of."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from barlake.errors import InvalidInputError
from barlake.halts import MARKET_HALTS
from barlake.sessions import Calendar
from simulation_service.market import Market

HALTED_SESSION = dt.date(2020, 3, 18)  # trading stopped from 12:56:17 to 13:11:17 New York


def at(hour: int, minute: int) -> dt.datetime:
    """A minute of that session, UTC; New York is four hours behind."""
    return dt.datetime.combine(HALTED_SESSION, dt.time(hour, minute), tzinfo=dt.UTC)


def bars(*stamps: dt.datetime, volume: list[int | None] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "timestamp": pl.Series(stamps, dtype=pl.Datetime("us", "UTC")),
            **{name: [10.0] * len(stamps) for name in ("open", "high", "low", "close")},
            "volume": volume or [100] * len(stamps),
        }
    )


@pytest.fixture
def calendar() -> Calendar:
    hours = {"pre_open": at(8, 0), "open": at(13, 30), "close": at(20, 0), "post_close": at(23, 59)}
    return Calendar(pl.DataFrame({"session": [HALTED_SESSION], **{name: [hour] for name, hour in hours.items()}}))


def test_minutes_wholly_inside_a_known_halt_cannot_be_traded_in() -> None:
    frame = bars(at(16, 55), at(16, 56), at(16, 57), at(17, 10), at(17, 11))
    assert Market.of(frame).tradable.tolist() == [True, True, False, False, True]
    assert Market.of(frame, halts=MARKET_HALTS[:1]).tradable.all()


@pytest.mark.parametrize("feed", ["synthetic", "binance"])
def test_made_up_bars_and_coins_know_no_halt_of_the_us_market(feed: str) -> None:
    assert Market.of(bars(at(16, 57)), feed=feed).tradable.all()


def test_a_bar_without_volume_cannot_be_traded_in() -> None:
    assert Market.of(bars(at(14, 0), at(14, 1), volume=[0, 5])).tradable.tolist() == [False, True]


def test_bars_outside_the_hours_cannot_be_traded_in(calendar: Calendar) -> None:
    frame = bars(at(13, 29), at(13, 30), at(19, 59), at(20, 0))
    regular = Market.of(frame, hours="regular", calendar=calendar)
    assert regular.tradable.tolist() == [False, True, True, False]
    assert Market.of(frame, hours="post", calendar=calendar).tradable.tolist() == [False, False, False, True]
    assert Market.of(frame, hours="all", calendar=calendar).tradable.all()


def test_the_end_of_a_session_is_the_calendar_s_and_not_the_last_bar_there_is(calendar: Calendar) -> None:
    whole = Market.of(bars(at(19, 58), at(19, 59)), hours="regular", calendar=calendar)
    cut_short = Market.of(bars(at(19, 57), at(19, 58)), hours="regular", calendar=calendar)
    assert whole.session_end is not None
    assert cut_short.session_end is not None
    assert whole.session_end.tolist() == [False, True]
    assert not cut_short.session_end.any()
    assert Market.of(bars(at(19, 59))).session_end is None


def test_sessions_are_numbered_in_the_order_of_their_dates() -> None:
    frame = bars(at(13, 30), at(13, 31), at(13, 30) + dt.timedelta(days=1))
    first, second, third = Market.of(frame).session_number
    assert first == second == third - 1


@pytest.mark.parametrize("volume", [-1, None])
def test_a_volume_that_is_no_number_of_shares_is_refused(volume: int | None) -> None:
    with pytest.raises(InvalidInputError, match=r"volume .* at bar 1 is not a number of shares"):
        Market.of(bars(at(14, 0), at(14, 1), volume=[1, volume]))


def test_bars_that_lack_a_column_or_are_none_at_all_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="bars lack volume"):
        Market.of(bars(at(14, 0)).drop("volume"))
    with pytest.raises(InvalidInputError, match="bars are empty"):
        Market.of(bars(at(14, 0)).clear())


def test_ticks_alone_make_a_market_whose_high_and_low_are_its_open_and_close() -> None:
    market = Market.from_ticks(np.array([3.0, 5.0]), np.array([4.0, 2.0]))
    assert (market.high.tolist(), market.low.tolist()) == ([4.0, 5.0], [3.0, 2.0])
    assert market.tradable.all()
    assert market.bars == 2
