"""Where the bar files lie: a folder, or a bucket of an S3-compatible service.

Files are written once under a name that no other has, and never changed, so a store needs no lock and no
rename: what makes a file count is the manifest's commit alone. Paths are those of `layout`, relative to the
store and POSIX-spelled.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl
import pyarrow as pa

from barlake import layout
from barlake.durable import fsync_folder, storage_errors, write_durably
from barlake.errors import FormatError, InvalidInputError, StorageError
from barlake.settings import Settings

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

__all__ = ["LocalStore", "Store", "StoredFile", "folder_of", "scan_parquet", "store_of"]

S3_SCHEME = "s3://"

_MISREAD = re.compile(r"[?=]")
"""Paths that would put foreign values into the rows, as `close=1/` does, or keep the catalogue from being opened."""


@dataclass(frozen=True)
class StoredFile:
    """One file as a store lists it."""

    path: str
    bytes: int
    modified_at: dt.datetime


class Store(Protocol):
    """Bar files under their relative paths."""

    @property
    def name(self) -> str:
        """The folder or the address, for messages and for the catalogue."""

    @property
    def is_remote(self) -> bool:
        """Whether other machines reach it too, and a manifest on this one does not lie beside its files."""

    def put(self, path: str, data: pa.Buffer) -> None:
        """Keep a new file: complete and durable when this returns, or not there at all.

        Raises
        ------
        StorageError
            If there is no room, or the store refuses.
        """

    def read(self, path: str) -> pa.Buffer:
        """All bytes of a file.

        Raises
        ------
        OSError
            If it cannot be read; `FileNotFoundError` if it is not there.
        StorageError
            If it may not be read, or a remote store does not answer: nothing is known of the file then.
        """

    def scan(self, paths: Sequence[str], *, keys: Sequence[str] = ()) -> pl.LazyFrame:
        """Lazy rows of one file or more, in the order of the paths.

        Parameters
        ----------
        keys
            Names of the folders `name=value`, when their values are wanted as columns of text.

        Raises
        ------
        FormatError
            If a file is not there; a remote store says so when rows are collected.
        """

    def files(self) -> Iterator[StoredFile]:
        """Every Parquet file of bars and old values, whether it counts or not."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""

    def delete(self, path: str) -> bool:
        """Take a file away; whether there was one."""

    def set_aside(self, path: str) -> str | None:
        """Keep a copy of a file below `damaged/`, where nothing deletes it; its path, or None without a file.

        The file stays where it is: until the commit that puts another in its place, readers look for it there.
        """

    def leftovers(self) -> list[str]:
        """Temporary files of a crash, or of a writer at work."""

    def address(self, path: str) -> str:
        """What DuckDB's `read_parquet` takes."""

    def filesystem(self) -> AbstractFileSystem | None:
        """What DuckDB must be given to read such addresses; None where it needs nothing."""


def folder_of(settings: Settings) -> Path:
    """The folder of everything local: the lake itself, or what belongs to a bucket and does not lie in it.

    Raises
    ------
    InvalidInputError
        If the root's path cannot hold a lake.
    """
    place = settings.root.removeprefix(S3_SCHEME)
    is_remote = place != settings.root
    folder = Path(place) if not is_remote else settings.local_root or Path("data", "s3", place)
    for path in (folder.absolute().as_posix(), place):
        if _MISREAD.search(path):
            raise InvalidInputError(
                f"the lake's folder {path} has a '?' or a '=' in its path, which DuckDB and polars read as more than a "
                "name: choose another."
            )
    return folder.absolute()


def store_of(settings: Settings) -> Store:
    """The store that `BARLAKE_ROOT` names.

    Raises
    ------
    InvalidInputError
        If it is neither a folder that can hold a lake nor the address of a bucket.
    """
    folder = folder_of(settings)
    if settings.root.startswith(S3_SCHEME):
        from barlake.s3_store import S3Store  # noqa: PLC0415 - Arrow's S3 client is a quarter of a second

        return S3Store.of(settings)
    return LocalStore(folder)


class LocalStore:
    """Files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._root)

    @property
    def is_remote(self) -> bool:
        """No."""
        return False

    def put(self, path: str, data: pa.Buffer) -> None:
        """Write it under a temporary name, then rename it; both are on disk when this returns."""
        write_durably(self._root / path, memoryview(data))

    def read(self, path: str) -> pa.Buffer:
        """All bytes of a file; one that may not be read is no damaged one."""
        try:
            return pa.py_buffer((self._root / path).read_bytes())
        except PermissionError as error:
            raise StorageError(
                f"{self._root / path} may not be read: {error.strerror}. Mend the permissions, then run it again."
            ) from error

    def scan(self, paths: Sequence[str], *, keys: Sequence[str] = ()) -> pl.LazyFrame:
        """Lazy rows of the files."""
        missing = [path for path in paths if not self.exists(path)]
        if missing:
            raise FormatError(
                f"the manifest counts {self._root / missing[0]} but the disk does not have it ({len(missing)} of "
                f"{len(paths)} files are missing): `barlake repair` keeps what is left and fetches the rest again."
            )
        return scan_parquet([str(self._root / path) for path in paths], keys)

    def files(self) -> Iterator[StoredFile]:
        """Every Parquet file below `parquet`."""
        for path in (self._root / "parquet").rglob("*.parquet"):
            with contextlib.suppress(FileNotFoundError):  # a writer gave it its final name, a vacuum took it
                facts = path.stat()
                modified_at = dt.datetime.fromtimestamp(facts.st_mtime, tz=dt.UTC)
                yield StoredFile(path.relative_to(self._root).as_posix(), facts.st_size, modified_at)

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return (self._root / path).exists()

    def delete(self, path: str) -> bool:
        """Take a file away."""
        try:
            (self._root / path).unlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def set_aside(self, path: str) -> str | None:
        """Give a file a second name below `damaged/`.

        Raises
        ------
        StorageError
            If the disk refuses.
        """
        origin = self._root / path
        if not origin.exists():
            return None
        first = target = self._root / layout.DAMAGED_FOLDER / path
        with storage_errors(target):
            number = 1
            while target.exists() and not _is_same(origin, target):
                number += 1
                target = first.with_suffix(f".{number}.parquet")
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(origin, target)
                except OSError:  # a file system without hard links
                    temporary = target.with_name(f"{layout.TEMPORARY_PREFIX}{target.name}")
                    shutil.copy2(origin, temporary)
                    temporary.replace(target)
                fsync_folder(target.parent)
        return target.relative_to(self._root).as_posix()

    def leftovers(self) -> list[str]:
        """Temporary files anywhere below the folder."""
        found = self._root.rglob(f"{layout.TEMPORARY_PREFIX}*")
        return sorted(path.relative_to(self._root).as_posix() for path in found)

    def address(self, path: str) -> str:
        """The whole path."""
        return str(self._root / path)

    def filesystem(self) -> None:
        """DuckDB reads a disk by itself."""
        return


def scan_parquet(addresses: list[str], keys: Sequence[str], options: dict[str, str] | None = None) -> pl.LazyFrame:
    """Lazy rows of Parquet files; `keys` and `options` as `Store.scan` and polars mean them."""
    types = dict.fromkeys(keys, pl.String())
    return pl.scan_parquet(
        addresses,
        hive_partitioning=bool(keys),
        hive_schema=types or None,
        glob=False,
        storage_options=options,
        credential_provider=None,
    )


def _is_same(one: Path, other: Path) -> bool:
    return one.samefile(other) or one.read_bytes() == other.read_bytes()
