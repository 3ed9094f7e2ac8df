"""The newest bars of a symbol are the end of all its bars, however these lie in files."""

from __future__ import annotations

import datetime as dt

import pytest
from polars.testing import assert_frame_equal

from barlake.errors import InvalidInputError, NotFoundError
from barlake.lake import Lake
from barlake.testing import make_bars, temporary_lake

SESSIONS = [dt.date(2024, 1, 30), dt.date(2024, 1, 31), dt.date(2024, 2, 1), dt.date(2024, 2, 2)]
TODAY = dt.datetime(2024, 2, 3, 12, tzinfo=dt.UTC)


@pytest.fixture
def lake() -> Lake:
    """Two symbols: a closed month in one file, and two sessions of the open one."""
    with temporary_lake(now=lambda: TODAY) as made:
        for seed, symbol in enumerate(("AAA", "BBB")):
            made.write_bars(make_bars(SESSIONS, seed=seed, minutes=10), feed="synthetic", symbol=symbol)
        yield made


@pytest.mark.parametrize("bars", [1, 5, 10, 15, 35, 40, 100])
def test_the_latest_bars_are_the_last_of_all(lake: Lake, bars: int) -> None:
    assert_frame_equal(lake.latest("AAA", bars), lake.bars("AAA").tail(bars))


def test_each_symbol_has_its_own_latest_bars_in_the_order_asked(lake: Lake) -> None:
    found = lake.latest(["BBB", "AAA"], 2)
    assert found["symbol"].to_list() == ["BBB", "BBB", "AAA", "AAA"]
    assert_frame_equal(found.filter(symbol="BBB"), lake.bars("BBB").tail(2))


def test_the_latest_bars_outlive_a_correction_and_a_rollup(lake: Lake) -> None:
    lake.write_bars(make_bars(SESSIONS[-1:], seed=9, minutes=12), feed="synthetic", symbol="AAA")
    lake.rollup()
    assert_frame_equal(lake.latest("AAA", 13), lake.bars("AAA").tail(13))


def test_no_bars_and_no_symbol_are_refused(lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match="bars 0"):
        lake.latest("AAA", 0)
    with pytest.raises(NotFoundError, match=r"'AAB' has no bars.*'AAA'"):
        lake.latest("AAB")
