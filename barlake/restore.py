"""A lake brought back from a backup into an empty folder, and read back before it is one.

The manifest gets its place last: until then the folder carries a marker and is no lake.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from barlake import layout
from barlake.artifacts import sha256_of
from barlake.backup import DATABASE, FILES, OBJECTS, Generation, copy_durably, generations
from barlake.durable import fsync_folder, storage_errors
from barlake.errors import FormatError, InvalidInputError, NotFoundError
from barlake.lake_database import filled_place, name_lake
from barlake.manifest import Manifest
from barlake.manifest_files import exchange, remove_database
from barlake.records import FileRecord, utc_now
from barlake.snapshots import lake_root
from barlake.stores import LocalStore, Store
from barlake.verify import bytes_of, check_file

__all__ = ["RestoreReport", "restore"]

_OLDER = "name an older one with --generation."

OnFile = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RestoreReport:
    """What came back."""

    generation: str
    root_hash: str
    files: int
    bytes: int
    sessions: int


def restore(
    source: Path,
    store: Store,
    root: Path,
    *,
    generation: str | None = None,
    url: URL | None = None,
    on_file: OnFile = lambda _path, _done, _total: None,
) -> RestoreReport:
    """Bring a backup back into an empty folder; one that was interrupted goes on when it is called again.

    Every file is read back: bars are compared by the hashes of their sessions, all others by their bytes.

    Parameters
    ----------
    store, root
        Where the bar files shall lie, and everything else.
    generation
        Its name, or the beginning of it; None takes the newest.
    url
        An empty PostgreSQL database that takes the manifest; None keeps it in a SQLite file.

    Raises
    ------
    NotFoundError
        If there is no such backup.
    InvalidInputError
        If something is in the folder already.
    FormatError
        If the backup is damaged; the folder is no lake then.
    StorageError
        If the disk is full or refuses.
    """
    chosen = _chosen(source, generation)
    marker = root / layout.RESTORING_FILE
    with storage_errors(root):
        if root.exists() and not marker.exists() and any(root.iterdir()):
            raise InvalidInputError(f"{root} is not empty: restore into a folder that is, or that does not exist.")
        if not marker.exists() and next(store.files(), None) is not None:
            raise InvalidInputError(f"{store.name} holds bar files: restore into an empty place.")
        root.mkdir(parents=True, exist_ok=True)
        marker.touch()
        fsync_folder(root)
        file = root / layout.MANIFEST_FILE
        file.parent.mkdir(exist_ok=True)
        remove_database(file)
        place = filled_place(store, root, url)
        draft = file.with_name(f"{layout.TEMPORARY_PREFIX}{file.name}")
        remove_database(draft)
        copy_durably(chosen.path / DATABASE, draft)
        report = _bring_back(source, store, root, chosen, draft, on_file)
        exchange(draft, place, utc_now())
        remove_database(draft)
        marker.unlink()
        fsync_folder(root)
    return report


def _bring_back(
    source: Path, store: Store, root: Path, chosen: Generation, database: Path, on_file: OnFile
) -> RestoreReport:
    with contextlib.closing(Manifest(database)) as manifest:
        name_lake(store, manifest)
        held = manifest.held()
        if lake_root(held) != chosen.root_hash:
            raise FormatError(f"the manifest of backup {chosen.name} is not the one that was written: {_OLDER}")
        counting = [file for dataset in layout.DATASETS for file in manifest.files(dataset=dataset)]
        total = len(counting) + len(chosen.others)
        for done, file in enumerate(counting, start=1):
            _bring_bars(LocalStore(source / FILES), store, file, manifest)
            on_file(file.path, done, total)
    for done, (name, (sha, _)) in enumerate(chosen.others.items(), start=len(counting) + 1):
        target = root / name
        if not target.exists() or sha256_of(target) != sha:
            _fetch(source / OBJECTS / sha, target)
            if sha256_of(target) != sha:
                raise FormatError(f"{name} of backup {chosen.name} is damaged: {_OLDER}")
        on_file(name, done, total)
    size = sum(file.bytes for file in counting) + sum(size for _, size in chosen.others.values())
    return RestoreReport(chosen.name, chosen.root_hash, total, size, held.height)


def _bring_bars(source: Store, target: Store, file: FileRecord, manifest: Manifest) -> None:
    period = file.key.period
    held = manifest.held(feed=file.key.feed, symbol=file.key.symbol, start=period.start, end=period.end)
    if check_file(bytes_of(target, file.path), file, held) is None:
        return
    data = bytes_of(source, file.path)
    fault = check_file(data, file, held)
    if fault is not None or isinstance(data, OSError):
        raise FormatError(f"{file.path} in the backup is damaged ({fault.detail if fault else data}): {_OLDER}")
    target.put(file.path, data)


def _fetch(origin: Path, target: Path) -> None:
    if not origin.exists():
        raise FormatError(f"the backup lacks {origin.name}: {_OLDER}")
    target.parent.mkdir(parents=True, exist_ok=True)
    copy_durably(origin, target)
    fsync_folder(target.parent)


def _chosen(source: Path, name: str | None) -> Generation:
    found = generations(source)
    matches = [one for one in found if name is None or one.name.startswith(name)]
    if not matches or (name is not None and len(matches) > 1):
        there = ", ".join(one.name for one in found[-3:]) or "none"
        raise NotFoundError(f"{source} has no single backup {name or ''}: the newest are {there}.")
    return matches[-1]
