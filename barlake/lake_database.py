"""Which database holds a lake's manifest, and that it is this lake's and no other's.

A lake whose manifest does not lie beside its bar files says so in a small file that does, `manifest/database.json`,
with a random name that the database has too. So nobody opens such a lake without its database and finds it empty,
takes an empty database for the lost one, puts two lakes into one, or, with a manifest of his own on another
machine, takes the files of a bucket for leftovers.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
from filelock import FileLock
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import URL

from barlake import layout, tables
from barlake.database import Place, postgres_url, reading, writing
from barlake.errors import FormatError, StorageError
from barlake.manifest import Manifest
from barlake.records import utc_now
from barlake.settings import Settings
from barlake.stores import Store

__all__ = ["database_of", "filled_place", "manifest_place", "name_lake", "open_manifest"]


class _Kind(StrEnum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True)
class _Bond:
    """What a lake says of its database; `is_sealed` once the database has its name."""

    lake_id: str
    is_sealed: bool
    kind: _Kind = _Kind.POSTGRESQL


def database_of(settings: Settings) -> URL | None:
    """The PostgreSQL database that the settings name; None stands for a SQLite file in the lake's folder.

    Raises
    ------
    InvalidInputError
        If it is no address of one; the message does not repeat it.
    """
    return None if settings.database_url is None else postgres_url(settings.database_url.get_secret_value())


def manifest_place(store: Store, root: Path, url: URL | None) -> Place:
    """Where the manifest of a lake is: in a folder of this machine, or in the database of a URL.

    Raises
    ------
    StorageError
        If it is in the other kind of database.
    """
    file = root / layout.MANIFEST_FILE
    bond = _read_bond(store)
    kind = None if bond is None or not bond.is_sealed else bond.kind
    if url is None:
        if kind is _Kind.POSTGRESQL:
            raise StorageError(
                f"the manifest of {store.name} is in PostgreSQL: set BARLAKE_DATABASE_URL to the address of its "
                "database."
            )
        return file
    if file.exists() or kind is _Kind.SQLITE:
        raise StorageError(
            f"the manifest of {store.name} is a SQLite file: leave BARLAKE_DATABASE_URL unset. To move the lake to "
            "PostgreSQL, `barlake backup` it, then set the variable and `barlake restore` it into an empty folder."
        )
    return url


def open_manifest(store: Store, root: Path, url: URL | None, *, now: Callable[[], dt.datetime] = utc_now) -> Manifest:
    """The manifest of a lake; an empty database becomes that of a new lake.

    Raises
    ------
    StorageError
        If the database cannot be reached, or belongs to another lake.
    """
    place = manifest_place(store, root, url)
    manifest = Manifest(place, now=now)
    if _lies_apart(store, place):
        try:
            _bind(store, root, manifest, is_filled=False)
        except BaseException:
            manifest.close()
            raise
    return manifest


def filled_place(store: Store, root: Path, url: URL | None) -> Place:
    """Where the manifest of a lake is about to be written, whole.

    A database that lost it, or a new one in its place, will do.

    Raises
    ------
    StorageError
        If the database cannot be reached, or belongs to another lake.
    """
    place = manifest_place(store, root, url)
    if isinstance(place, URL):
        with contextlib.closing(Manifest(place)) as manifest:
            _bind(store, root, manifest, is_filled=True)
    return place


def name_lake(store: Store, manifest: Manifest) -> None:
    """Give a manifest that is about to take the place of a lake's SQLite file the name of that lake."""
    if store.is_remote:
        bond = _read_bond(store) or _Bond(uuid.uuid4().hex, is_sealed=True, kind=_Kind.SQLITE)
        with writing(manifest.engine) as connection:
            connection.execute(delete(tables.lake))
            connection.execute(insert(tables.lake), {"lake_id": bond.lake_id})
        _write_bond(store, replace(bond, is_sealed=True))


def _lies_apart(store: Store, place: Place) -> bool:
    return store.is_remote or isinstance(place, URL)


def _bind(store: Store, root: Path, manifest: Manifest, *, is_filled: bool) -> None:
    kind = _Kind.POSTGRESQL if isinstance(manifest.place, URL) else _Kind.SQLITE
    if kind is _Kind.POSTGRESQL:
        database = "the database in BARLAKE_DATABASE_URL"
    else:
        database = f"the manifest on this machine, {manifest.place},"
    bond = _read_bond(store)
    if bond is not None and bond.is_sealed and _lake_in(manifest) == bond.lake_id:
        return
    folder = root / layout.MANIFEST_FILE.parent
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".database.lock"):
        bond, found = _read_bond(store), _lake_in(manifest)
        if bond is None and found is None:
            # The name is on file before the database has it: whoever is cut off in between goes on from there.
            bond = _Bond(uuid.uuid4().hex, is_sealed=False, kind=kind)
            _write_bond(store, bond)
        if bond is not None and found is None and (is_filled or not bond.is_sealed):
            found = _claim(manifest, bond.lake_id)
        if found is None:
            raise StorageError(
                f"{database} is empty, and {store.name} has its manifest in another: name that one. If it is lost, "
                "`barlake rebuild` makes a new manifest in the empty one."
            )
        if bond is None or found != bond.lake_id:
            own = "is of none yet" if bond is None else f"is lake {bond.lake_id}"
            raise StorageError(
                f"{database} holds the manifest of lake {found}, and {store.name} {own}: each lake needs a database "
                "of its own, so name another, or an empty one."
            )
        if not bond.is_sealed:
            _write_bond(store, replace(bond, is_sealed=True))


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


def _read_bond(store: Store) -> _Bond | None:
    try:
        facts = json.loads(store.read(str(layout.DATABASE_FILE)).to_pybytes())
        return _Bond(facts["lake_id"], facts["is_sealed"], _Kind(facts.get("kind", _Kind.POSTGRESQL)))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError(
            f"{layout.DATABASE_FILE} of {store.name} cannot be read: {error}. It says which database is the lake's."
        ) from error


def _write_bond(store: Store, bond: _Bond) -> None:
    store.put(str(layout.DATABASE_FILE), pa.py_buffer(json.dumps(asdict(bond)).encode()))
