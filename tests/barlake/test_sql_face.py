"""What a DuckDB user guesses: views and macros that say what `Lake.bars` says."""

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from barlake.lake import Lake
from barlake.testing import make_bars, temporary_lake

HALF_DAY, MONDAY, TUESDAY = dt.date(2024, 7, 3), dt.date(2024, 7, 1), dt.date(2024, 7, 2)
FEED = "synthetic"
COLUMNS = ["symbol", "session", "timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap", "minutes"]


def extended(bars: pl.DataFrame) -> pl.DataFrame:
    """The same bars two hours earlier and later too: before the open, in the session and after the close."""
    shifted = [bars.with_columns(pl.col("timestamp").dt.offset_by(by)) for by in ("-2h", "7h")]
    return pl.concat([*shifted, bars]).unique("timestamp", keep="last").sort("timestamp")


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    with temporary_lake() as lake:
        for number, symbol in enumerate(("SPY", "BRK.B")):
            bars = extended(make_bars([MONDAY, TUESDAY, HALF_DAY], seed=number, keep=0.7))
            lake.write_bars(bars, feed=FEED, symbol=symbol)
        corrected = make_bars([MONDAY], seed=0, minutes=2).with_columns(pl.col("volume") + 1)
        lake.write_bars(corrected, feed=FEED, symbol="SPY")
        yield lake


@pytest.mark.parametrize(("view", "timeframe"), [("bars_5m", "5Min"), ("bars_15m", "15Min"), ("bars_1h", "1Hour")])
def test_longer_views_are_the_bars_that_python_makes(lake: Lake, view: str, timeframe: str) -> None:
    theirs = lake.sql(f"select {', '.join(COLUMNS)} from {view} where symbol = 'SPY' order by timestamp")
    ours = lake.bars("SPY", timeframe=timeframe).select(COLUMNS)
    assert_frame_equal(theirs, ours, rel_tol=1e-12)


def test_the_daily_view_is_the_regular_session(lake: Lake) -> None:
    theirs = lake.sql(f"select {', '.join(COLUMNS)} from bars_1d where symbol = 'SPY' order by session")
    ours = lake.bars("SPY", timeframe="1Day", session="regular").select(COLUMNS)
    assert_frame_equal(theirs, ours, rel_tol=1e-12)


def test_bars_of_takes_a_symbol_in_any_case(lake: Lake) -> None:
    theirs = lake.sql("select * from bars_of('brk.b') order by timestamp")
    assert_frame_equal(theirs, lake.bars("BRK.B"))


def test_bars_between_takes_sessions_and_instants_and_leaves_the_end_out(lake: Lake) -> None:
    sessions = lake.sql("select * from bars_between('SPY', '2024-07-02', '2024-07-03') order by timestamp")
    assert_frame_equal(sessions, lake.bars("SPY", "2024-07-02", "2024-07-03"))
    dates = lake.sql("select * from bars_between('SPY', DATE '2024-07-02', DATE '2024-07-03') order by timestamp")
    assert_frame_equal(dates, sessions)
    span = ("2024-07-02T13:30:00Z", "2024-07-02T14:00:00Z")
    instants = lake.sql(f"select * from bars_between('SPY', '{span[0]}', '{span[1]}') order by timestamp")
    assert_frame_equal(instants, lake.bars("SPY", *span))


def test_revisions_show_what_bars_once_were(lake: Lake) -> None:
    theirs = lake.sql("select timestamp, close, volume, ingested_at, superseded_at from revisions order by timestamp")
    ours = lake.revisions("SPY").select("timestamp", "close_old", "volume_old", "known_from", "known_until")
    assert theirs.height > 0
    assert theirs.rows() == ours.rows()


def test_an_empty_lake_has_every_view() -> None:
    with temporary_lake() as empty:
        for view in ("bars", "bars_adjusted", "bars_5m", "bars_15m", "bars_1h", "bars_1d", "revisions", "sessions",
                     "coverage", "gaps", "corporate_actions", "quality"):  # fmt: skip
            empty.sql(f"select * from {view} limit 1")
        assert empty.sql("select * from bars_of('SPY')").is_empty()


def test_the_duckdb_command_line_of_the_1_5_line_knows_the_views_and_macros(lake: Lake) -> None:
    shell = Path(sys.executable).with_name("duckdb")
    if not shell.exists():
        pytest.skip("the DuckDB command line (package duckdb-cli) is not installed")
    query = "select count(*) from bars_of('SPY'); select count(*) from bars_1h; select count(*) from bars_1d"
    done = subprocess.run(
        [shell, "-readonly", "-csv", "-noheader", lake.catalogue_path, "-c", query],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    counts = [int(line) for line in done.stdout.split()]
    assert counts == [
        lake.bars("SPY").height,
        lake.bars(["SPY", "BRK.B"], timeframe="1Hour").height,
        lake.bars(["SPY", "BRK.B"], timeframe="1Day", session="regular").height,
    ]


def test_symbol_and_time_predicates_open_only_the_files_they_need(lake: Lake) -> None:
    plan = lake.sql("explain analyze select count(*) from bars where symbol = 'SPY'").to_series(1).item()
    assert "Scanning Files: 1/2" in plan


def test_the_session_of_any_hour_is_the_new_york_date_in_sql_and_python_alike() -> None:
    """Also of markets that never close, on both sides of midnight and of a change of the clock."""
    years = (1969, 1970, 1974, 2007, 2024)
    hours = [
        dt.datetime(year, 1, 1, 0, 30, tzinfo=dt.UTC) + dt.timedelta(hours=n) for year in years for n in range(8760)
    ]
    with temporary_lake() as lake:
        one = make_bars([MONDAY], minutes=1).drop("timestamp")
        lake.write_bars(one.join(pl.DataFrame({"timestamp": hours}), how="cross"), feed=FEED, symbol="BTC/USD")
        theirs = lake.sql('select session, "timestamp" from bars order by "timestamp"')
        local = pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.date()
        assert theirs.height == len(hours)
        assert theirs.filter(pl.col("session") != local).is_empty()
        assert_frame_equal(theirs, lake.bars("BTC/USD").select("session", "timestamp"))
