"""Every bar tells who delivered it: after merges, corrections, rollups, repairs, and when the manifest was lost."""

from __future__ import annotations

import datetime as dt

import polars as pl
import polars.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import barlake
from barlake.bar_sources import moments_of, told_by
from barlake.errors import InvalidInputError
from barlake.keys import PeriodLength
from barlake.lake import Lake
from barlake.lake_database import database_of
from barlake.rebuild import rebuild
from barlake.records import RowRank
from barlake.settings import Settings
from barlake.testing import make_bars, temporary_lake
from tests.barlake.conftest import Clock

DAYS = [dt.date(2024, 1, 2), dt.date(2024, 2, 1), dt.date(2024, 3, 14)]
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SOURCES = st.sampled_from(["alpaca", "massive", "import"])
WRITES = st.lists(
    st.tuples(SOURCES, st.sampled_from(DAYS), st.integers(0, 5), st.integers(1, 6), st.integers(0, 1)),
    min_size=1, max_size=6,
)  # fmt: skip


def sources(lake: Lake, symbol: str = "SPY") -> dict[dt.datetime, str | None]:
    return dict(lake.bars(symbol, with_source=True).select("timestamp", "source").iter_rows())


def again(lake: Lake) -> Lake:
    rebuild(lake.store, lake.root, lake.calendar, now=lake.now, url=database_of(lake.settings))
    return barlake.open(lake.root, settings=Settings(_env_file=None))


@settings(max_examples=10)
@given(WRITES)
def test_the_source_is_the_one_whose_values_are_held(writes: list[tuple[str, dt.date, int, int, int]]) -> None:
    clock = Clock(dt.datetime(2024, 3, 15, 12, tzinfo=dt.UTC))
    with temporary_lake(now=clock) as lake:
        expected: dict[dt.datetime, str] = {}
        values: dict[dt.datetime, int] = {}
        for source, day, first, count, more in writes:
            rows = make_bars([day], minutes=first + count)[first:].with_columns(pl.col("volume") + more)
            lake.writer.write(rows, feed="sip", symbol="SPY", source=source, longest=PeriodLength.SESSION)
            for stamp, volume in rows.select("timestamp", "volume").iter_rows():
                if values.get(stamp) != volume:
                    values[stamp], expected[stamp] = volume, source
        assert sources(lake) == expected
        clock.moment = dt.datetime(2025, 2, 1, tzinfo=dt.UTC)
        lake.rollup()
        assert sources(lake) == expected
        with again(lake) as found:
            assert sources(found) == expected
            view = found.sql("SELECT timestamp, source FROM bars_with_source")
            assert dict(view.iter_rows()) == expected


@pytest.mark.both_databases
def test_bars_of_many_symbols_in_one_commit_tell_their_source_too(lake: Lake, clock: Clock) -> None:
    clock.moment = dt.datetime(2024, 3, 14, 21, tzinfo=dt.UTC)
    today = make_bars(DAYS[2:], minutes=6)
    both = pl.concat([today[:4].with_columns(symbol=pl.lit(name)) for name in ("SPY", "QQQ")])
    lake.writer.write_many(both[:3], feed="sip", source="alpaca")
    lake.writer.write(today[2:4], feed="sip", symbol="SPY", source="massive", rank=RowRank.REST)
    lake.writer.write_many(both, feed="sip", source="alpaca", rank=RowRank.REST)
    expected = ["alpaca"] * 2 + ["alpaca", "massive"]
    assert list(sources(lake).values()) == expected
    assert set(sources(lake, "QQQ").values()) == {"alpaca"}
    with again(lake) as found:
        assert list(sources(found).values()) == expected
        assert set(sources(found, "QQQ").values()) == {"alpaca"}


def test_every_form_and_instant_has_it_and_longer_bars_have_not(lake: Lake, clock: Clock) -> None:
    bars = make_bars(DAYS[:1])
    lake.writer.write(bars, feed="sip", symbol="SPY", source="alpaca")
    before = clock.moment + dt.timedelta(seconds=1)
    clock.moment += dt.timedelta(minutes=1)
    lake.writer.write(bars[:1].with_columns(volume=1), feed="sip", symbol="SPY", source="massive")
    found = lake.bars("SPY", with_source=True)
    assert found.columns == [*lake.bars("SPY").columns, "source"]
    polars.testing.assert_frame_equal(found.drop("source"), lake.bars("SPY"))
    assert found["source"][:2].to_list() == ["massive", "alpaca"]
    assert lake.bars("SPY", with_source=True, as_of=before)["source"].unique().to_list() == ["alpaca"]
    lazy = lake.bars("SPY", with_source=True, output="lazy").collect()
    polars.testing.assert_frame_equal(lazy, found)
    with pytest.raises(InvalidInputError, match="minute bar"):
        lake.bars("SPY", with_source=True, timeframe="1Hour")


def test_a_file_says_nothing_of_moments_that_nobody_knows() -> None:
    stamps = [START + dt.timedelta(minutes=number) for number in range(4)]
    moments = pl.Series(stamps, dtype=pl.Datetime("us", "UTC"))
    known = pl.DataFrame(
        [(None, stamps[0], "alpaca"), ("SPY", stamps[2], "massive"), ("QQQ", stamps[3], "other")],
        schema={"symbol": pl.String(), "moment": moments.dtype, "source": pl.String()}, orient="row",
    )  # fmt: skip
    text = told_by(moments, known, "SPY")
    assert moments_of(moments, text).rows() == [(stamps[0], "alpaca"), (stamps[2], "massive")]
    assert moments_of(moments, "").is_empty()
