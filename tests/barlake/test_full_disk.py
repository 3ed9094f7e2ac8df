"""A disk that is full: one clear error, nothing changed, and everything works again once there is room."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import polars.testing
import pytest

import barlake
from barlake.artifacts import artifact_id
from barlake.errors import StorageError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from barlake.settings import Settings
from barlake.testing import make_bars

SESSIONS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10, 11, 12)]
DISK_BYTES = 6 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can only be mounted by an administrator")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def open_at(root: Path) -> Lake:
    return barlake.open(root, settings=Settings(_env_file=None))


def fill(disk: Path, *, but: int = 0) -> Path:
    """Take all the room there is, but for some bytes."""
    filler = disk / "filler"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with filler.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(free - but, 1))
    return filler


def refused(work: Callable[[], object]) -> bool:
    try:
        work()
    except StorageError as error:
        assert "free space" in str(error)  # noqa: PT017 - how far a write comes depends on the room left
        return True
    return False


@pytest.mark.parametrize("room", [0, 8192, 32_768, 65_536, 131_072])
def test_a_write_without_room_changes_nothing_and_can_be_repeated(disk: Path, room: int) -> None:
    with open_at(disk / "lake") as lake:
        lake.write_bars(make_bars(SESSIONS[:1]), feed="sip", symbol="SPY")
        before, snapshot = lake.bars("SPY"), lake.snapshot("SPY").root_hash
        filler = fill(disk, but=room)
        more = make_bars(SESSIONS, seed=1)
        was_refused = refused(lambda: lake.writer.write(more, feed="sip", symbol="SPY", source="test"))
        assert was_refused or room > 0
        if was_refused:
            pl.testing.assert_frame_equal(lake.bars("SPY"), before)
            assert lake.snapshot("SPY").root_hash == snapshot
            counting = {file.path for file in lake.manifest.files()}
            assert {path.relative_to(lake.root).as_posix() for path in (lake.root / "parquet").rglob("*.*")} == counting
        filler.unlink()
        lake.write_bars(more, feed="sip", symbol="SPY")
        assert lake.bars("SPY").height == len(SESSIONS) * 390
        assert lake.sql("SELECT count(*) AS n FROM bars").item() == len(SESSIONS) * 390


@pytest.mark.parametrize("room", [0, 16_384, 262_144])
def test_a_catalogue_without_room_stays_as_it_was(disk: Path, room: int) -> None:
    with open_at(disk / "lake") as lake:
        lake.write_bars(make_bars(SESSIONS[:1]), feed="sip", symbol="SPY")
        filler = fill(disk, but=room)
        assert refused(lake.publish)
        assert lake.sql("SELECT count(*) AS n FROM bars").item() == 390
        filler.unlink()
        assert [path.name for path in (disk / "lake" / "duckdb").iterdir() if path.name.startswith(".tmp-")] == []
        lake.publish()


@pytest.mark.parametrize("room", [0, 8192, 65_536])
def test_a_lake_is_not_opened_without_room_and_is_later(disk: Path, room: int) -> None:
    filler = fill(disk, but=room)
    assert refused(lambda: open_at(disk / "lake").close())
    filler.unlink()
    with open_at(disk / "lake") as lake:
        lake.write_bars(make_bars(SESSIONS[:1]), feed="sip", symbol="SPY")


def test_a_calendar_without_room_is_one_clear_error(disk: Path) -> None:
    with open_at(disk / "lake") as lake:
        filler = fill(disk)
        assert refused(lambda: lake.calendar)
        filler.unlink()
        assert lake.calendar.frame.height > 9000


def test_an_artifact_without_room_is_absent(disk: Path) -> None:
    with open_at(disk / "lake") as lake:
        name = artifact_id(parameters={}, inputs={}, code="")
        filler = fill(disk)

        def make() -> None:
            with lake.artifacts.create(ArtifactKind.RUN, name, parameters={}, inputs={}, code="") as draft:
                draft.results["a"] = 1

        assert refused(make)
        assert lake.artifacts.get(ArtifactKind.RUN, name) is None
        filler.unlink()
        make()
        assert lake.artifacts.find(ArtifactKind.RUN, name).results == {"a": 1}


LIMITED = """
import resource, sys
from pathlib import Path
import barlake
from barlake.settings import Settings
from barlake.testing import make_bars
import datetime as dt

with barlake.open(Path(sys.argv[1]), settings=Settings(_env_file=None)) as lake:
    before = lake.bars("SPY")
    more = make_bars([dt.date(2024, 1, day) for day in (2, 3, 4)], seed=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        lake.writer.write(more, feed="sip", symbol="SPY", source="test")
    except barlake.StorageError as error:
        print(error)
    assert lake.bars("SPY").equals(before)
"""


@pytest.mark.parametrize("limit", [10_000])
def test_a_file_that_may_not_grow_is_one_clear_error(tmp_path: Path, limit: int) -> None:
    with open_at(tmp_path / "lake") as lake:
        lake.write_bars(make_bars(SESSIONS[:1]), feed="sip", symbol="SPY")
        snapshot = lake.snapshot("SPY").root_hash
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "lake"), str(limit)], capture_output=True, text=True, check=True
    )
    assert "File too large. Nothing was half written: free space" in done.stdout
    with open_at(tmp_path / "lake") as lake:
        assert lake.snapshot("SPY").root_hash == snapshot
        assert len(list((lake.root / "parquet").rglob("*.*"))) == 1
