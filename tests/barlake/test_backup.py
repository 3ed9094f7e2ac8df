"""A backup costs what is new, is whole at any moment, and comes back to the same root."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path

import pytest

from barlake import Lake
from barlake import open as open_lake
from barlake.backup import BackupReport, backup, generations
from barlake.errors import FormatError, InvalidInputError, NotFoundError, StorageError
from barlake.keys import ArtifactKind
from barlake.restore import RestoreReport, restore
from barlake.stores import LocalStore
from barlake.testing import make_bars

DAYS = [dt.date(2023, 12, 29), dt.date(2024, 1, 2), dt.date(2024, 2, 1), dt.date(2024, 2, 2)]


def write(lake: Lake, *, seed: int = 0, days: list[dt.date] = DAYS, symbol: str = "SPY") -> None:
    lake.writer.write(make_bars(days, seed=seed, minutes=30), feed="sip", symbol=symbol, source="test")


def bring_back(source: Path, root: Path, *, generation: str | None = None) -> RestoreReport:
    return restore(source, LocalStore(root), root, generation=generation)


def copy(lake: Lake, destination: Path) -> BackupReport:
    return backup(lake.store, lake.root, lake.manifest, destination, now=lambda: dt.datetime.now(tz=dt.UTC))


@pytest.fixture
def full(lake: Lake) -> Lake:
    """Two symbols, old values, and a model."""
    for symbol in ("SPY", "QQQ"):
        write(lake, symbol=symbol)
    write(lake, seed=1, days=DAYS[:1])
    with lake.artifacts.create(ArtifactKind.MODEL, "ab" * 8, parameters={}, inputs={}, code="c") as draft:
        (draft.path / "model.bin").write_bytes(b"model")
    return lake


def test_what_comes_back_has_the_same_root_bars_old_values_and_models(full: Lake, tmp_path: Path) -> None:
    made = copy(full, tmp_path / "copies")
    report = bring_back(tmp_path / "copies", tmp_path / "again")
    assert report.root_hash == made.root_hash == full.snapshot().root_hash
    with open_lake(tmp_path / "again") as again:
        assert again.bars(["SPY", "QQQ"]).equals(full.bars(["SPY", "QQQ"]))
        assert again.revisions("SPY").equals(full.revisions("SPY"))
        assert again.verify().is_sound
        model = again.artifacts.find(ArtifactKind.MODEL, "ab")
        assert again.artifacts.verified_file(model, "model.bin").read_bytes() == b"model"
        assert again.sql("select count(*) from bars").item() == full.bars(["SPY", "QQQ"]).height


def test_a_second_backup_copies_only_what_is_new(full: Lake, tmp_path: Path) -> None:
    first = copy(full, tmp_path / "copies")
    assert first.copied == first.files
    assert copy(full, tmp_path / "copies").copied == 0
    write(full, seed=2, days=DAYS[-1:])
    assert copy(full, tmp_path / "copies").copied == 2  # the session's file and its old values
    assert [one.root_hash for one in generations(tmp_path / "copies")][:2] == [first.root_hash] * 2


def test_an_older_backup_comes_back_too(full: Lake, tmp_path: Path) -> None:
    first = copy(full, tmp_path / "copies")
    write(full, seed=2)
    full.vacuum(grace=dt.timedelta(0))
    copy(full, tmp_path / "copies")
    report = bring_back(tmp_path / "copies", tmp_path / "again", generation=first.generation)
    assert report.root_hash == first.root_hash
    with pytest.raises(NotFoundError, match="no single backup 19"):
        bring_back(tmp_path / "copies", tmp_path / "other", generation="19")


def test_a_folder_that_is_not_empty_is_refused(full: Lake, tmp_path: Path) -> None:
    copy(full, tmp_path / "copies")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(InvalidInputError, match="not empty"):
        bring_back(tmp_path / "copies", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_backup_in_the_lake_or_around_it_is_refused(full: Lake) -> None:
    for place in (full.root / "copies", full.root.parent):
        with pytest.raises(InvalidInputError, match="lie in each other"):
            copy(full, place)


def test_a_damaged_file_stops_the_backup_and_leaves_the_earlier_one(full: Lake, tmp_path: Path) -> None:
    first = copy(full, tmp_path / "copies")
    write(full, seed=2, days=DAYS[-1:])
    path = full.root / full.manifest.files(symbol="SPY", start=DAYS[-1])[-1].path
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    with pytest.raises(FormatError, match="barlake repair"):
        copy(full, tmp_path / "copies")
    assert [one.name for one in generations(tmp_path / "copies")] == [first.generation]
    assert bring_back(tmp_path / "copies", tmp_path / "again").root_hash == first.root_hash


def test_a_backup_that_was_damaged_is_not_restored(full: Lake, tmp_path: Path) -> None:
    copy(full, tmp_path / "copies")
    path = next((tmp_path / "copies" / "files").rglob("*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    with pytest.raises(FormatError, match="is damaged"):
        bring_back(tmp_path / "copies", tmp_path / "again")
    with pytest.raises(StorageError, match="is being restored"):
        open_lake(tmp_path / "again")


def test_a_backup_taken_while_bars_are_written_is_one_moment_of_the_lake(lake: Lake, tmp_path: Path) -> None:
    roots = set()
    stop = threading.Event()

    def change() -> None:
        seed = 0
        while not stop.is_set():
            seed += 1
            write(lake, seed=seed, days=DAYS[:2])
            roots.add(lake.snapshot().root_hash)

    write(lake)
    roots.add(lake.snapshot().root_hash)
    writer = threading.Thread(target=change)
    writer.start()
    try:
        made = [copy(lake, tmp_path / "copies") for _ in range(4)]
    finally:
        stop.set()
        writer.join()
    assert {one.root_hash for one in made} <= roots
    for one in made:
        report = restore(
            tmp_path / "copies",
            LocalStore(tmp_path / one.generation),
            tmp_path / one.generation,
            generation=one.generation,
        )
        assert report.root_hash == one.root_hash


def test_what_a_killed_backup_left_behind_is_swept_by_the_next(full: Lake, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copy(full, copies)
    left = [copies / "files" / ".tmp-half.parquet", copies / "objects" / ".tmp-half"]
    for path in left:
        path.write_bytes(b"half")
    (copies / "generations" / ".tmp-20240101").mkdir()
    copy(full, copies)
    assert list(copies.rglob(".tmp-*")) == []
