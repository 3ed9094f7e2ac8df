"""The vacuum deletes what stopped counting and what never did, after the grace period, and nothing else."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import polars.testing
import pytest

from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.rollup import rollup
from barlake.testing import make_bars, temporary_lake
from barlake.vacuum import GRACE, VacuumReport, vacuum

pytestmark = pytest.mark.both_databases

SESSION = dt.date(2024, 1, 2)
NOW = dt.timedelta(0)


@pytest.fixture
def written() -> Iterator[Lake]:
    """A lake with one replaced file and one file of old values."""
    with temporary_lake() as lake:
        bars = make_bars([SESSION], minutes=10)
        for frame in (bars, bars.with_columns(pl.col("close").add(0.01).round(2))):
            lake.writer.write(frame, feed="sip", symbol="SPY", source="test")
        yield lake


def bar_files(lake: Lake) -> list[Path]:
    return sorted((lake.root / "parquet").rglob("*.parquet"))


def test_a_replaced_file_goes_after_the_grace_period_and_not_before(written: Lake) -> None:
    before = bar_files(written)
    assert len(before) == 3
    assert written.vacuum() == VacuumReport()
    assert bar_files(written) == before
    report = vacuum(written.store, written.manifest, grace=NOW)
    assert report.files == 1
    assert report.bytes > 0
    counting = {file.path for dataset in ("bars", "revisions") for file in written.manifest.files(dataset=dataset)}
    assert {path.relative_to(written.root).as_posix() for path in bar_files(written)} == counting


def test_a_second_vacuum_finds_nothing(written: Lake) -> None:
    vacuum(written.store, written.manifest, grace=NOW)
    assert vacuum(written.store, written.manifest, grace=NOW) == VacuumReport()
    assert written.manifest.removed_files(before=dt.datetime.now(tz=dt.UTC)) == []


def test_orphans_of_a_crash_go_when_they_are_old_enough(written: Lake) -> None:
    folder = bar_files(written)[0].parent
    old, young = folder / "orphan.parquet", folder / ".tmp-young.parquet"
    temporary = folder / ".tmp-old.parquet"
    for path in (old, young, temporary):
        path.write_bytes(b"half a file")
    past = time.time() - GRACE.total_seconds() - 5
    for path in (old, temporary):
        os.utime(path, (past, past))
    assert written.vacuum() == VacuumReport(2, 22)
    assert not old.exists()
    assert not temporary.exists()
    assert young.exists()


def test_a_file_that_counts_stays_however_old_it_is(written: Lake) -> None:
    expected = written.bars("SPY")
    for path in bar_files(written):
        os.utime(path, (0, 0))
    vacuum(written.store, written.manifest, grace=NOW)
    pl.testing.assert_frame_equal(written.bars("SPY"), expected)


def test_a_file_somebody_else_deleted_is_not_missed(written: Lake) -> None:
    [replaced] = written.manifest.removed_files(before=dt.datetime.now(tz=dt.UTC))
    (written.root / replaced).unlink()
    assert vacuum(written.store, written.manifest, grace=NOW) == VacuumReport()
    assert replaced not in written.manifest.known_paths()


def test_writers_and_other_vacuums_at_work_do_not_disturb_it(written: Lake) -> None:
    folder, done = bar_files(written)[0].parent, threading.Event()

    def write_and_delete() -> None:
        number = 0
        while not done.is_set():
            number += 1
            temporary = folder / f".tmp-{number}.parquet"
            temporary.write_bytes(b"x")
            temporary.replace(folder / f"{number % 50}.parquet")
            (folder / f"{(number + 7) % 50}.parquet").unlink(missing_ok=True)

    writer = threading.Thread(target=write_and_delete)
    writer.start()
    try:
        for _ in range(100):
            vacuum(written.store, written.manifest)
    finally:
        done.set()
        writer.join()


def test_an_empty_lake_has_nothing_to_delete(lake: Lake) -> None:
    assert lake.vacuum() == VacuumReport()


# --- a catalogue that is behind the lake -----------------------------------------------------------


@pytest.fixture
def behind(clock: Any) -> Iterator[tuple[Lake, duckdb.DuckDBPyConnection]]:
    """A lake whose catalogue names a file that was replaced two hours ago, and a connection to it."""
    clock.moment = dt.datetime.now(tz=dt.UTC) - 2 * GRACE
    with temporary_lake(now=clock) as lake:
        lake.write_bars(make_bars([SESSION], minutes=10), feed="sip", symbol="SPY")
        lake.writer.write(make_bars([SESSION], minutes=20), feed="sip", symbol="SPY", source="test")
        clock.moment = dt.datetime.now(tz=dt.UTC)
        with duckdb.connect(lake.catalogue_path, read_only=True) as connection:
            yield lake, connection


def test_a_connection_to_a_catalogue_that_nobody_published_again_keeps_its_rows(
    behind: tuple[Lake, duckdb.DuckDBPyConnection], clock: Any
) -> None:
    lake, connection = behind
    assert lake.vacuum() == VacuumReport()
    assert connection.execute("SELECT count(*) FROM bars").fetchall() == [(10,)]
    assert lake.sql("SELECT count(*) AS n FROM bars").item() == 20
    lake.publish()
    assert lake.vacuum() == VacuumReport()  # the grace counts from the publication that left it out
    clock.moment += GRACE
    assert lake.vacuum(grace=NOW).files == 1
    assert lake.sql("SELECT count(*) AS n FROM bars").item() == 20


def test_what_a_catalogue_names_that_cannot_be_published_again_stays(
    behind: tuple[Lake, duckdb.DuckDBPyConnection],
) -> None:
    lake, connection = behind
    [counting] = lake.manifest.files()
    (lake.root / counting.path).unlink()
    assert lake.vacuum(grace=NOW) == VacuumReport()
    assert connection.execute("SELECT count(*) FROM bars").fetchall() == [(10,)]


def test_a_rollup_with_nothing_to_do_publishes_what_a_killed_one_did_not() -> None:
    with temporary_lake() as lake:
        lake.write_bars(make_bars([SESSION], minutes=10), feed="sip", symbol="SPY")
        rollup(lake.store, lake.manifest, today=dt.date(2025, 1, 2))
        assert lake.rollup().files_after == 0
        lake.vacuum(grace=NOW)
        assert lake.sql("SELECT count(*) AS n FROM bars").item() == 10


def test_what_a_killed_run_never_finished_goes_after_a_day_and_what_was_finished_stays(lake: Lake) -> None:
    with lake.artifacts.create(ArtifactKind.MODEL, "ab" * 8, parameters={}, inputs={}, code="") as draft:
        (draft.path / "model.bin").write_bytes(b"model")
    old, resting = lake.root / "models" / ".tmp-old", lake.root / "runs" / ".tmp-resting"
    half = lake.root / "features" / "core" / "v=1" / "symbol=SPY" / "dt=2024" / ".tmp-half.parquet"
    for path in (old / "deep" / "a.bin", old / "b.bin", resting / "deep" / "a.bin", half):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    past = time.time() - 25 * 3600
    for path in (*lake.root.rglob("*"), lake.root):
        os.utime(path, (past, past))
    os.utime(resting / "deep" / "a.bin")
    assert lake.vacuum() == VacuumReport(3, 12)
    assert not old.exists()
    assert not half.exists()
    assert (resting / "deep" / "a.bin").exists()
    model = lake.artifacts.find(ArtifactKind.MODEL, "ab")
    assert lake.artifacts.verified_file(model, "model.bin").read_bytes() == b"model"
