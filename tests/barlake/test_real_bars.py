"""Real bars from many sources: what they hold is what the lake holds, quirks and all."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import polars.testing
import pytest

from barlake.lake import Lake
from barlake.schemas import BAR_VALUES
from barlake.testing import temporary_lake

DATA = Path(__file__).parents[3] / "shared" / "data"
SETS = sorted(path.name for path in (DATA / "bars_1m").glob("*")) or ["absent"]

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not on this machine")


def listed(kind: str, name: str) -> pl.DataFrame:
    manifest = pl.read_csv(DATA / "manifest.csv", infer_schema_length=None)
    return manifest.filter((pl.col("kind") == kind) & (pl.col("set") == name))


@pytest.mark.parametrize("name", [one for one in SETS if one != "year_2024"])
def test_a_set_of_real_bars_is_held_row_for_row(name: str) -> None:
    imported_as_listed(name)


@pytest.mark.slow
def test_a_year_of_real_bars_is_held_row_for_row() -> None:
    imported_as_listed("year_2024")


def imported_as_listed(name: str) -> None:
    expected = listed("bars_1m", name).group_by("symbol").agg(pl.col("rows").sum()).sort("symbol")
    assert expected.height > 0
    with temporary_lake() as lake:
        first = lake.import_bars(DATA / "bars_1m" / name, feed="sip")
        assert first.failures == []
        assert first.total.quarantined == first.total.changed == 0
        assert lake.symbols().select("symbol", pl.col("bars").alias("rows")).rows() == expected.rows()
        for symbol in expected["symbol"]:
            files = sorted((DATA / "bars_1m" / name).rglob("*.parquet"))
            source = pl.concat([pl.read_parquet(file) for file in files]).filter(pl.col("symbol") == symbol)
            source = source.select(pl.col("timestamp").cast(pl.Datetime("us", "UTC")), *BAR_VALUES).sort("timestamp")
            pl.testing.assert_frame_equal(lake.bars(symbol).select("timestamp", *BAR_VALUES), source)
        again = lake.import_bars(DATA / "bars_1m" / name, feed="sip").total
        assert (again.inserted, again.changed, again.files_written) == (0, 0, 0)


def test_of_bars_given_twice_and_out_of_order_each_is_held_once(lake: Lake) -> None:
    [path] = (DATA / "quirks" / "duplicates_out_of_order").glob("*.parquet")
    source = pl.read_parquet(path)
    report = lake.import_bars(path, feed="sip").total
    minutes = source["timestamp"].n_unique()
    assert report.inserted == minutes < source.height
    assert report.inserted + report.duplicates + report.quarantined == source.height
    assert lake.bars("QQQ")["timestamp"].is_sorted()


def test_bars_that_come_newest_first_are_held_oldest_first(lake: Lake) -> None:
    [path] = (DATA / "quirks" / "newest_first_adjusted").glob("*.parquet")
    source = pl.read_parquet(path)
    assert source["timestamp"].is_sorted(descending=True)
    report = lake.import_bars(path, feed="sip").total
    assert report.inserted + report.duplicates + report.quarantined == source.height
    held = lake.bars(source.item(0, "symbol"))
    assert held["timestamp"].is_sorted()
    assert held.height == source["timestamp"].n_unique()


def test_hourly_bars_are_refused_and_nothing_is_stored(lake: Lake) -> None:
    report = lake.import_bars(DATA / "bars_1h", feed="sip")
    assert report.imported == []
    assert report.failures
    assert all("so they are not 1-minute bars" in why for _, why in report.failures)
    assert lake.symbols().is_empty()
