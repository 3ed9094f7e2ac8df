"""Adjusted bars out of a lake: in Python and in SQL, at every border, after corrections and for earlier instants."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import polars.testing
import pytest

from barlake.action_records import ActionReport
from barlake.errors import InvalidInputError, NotFoundError
from barlake.lake import Lake
from barlake.testing import make_bars, temporary_lake

DATA = Path(__file__).parents[3] / "shared" / "data"
DAYS = [dt.date(2024, 3, day) for day in (11, 12, 13, 14, 15)]
SPLIT, DIVIDEND = DAYS[2], DAYS[4]
PRICES = ["open", "high", "low", "close", "vwap"]
HEADER = "symbol,ex_date,kind,ratio,cash_usd,close_before,source"


class Clock:
    def __init__(self) -> None:
        self.moment = dt.datetime(2024, 3, 18, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.moment

    def move(self) -> dt.datetime:
        self.moment += dt.timedelta(hours=1)
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def empty(clock: Clock) -> Iterator[Lake]:
    with temporary_lake(now=clock) as lake:
        yield lake


@pytest.fixture
def lake(empty: Lake) -> Lake:
    """Five sessions of ten minutes, a 2:1 split on the third and a dividend of one dollar on the fifth."""
    empty.write_bars(make_bars(DAYS, minutes=10), feed="sip", symbol="SPY")
    tell(empty, f"SPY,{SPLIT},split,2:1,,,issuer", f"SPY,{DIVIDEND},dividend,,1,,issuer")
    return empty


def tell(lake: Lake, *rows: str) -> ActionReport:
    path = Path("told.csv")
    path.write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    report, bad = lake.import_actions(path)
    assert bad == []
    return report


def close_of(lake: Lake, day: dt.date, **options: Any) -> float:
    price: float = lake.bars("SPY", day, day + dt.timedelta(days=1), **options)["close"][-1]
    return price


def from_sql(lake: Lake) -> pl.DataFrame:
    return lake.sql('select * from bars_adjusted order by feed, symbol, "timestamp"')


def test_each_adjustment_does_its_part(lake: Lake) -> None:
    raw = lake.bars("SPY")
    paid = 1 - 1 / close_of(lake, DAYS[3])
    early, late = pl.col("session") < SPLIT, pl.col("session") < DIVIDEND
    halved, shrunk = pl.when(early).then(0.5).otherwise(1.0), pl.when(late).then(paid).otherwise(1.0)
    doubled = pl.when(early).then(2.0).otherwise(1.0)
    for adjustment, price, volume in (("split", halved, doubled), ("dividend", shrunk, pl.lit(1.0)),
                                      ("all", halved * shrunk, doubled)):  # fmt: skip
        expected = raw.with_columns(pl.col(PRICES) * price, pl.col("volume") * volume)
        polars.testing.assert_frame_equal(lake.bars("SPY", adjustment=adjustment), expected, rel_tol=1e-14)


def test_raw_is_what_is_read_unless_asked_otherwise(lake: Lake) -> None:
    assert lake.bars("SPY").equals(lake.bars("SPY", adjustment="raw"))
    assert lake.bars("SPY").schema["volume"] == pl.Int64()
    assert lake.bars("SPY", adjustment="all").schema["volume"] == pl.Float64()


def test_a_symbol_without_actions_is_only_retyped(lake: Lake) -> None:
    lake.write_bars(make_bars(DAYS, minutes=5, seed=2), feed="sip", symbol="QQQ")
    raw = lake.bars("QQQ")
    assert lake.bars("QQQ", adjustment="all").equals(raw.with_columns(pl.col("volume").cast(pl.Float64)))


def test_a_part_of_the_range_is_adjusted_as_the_whole_is(lake: Lake) -> None:
    whole = lake.bars("SPY", adjustment="all")
    for day in DAYS:
        part = lake.bars("SPY", day, day + dt.timedelta(days=1), adjustment="all")
        assert part.equals(whole.filter(session=day))


def test_minutes_are_adjusted_before_they_become_longer_bars(lake: Lake) -> None:
    daily = lake.bars("SPY", timeframe="1Day", adjustment="all")
    minutes = lake.bars("SPY", adjustment="all")
    traded = (minutes["vwap"] * minutes["volume"]).sum() / minutes["volume"].sum()
    weighted = (daily["vwap"] * daily["volume"]).sum() / daily["volume"].sum()
    assert weighted == pytest.approx(traded, rel=1e-12)
    assert daily["close"].to_list() == minutes.group_by("session", maintain_order=True).last()["close"].to_list()


def test_sql_and_python_say_the_same_to_the_last_digit(lake: Lake) -> None:
    lake.write_bars(make_bars(DAYS, minutes=5, seed=2), feed="iex", symbol="SPY")
    lake.write_bars(make_bars(DAYS, minutes=5, seed=3), feed="sip", symbol="QQQ")
    frames = [lake.bars(*pair, adjustment="all") for pair in (("SPY",), ("QQQ",))]
    python = pl.concat([lake.bars("SPY", feed="iex", adjustment="all"), *reversed(frames)])
    assert from_sql(lake).equals(python.select(from_sql(lake).columns).sort("feed", "symbol", "timestamp"))


def test_the_catalogue_shows_what_counts_and_how_it_was_measured(lake: Lake, clock: Clock) -> None:
    clock.move()
    tell(lake, f"SPY,{DIVIDEND},dividend,,1.02,,another")
    shown = lake.sql("select source, cash_usd, counts from corporate_actions where kind = 'dividend' order by source")
    assert shown.rows() == [("another", 1.02, True), ("issuer", 1.0, False)]
    factors = lake.sql("select ex_date, close_from, close_before from adjustment_factors order by ex_date")
    assert factors.rows() == [(SPLIT, None, None), (DIVIDEND, "session", close_of(lake, DAYS[3]))]


def test_a_catalogue_attached_under_another_name_shows_adjusted_bars(lake: Lake) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{lake.catalogue_path}' AS elsewhere (READ_ONLY)")
        row = connection.execute("SELECT count(*) FROM elsewhere.bars_adjusted").fetchone()
    assert row == (50,)


def test_an_empty_lake_has_the_views(empty: Lake) -> None:
    assert from_sql(empty).is_empty()
    assert empty.sql("select * from corporate_actions").is_empty()
    assert empty.corporate_actions().is_empty()


def test_importing_the_same_file_again_changes_nothing(lake: Lake) -> None:
    before = lake.corporate_actions()
    report = tell(lake, f"SPY,{SPLIT},split,2:1,,,issuer", f"SPY,{DIVIDEND},dividend,,1,,issuer")
    assert (report.unchanged, report.changed) == (2, False)
    assert lake.corporate_actions().equals(before)


def test_an_amount_that_is_mended_changes_the_factors_from_then_on(lake: Lake, clock: Clock) -> None:
    before, then = lake.bars("SPY", adjustment="all"), clock.move()
    clock.move()
    tell(lake, f"SPY,{DIVIDEND},dividend,,2,,issuer")
    assert close_of(lake, DAYS[3], adjustment="dividend") == pytest.approx(close_of(lake, DAYS[3]) - 2, rel=1e-12)
    assert lake.bars("SPY", adjustment="all", as_of=then).equals(before)
    assert lake.corporate_actions("SPY", as_of=then)["cash_usd"].to_list() == [None, 1.0]


def test_a_corrected_close_is_measured_anew(lake: Lake, clock: Clock) -> None:
    before, then = lake.bars("SPY", adjustment="all"), clock.move()
    clock.move()
    last = lake.bars("SPY", DAYS[3], DAYS[4]).tail(1)
    corrected = last.with_columns(pl.lit(50.0).alias("close"), pl.lit(49.0).alias("low"))
    lake.write_bars(corrected.drop("feed", "symbol", "session", "ingested_at"), feed="sip", symbol="SPY")
    row = lake.sql("select close_before, dividend_factor from adjustment_factors where close_from = 'session'")
    assert row.rows() == [(50.0, 0.98)]
    assert from_sql(lake).equals(lake.bars("SPY", adjustment="all").select(from_sql(lake).columns))
    assert lake.bars("SPY", adjustment="all", as_of=then).equals(before)


def test_an_action_ahead_waits_until_its_session_is_held(lake: Lake) -> None:
    monday = dt.date(2024, 3, 18)
    before = lake.bars("SPY", adjustment="all")
    tell(lake, f"SPY,{monday},split,10:1,,,issuer")
    assert lake.bars("SPY", adjustment="all").equals(before)
    lake.write_bars(make_bars([monday], minutes=10, first_price=10.0), feed="sip", symbol="SPY")
    after = lake.bars("SPY", end=monday, adjustment="all")
    assert after["close"].to_list() == pytest.approx((before["close"] / 10).to_list(), rel=1e-12)


def test_each_feed_is_measured_by_its_own_closes(lake: Lake) -> None:
    lake.write_bars(make_bars(DAYS, minutes=10, first_price=200.0), feed="iex", symbol="SPY")
    found = lake.sql("select feed, close_before from adjustment_factors where close_from = 'session' order by feed")
    assert found.rows() == [(feed, close_of(lake, DAYS[3], feed=feed)) for feed in ("iex", "sip")]


def test_a_dividend_that_cannot_be_measured_is_refused_in_python_and_null_in_sql(empty: Lake) -> None:
    held, ex_date = [dt.date(2024, 1, 2), *DAYS], DAYS[0]
    empty.write_bars(make_bars(held, minutes=2), feed="sip", symbol="SPY")
    tell(empty, f"SPY,{ex_date},dividend,,1,,issuer")
    with pytest.raises(NotFoundError, match=f"Ingest the session before {ex_date}"):
        empty.bars("SPY", adjustment="all")
    assert empty.bars("SPY", adjustment="split").height == 12
    assert empty.bars("SPY", ex_date, adjustment="all").height == 10
    shown = from_sql(empty)
    assert shown.filter(pl.col("session") < ex_date)["close"].null_count() == 2
    assert shown.filter(pl.col("session") >= ex_date)["close"].null_count() == 0
    tell(empty, f"SPY,{ex_date},dividend,,1,100,issuer")
    assert from_sql(empty)["close"].null_count() == 0
    assert close_of(empty, held[0], adjustment="all") == close_of(empty, held[0]) * 0.99


def test_rollup_changes_nothing(lake: Lake, clock: Clock) -> None:
    before, shown = lake.bars("SPY", adjustment="all"), from_sql(lake)
    clock.moment = dt.datetime(2025, 2, 1, tzinfo=dt.UTC)
    lake.rollup()
    assert lake.bars("SPY", adjustment="all").equals(before)
    assert from_sql(lake).equals(shown)


def test_a_row_that_states_no_action_is_handed_back_and_the_others_are_kept(empty: Lake, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}\nSPY,2024-03-15,dividend,,1,,\nSPY,2024-06-21,dividend,,,,\n", encoding="utf-8")
    report, bad = empty.import_actions(path, source="desk")
    assert report == ActionReport(inserted=1)
    assert [(row.line, "cash_usd" in row.reason) for row in bad] == [(3, True)]
    assert empty.corporate_actions(["spy"]).select("source", "counts").rows() == [("desk", True)]


def test_an_adjustment_that_does_not_exist_is_refused(lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match="adjustment 'total' is not known"):
        lake.bars("SPY", adjustment="total")


def test_closes_are_read_from_files_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.publish()
    read: list[object] = []
    monkeypatch.setattr("barlake.factors.read_bars", lambda *_, **more: read.append(more))
    lake.publish()
    assert read == []


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not on this machine")
def test_apple_around_its_seven_for_one_split_reads_the_same_in_python_and_sql(empty: Lake) -> None:
    empty.import_bars(DATA / "bars_1m" / "lean" / "AAPL.parquet", feed="sip")
    report, bad = empty.import_actions(DATA / "corporate_actions.csv")
    assert (report.inserted, bad) == (663, [])
    found = empty.bars("AAPL", timeframe="1Day", session="regular", adjustment="split")
    assert found["session"].to_list() == [dt.date(2014, 6, day) for day in (5, 6, 9)]
    assert found["close"].max() / found["close"].min() < 1.03
    raw = empty.bars("AAPL", timeframe="1Day", session="regular")
    assert raw["close"].max() / raw["close"].min() > 6.8
    shown = from_sql(empty)
    assert shown.equals(empty.bars("AAPL", adjustment="all").select(shown.columns))
