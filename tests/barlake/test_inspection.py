"""A lake's own checks: what changed is checked once, and only that; what was found is published."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from barlake import NotFoundError
from barlake.checks import FINDINGS
from barlake.inspection import absent_minutes, check_symbol
from barlake.lake import Lake
from barlake.missing_minutes import EVER
from barlake.testing import make_bars

DATA = Path(__file__).resolve().parents[3] / "shared/data/bars_1m"
SESSIONS = [dt.date(2024, 3, day) for day in (5, 6, 7, 8, 11)]
FEED = "synthetic"


def spiked(bars: pl.DataFrame, row: int) -> pl.DataFrame:
    here = pl.int_range(pl.len()) == row
    return bars.with_columns(
        pl.when(here).then(pl.col(name) * 1.05).otherwise(name).alias(name) for name in ("close", "high")
    )


def fill(lake: Lake, bars: pl.DataFrame, *, feed: str = FEED, symbol: str = "SPY") -> None:
    lake.writer.write(bars, feed=feed, symbol=symbol, source="test")


def test_a_clean_lake_has_no_findings(lake: Lake) -> None:
    fill(lake, make_bars(SESSIONS))
    found = lake.quality()
    assert found.is_empty()
    assert dict(found.schema) == FINDINGS


def test_an_empty_lake_has_none_either(lake: Lake) -> None:
    assert lake.quality().is_empty()


def test_what_was_planted_is_found_at_its_minute_and_published(lake: Lake) -> None:
    bars = spiked(make_bars(SESSIONS), 500)
    fill(lake, bars)
    [row] = lake.quality("SPY").iter_rows(named=True)
    assert (row["check_name"], row["session"], row["timestamp"]) == ("spike", SESSIONS[1], bars["timestamp"][500])
    published = lake.sql("select feed, symbol, session, check_name, severity, detail from quality")
    assert published.row(0) == (FEED, "SPY", SESSIONS[1], "spike", "warning", row["detail"])


def test_a_session_is_checked_once_until_its_bars_change(lake: Lake) -> None:
    bars = make_bars(SESSIONS)
    fill(lake, bars)
    assert [check_symbol(lake, FEED, "SPY") for _ in range(2)] == [len(SESSIONS), 0]
    fill(lake, spiked(bars, 500))
    assert check_symbol(lake, FEED, "SPY") == 1
    assert lake.quality("SPY")["check_name"].to_list() == ["spike"]
    fill(lake, bars)
    assert check_symbol(lake, FEED, "SPY") == 1
    assert lake.quality("SPY").is_empty()


def test_what_was_found_in_bars_that_changed_since_is_not_published(lake: Lake) -> None:
    fill(lake, spiked(make_bars(SESSIONS), 500))
    assert lake.quality("SPY").height == 1
    lake.write_bars(make_bars(SESSIONS), feed=FEED, symbol="SPY")
    assert lake.sql("select * from quality").is_empty()


def test_findings_are_told_for_the_sessions_and_symbols_asked_for(lake: Lake) -> None:
    bars = spiked(spiked(make_bars(SESSIONS), 10), 500)
    fill(lake, bars)
    fill(lake, bars, symbol="QQQ")
    assert lake.quality().height == 4
    assert lake.quality("QQQ", SESSIONS[1], SESSIONS[2])["session"].to_list() == [SESSIONS[1]]


def test_a_session_is_due_again_when_another_feed_changes(lake: Lake) -> None:
    bars = make_bars(SESSIONS)
    fill(lake, bars, feed="sip")
    assert lake.quality("SPY").is_empty()
    other = bars.with_columns(pl.col("open", "high", "low", "close", "vwap") * 1.01)
    fill(lake, other.filter(pl.col("timestamp").dt.date() == SESSIONS[2]), feed="iex")
    assert check_symbol(lake, "sip", "SPY") == 1
    found = lake.quality("SPY").select("feed", "session", "check_name", "value").rows()
    assert found == [(feed, SESSIONS[2], "feeds_disagree", 0.0) for feed in ("iex", "sip")]


def test_the_volume_of_a_session_is_held_against_sessions_checked_before(lake: Lake) -> None:
    fill(lake, make_bars(SESSIONS[:4]))
    assert lake.quality("SPY").is_empty()
    fill(lake, make_bars(SESSIONS[4:]).with_columns(pl.col("volume") * 1000))
    assert lake.quality("SPY").select("session", "check_name").rows() == [(SESSIONS[4], "volume_scale")]


def test_refused_rows_are_findings(lake: Lake) -> None:
    bars = make_bars(SESSIONS)
    fill(lake, pl.concat([bars, bars[7:8].with_columns(pl.col("timestamp") + pl.duration(seconds=5))]))
    [row] = lake.quality("SPY").iter_rows(named=True)
    assert (row["check_name"], row["session"], row["severity"]) == ("off_minute", SESSIONS[0], "warning")


def test_bars_outside_regular_hours_are_not_checked(lake: Lake) -> None:
    fill(lake, make_bars(SESSIONS).with_columns(pl.col("timestamp") - pl.duration(hours=9)))
    fill(lake, spiked(make_bars(SESSIONS[:1]).with_columns(pl.col("timestamp") + pl.duration(hours=7)), 100))
    assert lake.quality("SPY").is_empty()


def test_absent_minutes_of_a_lake_name_feed_symbol_class_and_evidence(lake: Lake) -> None:
    fill(lake, make_bars(SESSIONS).filter(pl.col("timestamp").dt.date() != SESSIONS[1])[2:])
    found = lake.missing_minutes("spy")
    assert found.select("feed", "symbol", "session", "minutes", "class").rows() == [
        (FEED, "SPY", SESSIONS[0], 2, "unconfirmed"),
        (FEED, "SPY", SESSIONS[1], 390, "gap"),
    ]
    assert found["evidence"][1] == "no answer on record"


def test_absent_minutes_are_told_from_start_up_to_end(lake: Lake) -> None:
    fill(lake, make_bars(SESSIONS)[2:])
    start = dt.datetime(2024, 3, 5, 14, 31, tzinfo=dt.UTC)
    assert lake.missing_minutes("SPY", start, "2024-03-06")["minutes"].to_list() == [1]
    assert lake.missing_minutes("SPY", "2024-03-06", "2024-03-09").is_empty()
    assert lake.missing_minutes("SPY", "2024-03-11", "2024-03-16")["class"].unique().sort().to_list() == [
        "gap",
        "not_yet",
    ]


def test_a_reference_that_is_not_held_is_refused(lake: Lake) -> None:
    fill(lake, make_bars(SESSIONS))
    with pytest.raises(NotFoundError, match="'QQQ' has no bars for feed 'synthetic'"):
        absent_minutes(lake, "SPY", EVER, reference="QQQ")


def test_the_published_gaps_run_from_a_symbol_s_first_session_to_its_feed_s_last(lake: Lake) -> None:
    fill(lake, make_bars(SESSIONS))
    lake.write_bars(make_bars(SESSIONS[2:4]), feed=FEED, symbol="QQQ")
    found = lake.sql("select symbol, session, class, missing_bars from gaps")
    assert found.rows() == [("QQQ", SESSIONS[4], "gap", 390)]


@pytest.mark.skipif(not DATA.exists(), reason="the shared real bars are not here")
def test_real_bars_of_march_2020_show_their_halts_and_nothing_else(lake: Lake) -> None:
    lake.import_bars(DATA / "halts_2020/QQQ.parquet", feed="sip")
    assert lake.quality("QQQ").is_empty()
    assert lake.missing_minutes("QQQ").select("session", "minutes", "class").rows() == [
        (dt.date(2020, 3, 9), 14, "halt"),
        (dt.date(2020, 3, 12), 14, "halt"),
    ]
    assert lake.sql("select class, missing_bars from gaps").rows() == [("halt", 14), ("halt", 14)]


def test_what_is_imported_is_checked_at_once(lake: Lake, tmp_path: Path) -> None:
    prices = pl.col("open", "high", "low", "close", "vwap")
    bad_print = pl.when(pl.int_range(pl.len()) == 100).then(prices * 3).otherwise(prices)
    make_bars(SESSIONS[:1]).with_columns(bad_print).write_parquet(tmp_path / "SPY.parquet")
    lake.import_bars(tmp_path, feed="sip")
    assert lake.sql("SELECT DISTINCT check_name FROM quality").rows() == [("spike",)]
