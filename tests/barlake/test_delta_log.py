"""The lake as a Delta table: independent readers see what the lake holds, and no Delta program may change it."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import barlake.delta_log
from barlake.backup import backup
from barlake.delta_log import LOG_FOLDER, DeltaReport, register_delta
from barlake.errors import FormatError
from barlake.lake import Lake
from barlake.records import utc_now
from barlake.testing import make_bars
from tests.barlake.conftest import Clock

deltalake = pytest.importorskip("deltalake", reason="the extra barlake[delta] is not installed")

FEED = "synthetic"
SYMBOLS = ["SPY", "BTC/USD", "^A=B"]
DAYS = [dt.date(2023, 12, 29), dt.date(2024, 1, 2), dt.date(2024, 3, 14), dt.date(2024, 3, 15)]
MINUTES = 20
KEYS = ["feed", "symbol", "timestamp"]


@pytest.fixture
def held(lake: Lake) -> Lake:
    for seed, symbol in enumerate(SYMBOLS):
        lake.write_bars(make_bars(DAYS, minutes=MINUTES, seed=seed), feed=FEED, symbol=symbol)
    return lake


def register(lake: Lake) -> DeltaReport:
    return register_delta(lake.store, lake.manifest.files())


def delta_table(lake: Lake) -> Any:
    return deltalake.DeltaTable(str(lake.root))


def by_deltalake(lake: Lake) -> pl.DataFrame:
    found = pl.from_arrow(delta_table(lake).to_pyarrow_table())
    assert isinstance(found, pl.DataFrame)
    return found


def by_polars(lake: Lake) -> pl.DataFrame:
    return pl.scan_delta(str(lake.root)).collect()


def assert_readers_agree(lake: Lake) -> None:
    wanted = lake.bars(SYMBOLS).drop("session").sort(KEYS)
    for found in (by_deltalake(lake), by_polars(lake)):
        assert_frame_equal(found.drop("dt").sort(KEYS), wanted, check_column_order=False)
        assert found["volume"].sum() == wanted["volume"].sum()


def correct(lake: Lake, day: dt.date) -> None:
    changed = make_bars([day], minutes=MINUTES).with_columns(pl.col("close") + 0.25, pl.col("high") + 1)
    lake.write_bars(changed, feed=FEED, symbol="SPY")


def test_independent_readers_see_the_bars_that_count(held: Lake) -> None:
    files = len(held.manifest.files())
    assert register(held) == DeltaReport(version=0, files=files, added=files, removed=0)
    assert_readers_agree(held)
    assert by_polars(held).columns == ["feed", "symbol", *(n for n in held.bars("SPY").columns[3:]), "dt"]


def test_registering_what_is_registered_writes_no_version(held: Lake) -> None:
    first = register(held)
    assert register(held) == DeltaReport(0, first.files, 0, 0)
    assert len(list((held.root / LOG_FOLDER).iterdir())) == 1


def test_a_correction_a_rollup_and_a_vacuum_arrive_with_the_next_registration(held: Lake, clock: Clock) -> None:
    register(held)
    correct(held, DAYS[-1])
    assert register(held) == DeltaReport(version=1, files=len(held.manifest.files()), added=1, removed=1)
    assert_readers_agree(held)
    clock.moment += dt.timedelta(days=365)
    assert held.rollup().files_after
    report = register(held)
    assert (report.version, report.files) == (2, len(held.manifest.files()))
    assert_readers_agree(held)
    assert held.vacuum(grace=dt.timedelta(seconds=-1)).files > 0
    assert_readers_agree(held)
    assert held.verify().is_sound


def test_files_that_count_no_more_are_not_in_the_table_though_they_lie_there(held: Lake) -> None:
    correct(held, DAYS[0])
    register(held)
    on_disk = len(list((held.root / "parquet/bars").rglob("*.parquet")))
    assert len(delta_table(held).file_uris()) == len(held.manifest.files()) == on_disk - 1
    assert_readers_agree(held)


def test_a_table_that_was_not_brought_up_to_date_misses_files_only_after_the_vacuum(held: Lake, clock: Clock) -> None:
    register(held)
    before = by_polars(held)
    clock.moment = utc_now()  # the vacuum goes by the clock of the machine
    correct(held, DAYS[0])
    held.vacuum()
    assert_frame_equal(by_polars(held), before)
    held.vacuum(grace=dt.timedelta(seconds=-1))
    with pytest.raises(FileNotFoundError):
        by_polars(held)
    with pytest.raises(FileNotFoundError):
        by_deltalake(held)
    register(held)
    assert_readers_agree(held)


def test_an_earlier_version_can_be_read_as_long_as_its_files_are_there(held: Lake) -> None:
    register(held)
    before = by_polars(held)
    correct(held, DAYS[0])
    register(held)
    assert_frame_equal(pl.scan_delta(str(held.root), version=0).collect(), before)


def test_predicates_on_symbol_and_time_reach_the_files(held: Lake) -> None:
    register(held)
    start = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    scan = pl.scan_delta(str(held.root)).filter((pl.col("symbol") == "BTC/USD") & (pl.col("timestamp") >= start))
    assert_frame_equal(
        scan.collect().drop("dt").sort(KEYS),
        held.bars("BTC/USD", start).drop("session"),
        check_column_order=False,
    )
    assert scan.explain().count(".parquet") <= 2


WRITES = {
    "append": lambda table: deltalake.write_deltalake(table, table.to_pyarrow_table(), mode="append"),
    "overwrite": lambda table: deltalake.write_deltalake(table, table.to_pyarrow_table(), mode="overwrite"),
    "delete": lambda table: table.delete("symbol = 'SPY'"),
    "compact": lambda table: table.optimize.compact(),
    "vacuum": lambda table: table.vacuum(0, dry_run=False, enforce_retention_duration=False, full=True),
}


@pytest.mark.parametrize("name", WRITES)
def test_no_delta_program_may_write_or_delete(held: Lake, name: str) -> None:
    register(held)
    correct(held, DAYS[0])
    before = sorted(str(path) for path in (held.root / "parquet").rglob("*.parquet"))
    register(held)
    with pytest.raises(deltalake.exceptions.DeltaError, match="barlakeWritesOnly"):
        WRITES[name](delta_table(held))
    assert {*before} <= {str(path) for path in held.root.rglob("*.parquet")}
    assert_readers_agree(held)


def test_the_log_does_not_confuse_the_lake_not_even_with_a_checkpoint(held: Lake, tmp_path: Path) -> None:
    register(held)
    delta_table(held).create_checkpoint()
    assert list((held.root / LOG_FOLDER).glob("*.checkpoint.parquet"))
    held.vacuum(grace=dt.timedelta(seconds=-1))
    report = held.verify()
    assert report.is_sound
    assert not report.orphans
    backup(held.store, held.root, held.manifest, tmp_path / "copies", now=held.now)
    correct(held, DAYS[0])
    assert register(held).version == 1
    assert_readers_agree(held)


def test_those_who_register_at_once_leave_one_true_table(held: Lake) -> None:
    register(held)
    correct(held, DAYS[0])
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda _: register(held), range(8)))
    assert {report.version for report in reports} == {1}
    assert sorted(report.added for report in reports) == [0] * 7 + [1]
    assert sorted(path.name for path in (held.root / LOG_FOLDER).iterdir()) == [f"{n:020}.json" for n in range(2)]
    assert_readers_agree(held)


def test_a_version_another_wrote_first_is_read_and_built_upon(held: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    register(held)
    write = barlake.delta_log._write_version
    correct(held, DAYS[0])
    early = held.manifest.files()

    def late(*arguments: Any) -> bool:
        monkeypatch.setattr(barlake.delta_log, "_write_version", write)
        correct(held, DAYS[1])
        register(held)
        return write(*arguments)

    monkeypatch.setattr(barlake.delta_log, "_write_version", late)
    assert register_delta(held.store, early).version == 2
    register(held)
    assert_readers_agree(held)


@pytest.mark.parametrize("harm", ["no json", '{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}', None])
def test_a_log_that_is_not_ours_or_not_whole_is_left_alone(held: Lake, harm: str | None) -> None:
    register(held)
    correct(held, DAYS[0])
    register(held)
    first = held.root / LOG_FOLDER / f"{0:020}.json"
    if harm is None:
        first.unlink()
    else:
        first.write_text(harm)
    with pytest.raises(FormatError, match="Delete the folder _delta_log and register again"):
        register(held)


def test_an_empty_lake_is_an_empty_table(lake: Lake) -> None:
    assert register(lake).files == 0
    assert by_polars(lake).is_empty()


def test_each_line_of_the_log_is_one_action_of_the_protocol(held: Lake) -> None:
    register(held)
    lines = (held.root / LOG_FOLDER / f"{0:020}.json").read_text().splitlines()
    kinds = [next(iter(json.loads(line))) for line in lines]
    assert kinds == ["commitInfo", "protocol", "metaData", *["add"] * len(held.manifest.files())]
