"""The vacuum deletes what stopped counting and what never did, after the grace period, and nothing else."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import polars.testing
import pytest

from barlake.lake import Lake
from barlake.testing import make_bars, temporary_lake
from barlake.vacuum import GRACE, VacuumReport, vacuum

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
    report = vacuum(written.root, written.manifest, grace=NOW)
    assert report.files == 1
    assert report.bytes > 0
    counting = {file.path for dataset in ("bars", "revisions") for file in written.manifest.files(dataset=dataset)}
    assert {path.relative_to(written.root).as_posix() for path in bar_files(written)} == counting


def test_a_second_vacuum_finds_nothing(written: Lake) -> None:
    vacuum(written.root, written.manifest, grace=NOW)
    assert vacuum(written.root, written.manifest, grace=NOW) == VacuumReport()
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
    vacuum(written.root, written.manifest, grace=NOW)
    pl.testing.assert_frame_equal(written.bars("SPY"), expected)


def test_a_file_somebody_else_deleted_is_not_missed(written: Lake) -> None:
    [replaced] = written.manifest.removed_files(before=dt.datetime.now(tz=dt.UTC))
    (written.root / replaced).unlink()
    assert vacuum(written.root, written.manifest, grace=NOW) == VacuumReport()
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
            vacuum(written.root, written.manifest)
    finally:
        done.set()
        writer.join()


def test_an_empty_lake_has_nothing_to_delete(lake: Lake) -> None:
    assert lake.vacuum() == VacuumReport()
