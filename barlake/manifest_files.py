"""The manifest's SQLite file as a file: copied while it is in use, put in the place of another, removed.

SQLite keeps recent commits in a file beside it (`-wal`); the three names belong together.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import sqlite3
from pathlib import Path

from barlake.errors import FormatError
from barlake.partitions import fsync_folder
from barlake.records import new_commit_id

__all__ = ["copy_database", "exchange", "remove_database"]

_SUFFIXES = ("", "-wal", "-shm")


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that others may be reading and writing, as it is at one instant, and make it durable.

    Raises
    ------
    FormatError
        If the source is no database, or a damaged one.
    """
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=60)) as held,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            held.backup(copy)
            # One file, not three: nothing beside it has to be moved with it.
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as error:
        raise FormatError(
            f"the manifest {source} cannot be copied: {error}. `barlake rebuild` makes a new one."
        ) from error
    with target.open("rb") as stream:
        os.fsync(stream.fileno())


def remove_database(path: Path) -> None:
    """Delete a database and what lies beside it; nothing happens where there is none."""
    for suffix in _SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def exchange(new: Path, place: Path, now: dt.datetime) -> Path | None:
    """Put a closed database in a place, after what is there was copied to `kept-<instant>/` beside it.

    Returns
    -------
    The folder with the copy; None when there was nothing.
    """
    with new.open("rb") as stream:
        os.fsync(stream.fileno())
    present = [path for suffix in _SUFFIXES if (path := place.with_name(place.name + suffix)).exists()]
    kept = None
    if present:
        kept = place.parent / f"kept-{new_commit_id(now)}"
        kept.mkdir()
        for path in present:
            shutil.copy2(path, kept / path.name)
            with (kept / path.name).open("rb") as stream:
                os.fsync(stream.fileno())
        fsync_folder(kept)
        fsync_folder(place.parent)
    # What belongs to the old file must not be read as belonging to the new one.
    for path in present:
        if path != place:
            path.unlink()
    new.replace(place)
    fsync_folder(place.parent)
    return kept
