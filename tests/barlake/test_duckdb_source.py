"""Bars out of other people's DuckDB files, read without a change to them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import polars as pl
import pytest

from barlake.duckdb_source import read_bars_from_duckdb, symbols_in_duckdb
from barlake.errors import FormatError, InvalidInputError, NotFoundError
from barlake.schemas import BAR_VALUES
from barlake.testing import make_bars, temporary_lake

SESSIONS = [dt.date(2024, 1, 2)]


def bars(symbol: str = "SPY", seed: int = 0) -> pl.DataFrame:
    return make_bars(SESSIONS, seed=seed, minutes=10).with_columns(symbol=pl.lit(symbol))


def file_with(path: Path, frame: pl.DataFrame, statement: str = "CREATE TABLE bars AS SELECT * FROM incoming") -> Path:
    with duckdb.connect(path) as connection:
        connection.register("incoming", frame.to_arrow())
        connection.execute(statement)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "theirs.duckdb"


def test_a_table_is_read_with_its_values(path: Path) -> None:
    file_with(path, pl.concat([bars().reverse(), bars("QQQ", 1)]))
    found = read_bars_from_duckdb(path, ["SPY"], "external")
    assert found.columns == ["feed", "symbol", "timestamp", *BAR_VALUES]
    assert found.schema["timestamp"] == pl.Datetime("us", "UTC")
    assert found.drop("feed", "symbol").equals(bars().drop("symbol"))


def test_several_symbols_come_sorted(path: Path) -> None:
    file_with(path, pl.concat([bars(), bars("QQQ", 1)]))
    found = read_bars_from_duckdb(path, ["spy", "QQQ"], "external")
    assert found["symbol"].unique(maintain_order=True).to_list() == ["QQQ", "SPY"]
    assert found.height == 20


def test_a_view_in_another_zone_gives_the_same_instants(path: Path) -> None:
    table = "CREATE TABLE raw AS SELECT * FROM incoming"
    file_with(path, bars(), table)
    with duckdb.connect(path) as connection:
        connection.execute("SET TimeZone = 'America/New_York'")
        connection.execute("CREATE VIEW bars AS SELECT * FROM raw")
    assert read_bars_from_duckdb(path, ["SPY"], "external")["timestamp"].equals(bars()["timestamp"])


def test_columns_that_may_be_missing_are_null(path: Path) -> None:
    file_with(path, bars().drop("vwap", "trade_count"))
    found = read_bars_from_duckdb(path, ["SPY"], "external")
    assert found["vwap"].null_count() == found["trade_count"].null_count() == 10
    assert found.schema["vwap"] == pl.Float64()


def test_a_feed_column_keeps_feeds_apart(path: Path) -> None:
    named = [bars(seed=seed).with_columns(feed=pl.lit(feed)) for seed, feed in enumerate(("sip", "iex"))]
    file_with(path, pl.concat(named))
    assert symbols_in_duckdb(path).rows() == [("iex", "SPY"), ("sip", "SPY")]
    assert read_bars_from_duckdb(path, ["SPY"], "iex")["close"].equals(bars(seed=1)["close"])


def test_narrower_types_are_widened(path: Path) -> None:
    file_with(path, bars().with_columns(pl.col("close").cast(pl.Float32), pl.col("volume").cast(pl.Int32)))
    found = read_bars_from_duckdb(path, ["SPY"], "external")
    assert (found.schema["close"], found.schema["volume"]) == (pl.Float64(), pl.Int64())


def test_a_published_catalogue_is_such_a_file() -> None:
    with temporary_lake() as lake:
        lake.write_bars(bars().drop("symbol"), feed="synthetic", symbol="SPY")
        found = read_bars_from_duckdb(lake.catalogue_path, ["SPY"], "synthetic")
        assert found.drop("feed", "symbol").equals(bars().drop("symbol"))


def test_reading_changes_nothing(path: Path) -> None:
    file_with(path, bars())
    before = path.read_bytes()
    read_bars_from_duckdb(path, ["SPY"], "external")
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


# What is refused -------------------------------------------------------------------------------------


def test_a_missing_file_is_named_and_not_made(path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"theirs.duckdb is no file"):
        symbols_in_duckdb(path)
    assert not path.exists()


def test_a_file_that_is_not_duckdb_is_named(path: Path) -> None:
    path.write_text("timestamp,open\n" * 500)
    with pytest.raises(FormatError, match=r"theirs.duckdb cannot be read as DuckDB bars"):
        symbols_in_duckdb(path)


def test_a_file_without_bars_is_refused(path: Path) -> None:
    file_with(path, bars(), "CREATE TABLE prices AS SELECT * FROM incoming")
    with pytest.raises(InvalidInputError, match="has no view or table `bars`"):
        symbols_in_duckdb(path)


def test_missing_columns_are_listed(path: Path) -> None:
    file_with(path, bars().drop("volume", "open"))
    with pytest.raises(InvalidInputError, match="lacks open, volume"):
        symbols_in_duckdb(path)


def test_timestamps_without_a_zone_are_refused(path: Path) -> None:
    file_with(path, bars().with_columns(pl.col("timestamp").dt.replace_time_zone(None)))
    with pytest.raises(InvalidInputError, match=r"timestamp of `bars` .* is TIMESTAMP: it must be TIMESTAMP WITH"):
        symbols_in_duckdb(path)


def test_text_in_a_number_is_refused(path: Path) -> None:
    file_with(path, bars().with_columns(close=pl.lit("n/a")))
    with pytest.raises(FormatError, match=r"cannot be read as DuckDB bars: .*n/a"):
        read_bars_from_duckdb(path, ["SPY"], "external")


def test_an_unknown_symbol_or_feed_is_refused(path: Path) -> None:
    file_with(path, bars())
    with pytest.raises(NotFoundError, match=r"'SPX' has no bars for feed 'external' in .*Did you mean 'SPY'"):
        read_bars_from_duckdb(path, ["SPX"], "external")
    with pytest.raises(NotFoundError, match="for feed 'sip'"):
        read_bars_from_duckdb(path, ["SPY"], "sip")
