"""A second copy of a lake in another folder, made again in the time of what is new, and brought back whole.

    DEST/files/parquet/bars/...              files of bars and old values, under the path they have in the lake
    DEST/objects/<sha256>                    every other file, named by its bytes
    DEST/generations/<instant>/manifest.sqlite, backup.json

Files of a lake never change, so a backup copies only those that DEST lacks. The manifest is copied at one
instant while others may write; the generation that holds it gets its name last, when everything it names
is there and was read back. Whatever dies before, the generations that are there stay as they are.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from barlake import layout
from barlake.artifacts import sha256_of
from barlake.durable import fsync_folder, storage_errors
from barlake.errors import FormatError, InvalidInputError, StorageError
from barlake.keys import ArtifactKind
from barlake.manifest import Manifest
from barlake.manifest_files import copy_database
from barlake.records import FileRecord
from barlake.snapshots import lake_root
from barlake.stores import LocalStore, Store
from barlake.verify import check_file

__all__ = [
    "DATABASE",
    "FILES",
    "OBJECTS",
    "BackupReport",
    "Generation",
    "backup",
    "copy_durably",
    "generations",
]

FORMAT = 1
FILES, OBJECTS, DATABASE = "files", "objects", "manifest.sqlite"
_GENERATIONS, _FACTS = "generations", "backup.json"
_ROUNDS = 5
_ARTIFACTS = (ArtifactKind.MODEL, ArtifactKind.RUN)

OnFile = Callable[[str, int, int], None]


@dataclass(frozen=True)
class BackupReport:
    """What a backup did: files and bytes the lake counts, and those that had to be copied."""

    generation: str
    root_hash: str
    files: int
    bytes: int
    copied: int
    copied_bytes: int


@dataclass(frozen=True)
class Generation:
    """One finished backup. `others` maps a path in the lake to the SHA-256 and size of what lay there."""

    name: str
    path: Path
    root_hash: str
    others: dict[str, tuple[str, int]]


def generations(source: Path) -> list[Generation]:
    """Finished backups in a folder, oldest first.

    Raises
    ------
    FormatError
        If one was written by another release, or is damaged.
    """
    found = []
    for path in sorted((source / _GENERATIONS).glob("[0-9]*")):
        try:
            facts = json.loads((path / _FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FormatError(f"the backup {path} cannot be read: {error}. Name another with --generation.") from error
        if facts["format"] != FORMAT:
            raise FormatError(f"the backup {path} has format {facts['format']}, this release reads {FORMAT}.")
        others = {name: (sha, size) for name, (sha, size) in facts["others"].items()}
        found.append(Generation(path.name, path, facts["root_hash"], others))
    return found


def backup(
    store: Store,
    root: Path,
    manifest: Manifest,
    destination: Path,
    *,
    now: Callable[[], dt.datetime],
    on_file: OnFile = lambda _path, _done, _total: None,
) -> BackupReport:
    """Make a new generation in a folder, which is made when missing; the lake may be written meanwhile.

    Parameters
    ----------
    store, root
        Where the bar files lie, and everything else.

    Raises
    ------
    InvalidInputError
        If one of the two folders lies in the other.
    FormatError
        If a file of the lake is damaged; no generation is made.
    StorageError
        If the disk is full or refuses; the same holds.
    """
    destination = destination.absolute()
    if destination.is_relative_to(root) or root.is_relative_to(destination):
        raise InvalidInputError(f"the backup {destination} and the lake {root} lie in each other: name another folder.")
    with storage_errors(destination):
        for name in (FILES, OBJECTS, _GENERATIONS):
            (destination / name).mkdir(parents=True, exist_ok=True)
        with FileLock(destination / ".lock"):
            return _Backup(store, root, manifest, destination, now(), on_file).run()


class _Backup:
    """One backup, while no other writes to its destination."""

    def __init__(
        self, store: Store, root: Path, manifest: Manifest, destination: Path, moment: dt.datetime, on_file: OnFile
    ) -> None:
        self._store = store
        self._root = root
        self._manifest = manifest
        self._to = destination
        self._files = LocalStore(destination / FILES)
        self._name = f"{moment:%Y%m%dT%H%M%S%f}"
        self._on_file = on_file
        self._copied = self._copied_bytes = 0

    def run(self) -> BackupReport:
        # Nobody else is here: whatever has such a name was left behind by a crash.
        for left in self._to.glob(f"*/{layout.TEMPORARY_PREFIX}*"):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()
        for path in self._files.leftovers():
            self._files.delete(path)
        draft = self._to / _GENERATIONS / f"{layout.TEMPORARY_PREFIX}{self._name}"
        draft.mkdir()
        for _ in range(_ROUNDS):
            (draft / DATABASE).unlink(missing_ok=True)
            copy_database(self._manifest.place, draft / DATABASE)
            # A file may be replaced and deleted before its turn comes; then a newer manifest names another.
            with contextlib.suppress(FileNotFoundError):
                report, facts = self._copy_all(draft / DATABASE)
                self._name_it(draft, facts)
                return report
        raise StorageError(
            f"files of {self._store.name} are gone before they can be copied to {self._to}: `barlake verify` says "
            "whether they are missing; otherwise run it again when no vacuum with a short grace is at work."
        )

    def _copy_all(self, database: Path) -> tuple[BackupReport, dict[str, Any]]:
        with contextlib.closing(Manifest(database)) as frozen:
            counting = [file for dataset in layout.DATASETS for file in frozen.files(dataset=dataset)]
            for done, file in enumerate(counting, start=1):
                self._copy_bars(file, frozen)
                self._on_file(file.path, done, len(counting))
            folders = _other_folders(self._root, frozen)
            root_hash = lake_root(frozen.held())
        others: dict[str, tuple[str, int]] = {}
        # Manifests first, then the folders are looked through: what a manifest names is there by then.
        for pattern in ("manifest.json", "*"):
            for path in [path for folder in folders for path in sorted(folder.rglob(pattern)) if _is_kept(path)]:
                name = path.relative_to(self._root).as_posix()
                if name not in others:
                    others[name] = self._copy_object(path)
        total = len(counting) + len(others)
        size = sum(file.bytes for file in counting) + sum(size for _, size in others.values())
        report = BackupReport(self._name, root_hash, total, size, self._copied, self._copied_bytes)
        return report, {"format": FORMAT, **asdict(report), "lake": self._store.name, "others": others}

    def _copy_bars(self, file: FileRecord, frozen: Manifest) -> None:
        """Copy a file that is not there yet, once its values were found to be those on record."""
        target = self._to / FILES / file.path
        if target.exists() and target.stat().st_size == file.bytes:
            return
        data = self._store.read(file.path)
        period = file.key.period
        held = frozen.held(feed=file.key.feed, symbol=file.key.symbol, start=period.start, end=period.end)
        fault = check_file(data, file, held)
        if fault is not None:
            raise FormatError(
                f"{file.path} is damaged ({fault.detail}), so no backup was made: run `barlake repair`, then "
                "this again."
            )
        self._files.put(file.path, data)
        self._copied, self._copied_bytes = self._copied + 1, self._copied_bytes + data.size

    def _copy_object(self, path: Path) -> tuple[str, int]:
        """Copy a file under the name of its bytes, if no file of such bytes is there."""
        temporary = self._to / OBJECTS / f"{layout.TEMPORARY_PREFIX}{self._name}"
        copy_durably(path, temporary)
        sha, size = sha256_of(temporary), temporary.stat().st_size
        target = self._to / OBJECTS / sha
        if target.exists() and target.stat().st_size == size:
            temporary.unlink()
        else:
            self._put(temporary, target)
        return sha, size

    def _put(self, temporary: Path, target: Path) -> None:
        self._copied, self._copied_bytes = self._copied + 1, self._copied_bytes + temporary.stat().st_size
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
        fsync_folder(target.parent)

    @staticmethod
    def _name_it(draft: Path, facts: dict[str, Any]) -> None:
        with (draft / _FACTS).open("w", encoding="utf-8") as stream:
            json.dump(facts, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        fsync_folder(draft)
        draft.rename(draft.with_name(draft.name.removeprefix(layout.TEMPORARY_PREFIX)))
        fsync_folder(draft.parent)


def _other_folders(root: Path, manifest: Manifest) -> list[Path]:
    """Feature tables, the folders of registered models and runs, and damaged files that were set aside."""
    artifacts = [root / kind.value / name for kind in _ARTIFACTS for name, _ in manifest.artifacts.of_kind(kind.value)]
    return [root / "features", *artifacts, root / layout.DAMAGED_FOLDER]


def _is_kept(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def copy_durably(source: Path, target: Path) -> None:
    """Copy the bytes of a file, and wait until they are on disk."""
    shutil.copyfile(source, target)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())
