"""Feeds of a market that never closes: a session is the UTC date, and volumes are parts of a coin."""

from __future__ import annotations

import datetime as dt

import polars as pl
import polars.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

import barlake
from barlake.exporting import BarExport, BarSelection
from barlake.keys import is_always_open
from barlake.lake import Lake
from barlake.rebuild import rebuild
from barlake.repair import repair
from barlake.sessions import NEW_YORK, Calendar, session_bounds, session_dates
from barlake.settings import Settings
from barlake.testing import make_bars
from tests.barlake.conftest import Clock

FEED, PAIR = "alpaca-crypto", "BTC/USD"
DST = dt.date(2024, 3, 10)
"""A Sunday on which New York's clock skips an hour."""

DAY = dt.timedelta(days=1)
INSTANTS = st.datetimes(dt.datetime(2009, 1, 1), dt.datetime(2027, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001 - hypothesis adds the zone


def coins(first: dt.datetime, minutes: int, *, step: int = 1) -> pl.DataFrame:
    stamps = [first + dt.timedelta(minutes=number * step) for number in range(minutes)]
    numbers = [int(stamp.timestamp()) // 60 for stamp in stamps]
    prices = [40_000.0 + number % 7 for number in numbers]
    return pl.DataFrame(
        {
            "timestamp": pl.Series(stamps, dtype=pl.Datetime("us", "UTC")),
            "open": prices, "high": prices, "low": prices, "close": prices,
            "volume": [0.1 + number % 3 for number in numbers],
        }
    )  # fmt: skip


def midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)


@pytest.fixture
def full(lake: Lake, clock: Clock) -> Lake:
    clock.moment = midnight(DST + 20 * DAY)
    lake.write_bars(coins(midnight(DST - DAY), 3 * 1440), feed=FEED, symbol=PAIR)
    return lake


@pytest.mark.parametrize(
    ("feed", "expected"),
    [("binance", True), ("alpaca-crypto", True), ("crypto", True), ("my_crypto", True), ("sip", False),
     ("iex", False), ("cryptography", False), ("synthetic", False)],
)  # fmt: skip
def test_the_name_of_a_feed_says_whether_its_market_closes(feed: str, expected: bool) -> None:  # noqa: FBT001
    assert is_always_open(feed) is expected


@given(st.lists(INSTANTS, min_size=1, max_size=20))
def test_the_session_of_an_instant_is_the_one_whose_bounds_hold_it(instants: list[dt.datetime]) -> None:
    for feed in (FEED, "sip"):
        for instant, day in zip(instants, session_dates(pl.Series(instants), feed), strict=True):
            start, end = session_bounds(day, day + DAY, feed)
            assert start <= instant < end
            assert day == instant.astimezone(dt.UTC if feed == FEED else NEW_YORK).date()


@given(st.dates(dt.date(2009, 1, 1), dt.date(2025, 12, 31)))
def test_every_date_is_a_session_of_a_whole_utc_day(day: dt.date) -> None:
    calendar = Calendar.default()
    [row] = calendar.of(FEED).in_range(day, day + DAY).to_dicts()
    assert (row["open"], row["close"]) == session_bounds(day, day + DAY, FEED)
    assert calendar.of("sip") is calendar


@pytest.mark.both_databases
def test_whole_days_are_covered_on_weekends_and_when_the_clock_of_new_york_changes(full: Lake) -> None:
    found = full.coverage(PAIR)
    assert found["session"].to_list() == [DST - DAY, DST, DST + DAY]
    assert found["bars"].to_list() == found["regular_bars"].to_list() == found["expected_bars"].to_list() == [1440] * 3
    assert full.gaps(PAIR).is_empty()
    assert full.verify().is_sound
    assert {file.key.period.label for file in full.manifest.files()} == {"2024-03-09", "2024-03-10", "2024-03-11"}


def test_a_date_is_utc_midnight_and_a_day_is_one_bar(full: Lake) -> None:
    bars = full.bars(PAIR, DST, DST + DAY)
    assert (bars["timestamp"][0], bars.height) == (midnight(DST), 1440)
    assert bars["session"].unique().to_list() == [DST]
    assert full.bars(PAIR, DST, DST + DAY, session="regular").equals(bars)
    assert full.bars(PAIR, session="post").is_empty()
    daily = full.bars(PAIR, timeframe="1Day")
    assert daily["timestamp"].to_list() == [midnight(DST + number * DAY) for number in (-1, 0, 1)]
    assert daily["volume"].to_list() == pytest.approx([1440 * 1.1] * 3)
    hourly = full.bars(PAIR, DST, DST + DAY, timeframe="1Hour")
    assert hourly["minutes"].to_list() == [60] * 24
    as_of = full.bars(PAIR, DST, DST + DAY, as_of=full.now() + DAY)
    polars.testing.assert_frame_equal(as_of, bars)
    polars.testing.assert_frame_equal(full.bars(PAIR, DST, DST + DAY, output="lazy").collect(), bars)
    assert full.latest(PAIR)["session"].to_list() == [DST + DAY]


def test_the_catalogue_says_the_same_beside_bars_of_shares(full: Lake) -> None:
    full.write_bars(make_bars([dt.date(2024, 3, 8)]), feed="sip", symbol="SPY")
    bars = full.bars(PAIR)
    view = full.sql(f"SELECT * FROM bars WHERE symbol = '{PAIR}' ORDER BY timestamp")
    polars.testing.assert_frame_equal(view, bars)
    between = full.sql(f"SELECT * FROM bars_between('{PAIR}', '{DST}', '{DST + DAY}') ORDER BY timestamp")
    polars.testing.assert_frame_equal(between, full.bars(PAIR, DST, DST + DAY))
    assert full.sql("SELECT count(*) FROM bars_between('SPY', '2024-03-08', '2024-03-09')").item() == 390
    daily = full.sql(f"SELECT * FROM bars_1d WHERE symbol = '{PAIR}' ORDER BY session")
    wanted = full.bars(PAIR, timeframe="1Day")
    polars.testing.assert_frame_equal(daily.select(wanted.columns), wanted)
    hourly = full.sql(f"SELECT * FROM bars_1h WHERE symbol = '{PAIR}' ORDER BY timestamp")
    wanted = full.bars(PAIR, timeframe="1Hour")
    polars.testing.assert_frame_equal(hourly.select(wanted.columns), wanted)
    days = full.sql("SELECT symbol, timestamp, minutes FROM bars_1d WHERE symbol = 'SPY'")
    assert days.rows() == [("SPY", dt.datetime(2024, 3, 8, 14, 30, tzinfo=dt.UTC), 390)]
    assert full.sql("SELECT DISTINCT expected_bars FROM coverage ORDER BY 1").to_series().to_list() == [390, 1440]


def test_absent_minutes_are_looked_for_round_the_clock(lake: Lake, clock: Clock) -> None:
    clock.moment = midnight(DST + 20 * DAY)
    whole = coins(midnight(DST), 1440)
    lake.write_bars(whole.filter(~pl.col("timestamp").is_between(*night(2, 4), closed="left")), feed=FEED, symbol=PAIR)
    [run] = lake.missing_minutes(PAIR).to_dicts()
    assert (run["first"], run["minutes"]) == (night(2, 4)[0], 120)
    [gap] = lake.gaps(PAIR).to_dicts()
    assert (gap["session"], gap["missing_bars"], gap["class"]) == (DST, 120, "unconfirmed")
    assert lake.quality(PAIR).columns


def night(*hours: int) -> list[dt.datetime]:
    return [midnight(DST) + dt.timedelta(hours=hour) for hour in hours]


def test_a_halt_of_the_exchanges_explains_nothing_here(lake: Lake) -> None:
    halted = dt.date(2020, 3, 9)
    lake.write_bars(coins(midnight(halted), 1430), feed=FEED, symbol=PAIR)
    assert lake.gaps(PAIR)["class"].to_list() == ["unconfirmed"]


def test_volumes_are_parts_of_a_coin_and_the_same_again_is_no_news(full: Lake) -> None:
    assert full.bars(PAIR).schema["volume"] == pl.Float64()
    again = full.write_bars(coins(midnight(DST), 1440), feed=FEED, symbol=PAIR)
    assert (again.unchanged, again.files_written) == (1440, 0)
    changed = full.write_bars(coins(midnight(DST), 1).with_columns(volume=0.25), feed=FEED, symbol=PAIR)
    assert changed.changed == 1
    assert full.revisions(PAIR).select("session", "volume_old", "volume_new").rows() == [(DST, 0.1, 0.25)]
    assert full.sql(f"SELECT volume FROM revisions WHERE symbol = '{PAIR}'").item() == 0.1
    bad = full.write_bars(coins(midnight(DST), 1).with_columns(volume=float("nan")), feed=FEED, symbol=PAIR)
    assert bad.quarantined == 1
    assert full.bars(PAIR, "2023-01-01", "2023-01-02").schema["volume"] == pl.Float64()


def test_care_knows_the_sessions_too(full: Lake, clock: Clock) -> None:
    bars = full.bars(PAIR)
    clock.moment = midnight(dt.date(2024, 5, 1))
    full.rollup()
    assert [file.key.period.label for file in full.manifest.files()] == ["2024-03"]
    report = rebuild(full.store, full.root, full.calendar, now=full.now)
    assert (report.sessions, report.unanswered) == (3, 0)
    with barlake.open(full.root, settings=Settings(_env_file=None)) as again:
        polars.testing.assert_frame_equal(again.bars(PAIR), bars)
        path = again.root / again.manifest.files()[0].path
        data = bytearray(path.read_bytes())
        data[100:400] = bytes(300)
        path.write_bytes(data)
        faults = again.verify().faults
        assert len(faults) == 1
        repair(again.store, again.manifest, faults, now=again.now)
        assert again.verify().is_sound


def test_provisional_bars_and_the_last_word_on_a_session(lake: Lake, clock: Clock) -> None:
    from barlake.records import RowRank

    late = midnight(DST) + dt.timedelta(hours=23)  # already the next date in no zone west of Greenwich
    clock.moment = midnight(DST + DAY)
    lake.writer.write(coins(late, 60), feed=FEED, symbol=PAIR, source="alpaca", rank=RowRank.BAR)
    assert lake.manifest.provisional(feed=FEED, symbol=PAIR, start=DST, end=DST + DAY).height == 60
    lake.writer.write(coins(late, 59), feed=FEED, symbol=PAIR, source="alpaca")
    report = lake.writer.finalise([DST], feed=FEED, symbol=PAIR, source="alpaca")
    assert report.removed == 1
    assert lake.bars(PAIR).height == 59


def test_a_file_of_everything_holds_coins_beside_shares(full: Lake) -> None:
    full.write_bars(make_bars([dt.date(2024, 3, 8)]), feed="alpaca-a", symbol="SPY")  # comes before the coins
    export = BarExport(full, BarSelection())
    found = pl.concat([piece.rows for piece in export.pieces()])
    assert found.schema == export.schema
    for symbol in ("SPY", PAIR):
        wanted = full.bars(symbol)["volume"].cast(pl.Float64)
        assert found.filter(symbol=symbol)["volume"].to_list() == wanted.to_list()
