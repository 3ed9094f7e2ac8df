"""Several processes at one lake: writers take turns and lose nothing, readers never notice."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import polars as pl
import polars.testing
import pytest

import barlake
from barlake.lake import Lake
from barlake.schemas import BAR_VALUES
from barlake.settings import Settings
from barlake.testing import make_bars

SESSION = dt.date(2024, 1, 2)

WRITER = """
import datetime as dt, sys
from pathlib import Path
import barlake
from barlake.settings import Settings
from barlake.testing import make_bars

root, part, parts, commits, publish = Path(sys.argv[1]), *map(int, sys.argv[2:])
bars = make_bars([dt.date(2024, 1, 2)])
own = bars.gather_every(parts, part)
with barlake.open(root, settings=Settings(_env_file=None)) as lake:
    print("ready", flush=True)
    sys.stdin.readline()
    size = -(-own.height // commits)
    for piece in own.iter_slices(size):
        # The first minute is everybody's: the same row from all of them.
        rows = bars[:1].vstack(piece).unique(maintain_order=True)
        lake.writer.write(rows, feed="sip", symbol="SPY", source="test")
        if publish:
            lake.publish()
"""

OPENER = """
import sys
from pathlib import Path
import barlake
from barlake.settings import Settings

print("ready", flush=True)
sys.stdin.readline()
with barlake.open(Path(sys.argv[1]), settings=Settings(_env_file=None)) as lake:
    assert lake.symbols().is_empty()
    assert lake.calendar.frame.height > 9000
"""


def open_at(root: Path) -> Lake:
    return barlake.open(root, settings=Settings(_env_file=None))


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def let_go(processes: list[subprocess.Popen[str]]) -> None:
    """Wait until all have got ready, then let them run at the same moment."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def ended_well(processes: list[subprocess.Popen[str]]) -> bool:
    for process in processes:
        process.communicate(timeout=120)
    return all(process.returncode == 0 for process in processes)


def written_by(root: Path, writers: int, *, commits: int) -> None:
    with open_at(root) as lake:
        _ = lake.calendar
        processes = [start(WRITER, root, part, writers, commits, 0) for part in range(writers)]
        let_go(processes)
        assert ended_well(processes)
        bars = make_bars([SESSION])
        pl.testing.assert_frame_equal(lake.bars("SPY").select("timestamp", *BAR_VALUES), bars)
        assert len(lake.manifest.files(symbol="SPY")) == 1
        assert lake.manifest.files(dataset="revisions") == []
        on_sqlite = Settings(_env_file=None, BARLAKE_DATABASE_URL=None)
        with barlake.open(root.with_name("alone"), settings=on_sqlite) as alone:
            alone.writer.write(bars, feed="sip", symbol="SPY", source="test")
            assert alone.snapshot("SPY").root_hash == lake.snapshot("SPY").root_hash


@pytest.mark.both_databases
@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("writers", [2, 4])
def test_writers_on_one_partition_all_succeed_and_lose_nothing(tmp_path: Path, writers: int) -> None:
    written_by(tmp_path / "lake", writers, commits=3)


@pytest.mark.slow
def test_six_writers_of_many_commits_lose_nothing(tmp_path: Path) -> None:
    written_by(tmp_path / "lake", 6, commits=60)


@pytest.mark.both_databases
@pytest.mark.usefixtures("database")
def test_a_fresh_lake_can_be_opened_by_several_at_once(tmp_path: Path) -> None:
    processes = [start(OPENER, tmp_path / "lake") for _ in range(2)]
    let_go(processes)
    assert ended_well(processes)


def test_readers_meet_no_missing_file_no_row_twice_and_never_fewer_rows(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    with open_at(root) as lake:
        lake.write_bars(make_bars([SESSION], minutes=1), feed="sip", symbol="SPY")
        writer = start(WRITER, root, 0, 1, 10, 1)
        let_go([writer])
        rows, published, rounds = 1, 1, 0
        while writer.poll() is None or rounds == 0:
            rounds += 1
            bars = lake.bars("SPY")
            assert bars["timestamp"].n_unique() == bars.height >= rows
            rows = bars.height
            with duckdb.connect(lake.catalogue_path, read_only=True) as connection:
                counted, distinct = connection.sql("SELECT count(*), count(DISTINCT timestamp) FROM bars").fetchall()[0]
            assert distinct == counted >= published
            published = counted
            lake.vacuum()
        assert ended_well([writer])
        assert rounds > 1
        assert lake.bars("SPY").height == 390
        assert lake.sql("SELECT count(*) AS n FROM bars").item() == 390


@pytest.mark.both_databases
@pytest.mark.usefixtures("database")
def test_threads_can_share_one_lake(tmp_path: Path) -> None:
    bars = make_bars([SESSION], minutes=120)
    faults: list[BaseException] = []
    with open_at(tmp_path / "lake") as lake:
        _ = lake.calendar

        def write(part: int) -> None:
            try:
                for piece in bars.gather_every(3, part).iter_slices(10):
                    lake.writer.write(piece, feed="sip", symbol="SPY", source="test")
                    lake.bars("SPY")
            except BaseException as error:  # noqa: BLE001 - a thread's fault belongs to the test
                faults.append(error)

        threads = [threading.Thread(target=write, args=(part,)) for part in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        pl.testing.assert_frame_equal(lake.bars("SPY").select("timestamp", *BAR_VALUES), bars)


def test_a_reader_that_took_its_file_list_before_keeps_its_rows(tmp_path: Path) -> None:
    with open_at(tmp_path / "lake") as lake:
        lake.write_bars(make_bars([SESSION], minutes=10), feed="sip", symbol="SPY")
        with duckdb.connect(lake.catalogue_path, read_only=True) as before:
            lake.write_bars(make_bars([SESSION], minutes=20), feed="sip", symbol="SPY")
            lake.vacuum()
            assert before.sql("SELECT count(*) FROM bars").fetchall() == [(10,)]
            assert lake.sql("SELECT count(*) AS n FROM bars").item() == 20
