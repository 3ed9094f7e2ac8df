"""Adjusted prices in features: another version, jumps gone, and no bit of the past changes with a later action."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from barlake import Lake
from barlake.errors import InvalidInputError
from barlake.settings import Settings
from barlake.testing import make_bars, temporary_lake
from feature_service.build import build_features
from feature_service.staleness import stale_tables

SESSIONS = [dt.date(2024, 3, day) for day in (11, 12, 13, 14, 15)]
FIRST_SPLIT, SECOND_SPLIT = SESSIONS[2], SESSIONS[4]


@pytest.fixture
def lake() -> Iterator[Lake]:
    """SPY, whose price halves on the third session because of a split."""
    raw = make_bars(SESSIONS, first_price=400.0)
    is_after = pl.col("timestamp") >= dt.datetime(2024, 3, 13, tzinfo=dt.UTC)
    prices = [
        pl.when(is_after).then(pl.col(name) / 2).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close", "vwap")
    ]
    with temporary_lake() as lake:
        lake.write_bars(raw.with_columns(prices), feed="sip", symbol="SPY")
        yield lake


def split(lake: Lake, folder: Path, day: dt.date) -> None:
    path = folder / f"split-{day}.csv"
    path.write_text(f"symbol,ex_date,kind,ratio,cash_usd,close_before,source\nSPY,{day},split,2,,,issuer\n")
    lake.import_actions(path)


def table(lake: Lake) -> pl.DataFrame:
    return lake.feature_tables.read(lake.feature_tables.latest("core", "SPY"), "SPY")


def test_adjusted_prices_are_another_version_without_the_jump(lake: Lake, tmp_path: Path) -> None:
    split(lake, tmp_path, FIRST_SPLIT)
    raw = build_features(lake, ["SPY"]).symbols[0]
    jump = table(lake)["log_return_1"].min()
    adjusted = build_features(lake, ["SPY"], adjustment="split").symbols[0]
    found = table(lake)
    assert raw.version != adjusted.version
    assert jump < -0.6  # type: ignore[operator] # a number
    assert found["log_return_1"].min() > -0.1  # type: ignore[operator] # a number
    bars = lake.bars("SPY")
    first = bars["session"] < FIRST_SPLIT
    assert found["close"].filter(first).equals(bars["close"].filter(first))
    assert found["close"].filter(~first).to_list() == (bars["close"].filter(~first) * 2).to_list()
    assert found["volume"].filter(~first).to_list() == (bars["volume"].filter(~first) / 2).to_list()
    assert lake.feature_tables.definition(lake.feature_tables.latest("core", "SPY"))["adjustment"] == "split"


def test_a_later_split_makes_the_table_stale_and_changes_no_row_before_it(lake: Lake, tmp_path: Path) -> None:
    split(lake, tmp_path, FIRST_SPLIT)
    build_features(lake, ["SPY"], adjustment="split")
    before = table(lake)
    split(lake, tmp_path, SECOND_SPLIT)
    assert build_features(lake, ["SPY"], adjustment="split").files_written == 1
    after = table(lake)
    earlier = pl.col("session") < SECOND_SPLIT
    assert after.filter(earlier).equals(before.filter(earlier))
    assert not after.filter(~earlier).equals(before.filter(~earlier))


def test_raw_features_do_not_ask_for_actions(lake: Lake, tmp_path: Path) -> None:
    build_features(lake, ["SPY"])
    split(lake, tmp_path, FIRST_SPLIT)
    assert stale_tables(lake, ["core"], ["SPY"], feed="sip") == []


def test_bars_of_a_duckdb_file_cannot_be_adjusted(tmp_path: Path) -> None:
    path = tmp_path / "theirs.duckdb"
    with duckdb.connect(path) as connection:
        connection.register("incoming", make_bars(SESSIONS[:1]).with_columns(symbol=pl.lit("SPY")).to_arrow())
        connection.execute("CREATE TABLE bars AS SELECT * FROM incoming")
    settings = Settings(_env_file=None).model_copy(update={"source_duckdb_path": path})
    with (
        Lake(tmp_path / "lake", settings) as lake,
        pytest.raises(InvalidInputError, match=r"adjustment 'split' needs corporate actions.*use raw"),
    ):
        build_features(lake, ["SPY"], adjustment="split")


def test_an_unknown_adjustment_is_refused(lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match="'total' is not known: use one of"):
        build_features(lake, ["SPY"], adjustment="total")
