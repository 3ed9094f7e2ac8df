"""Names and bytes on a disk that survive a power cut, and what the system says about it in our words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from barlake.errors import StorageError
from barlake.layout import TEMPORARY_PREFIX

__all__ = ["fsync_folder", "storage_errors", "write_durably"]


def write_durably(target: Path, data: bytes | memoryview) -> None:
    """Write one file that is complete and on disk when this returns, or not there at all.

    Temporary name, fsync of the file, rename, fsync of the folder: in that order a power cut leaves
    either nothing or the whole file under its final name.

    Raises
    ------
    StorageError
        If the disk is full or refuses; the temporary file is removed.
    """
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{target.name}")
    with storage_errors(target):
        if not target.parent.is_dir():
            _make_folder(target.parent)
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_folder(target.parent)


def _make_folder(folder: Path) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a write into a `StorageError` that names the file."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}. Nothing was half written: free space or mend "
            "the permissions, then run the same command again."
        ) from error
