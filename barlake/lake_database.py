"""Which database holds a lake's manifest, and that it is this lake's and no other's.

A lake whose manifest is in PostgreSQL says so in a small file of its own, `manifest/database.json`, with a random
name that the database has too. So nobody opens such a lake without its database and finds it empty, takes an
empty database for the lost one, or puts two lakes into one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock
from sqlalchemy import insert, select
from sqlalchemy.engine import URL

from barlake import layout, tables
from barlake.database import Place, postgres_url, reading, writing
from barlake.durable import fsync_folder
from barlake.errors import FormatError, StorageError
from barlake.manifest import Manifest
from barlake.records import utc_now
from barlake.settings import Settings

__all__ = ["database_of", "filled_place", "manifest_place", "open_manifest"]


@dataclass(frozen=True)
class _Bond:
    """What a lake says of its database; `is_sealed` once the database has its name."""

    lake_id: str
    is_sealed: bool


def database_of(settings: Settings) -> URL | None:
    """The PostgreSQL database that the settings name; None stands for a SQLite file in the lake's folder.

    Raises
    ------
    InvalidInputError
        If it is no address of one; the message does not repeat it.
    """
    return None if settings.database_url is None else postgres_url(settings.database_url.get_secret_value())


def manifest_place(root: Path, url: URL | None) -> Place:
    """Where the manifest of the lake in a folder is.

    Raises
    ------
    StorageError
        If it is in the other kind of database.
    """
    file = root / layout.MANIFEST_FILE
    if url is None:
        bond = _read_bond(root)
        if bond is not None and bond.is_sealed:
            raise StorageError(
                f"the manifest of {root} is in PostgreSQL: set BARLAKE_DATABASE_URL to the address of its database."
            )
        return file
    if file.exists():
        raise StorageError(
            f"the manifest of {root} is a SQLite file: leave BARLAKE_DATABASE_URL unset. To move the lake to "
            "PostgreSQL, `barlake backup` it, then set the variable and `barlake restore` it into an empty folder."
        )
    return url


def open_manifest(root: Path, url: URL | None, *, now: Callable[[], dt.datetime] = utc_now) -> Manifest:
    """The manifest of the lake in a folder; an empty database becomes that of a new lake.

    Raises
    ------
    StorageError
        If the database cannot be reached, or belongs to another lake.
    """
    manifest = Manifest(manifest_place(root, url), now=now)
    if url is not None:
        try:
            _bind(root, manifest, is_filled=False)
        except BaseException:
            manifest.close()
            raise
    return manifest


def filled_place(root: Path, url: URL | None) -> Place:
    """Where the manifest of the lake in a folder is about to be written, whole.

    A database that lost it, or a new one in its place, will do.

    Raises
    ------
    StorageError
        If the database cannot be reached, or belongs to another lake.
    """
    place = manifest_place(root, url)
    if isinstance(place, URL):
        with contextlib.closing(Manifest(place)) as manifest:
            _bind(root, manifest, is_filled=True)
    return place


def _bind(root: Path, manifest: Manifest, *, is_filled: bool) -> None:
    folder = (root / layout.DATABASE_FILE).parent
    folder.mkdir(parents=True, exist_ok=True)
    bond = _read_bond(root)
    if bond is not None and bond.is_sealed and _lake_in(manifest) == bond.lake_id:
        return
    with FileLock(folder / ".database.lock"):
        bond, found = _read_bond(root), _lake_in(manifest)
        if bond is None and found is None:
            # The name is on file before the database has it: whoever is cut off in between goes on from there.
            bond = _Bond(uuid.uuid4().hex, is_sealed=False)
            _write_bond(root, bond)
        if bond is not None and found is None and (is_filled or not bond.is_sealed):
            found = _claim(manifest, bond.lake_id)
        if found is None:
            raise StorageError(
                f"the database in BARLAKE_DATABASE_URL is empty, and {root} has its manifest in another: name that "
                "one. If it is lost, `barlake rebuild` makes a new manifest in the empty one."
            )
        if bond is None or found != bond.lake_id:
            own = "is of none yet" if bond is None else f"is lake {bond.lake_id}"
            raise StorageError(
                f"the database in BARLAKE_DATABASE_URL holds the manifest of lake {found}, and {root} {own}: each lake "
                "needs a database of its own, so name another, or an empty one."
            )
        if not bond.is_sealed:
            _write_bond(root, _Bond(bond.lake_id, is_sealed=True))


def _lake_in(manifest: Manifest) -> str | None:
    with reading(manifest.engine) as connection:
        return connection.execute(select(tables.lake.c.lake_id)).scalar()


def _claim(manifest: Manifest, lake_id: str) -> str:
    """Name of the lake that has the database: the one given, if nobody was first."""
    with writing(manifest.engine) as connection:
        found: str | None = connection.execute(select(tables.lake.c.lake_id)).scalar()
        if found is None:
            connection.execute(insert(tables.lake), {"lake_id": lake_id})
        return found or lake_id


def _read_bond(root: Path) -> _Bond | None:
    path = root / layout.DATABASE_FILE
    try:
        return _Bond(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path} cannot be read: {error}. It says which database the lake belongs to.") from error


def _write_bond(root: Path, bond: _Bond) -> None:
    path = root / layout.DATABASE_FILE
    temporary = path.with_name(f"{layout.TEMPORARY_PREFIX}{path.name}")
    temporary.write_text(json.dumps(asdict(bond)), encoding="utf-8")
    temporary.replace(path)
    fsync_folder(path.parent)
