"""What a published catalogue says of itself."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass
from pathlib import Path

from barlake.publish import connect

__all__ = ["Published", "published"]


@dataclass(frozen=True)
class Published:
    """What a catalogue says of itself: the lake's root, the newest commit it shows, and whether all of it does."""

    root: str
    last_commit: dt.datetime | None
    is_whole: bool = True


def published(path: Path) -> Published | None:
    """What the catalogue in that place says of itself, or None when there is none.

    Raises
    ------
    FormatError
        If the file cannot be opened; publishing again makes a new one.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return _said_by(path, (stat.st_ino, stat.st_mtime_ns, stat.st_size))


@functools.lru_cache(maxsize=16)
def _said_by(path: Path, _file: tuple[int, int, int]) -> Published | None:
    """What one file says, which never changes once it is in its place: opening it takes longer than many a query."""
    with connect(path) as connection:
        rows = connection.sql("SELECT * FROM catalogue_info").pl().to_dicts()
    # A catalogue of an earlier release does not say which commit it shows.
    return Published(rows[0]["root"], rows[0].get("last_commit"), rows[0].get("is_whole", True)) if rows else None
