"""Where the queue lies: a SQLite file in the local folder of the lake, or PostgreSQL; and the tables of DBOS."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer
from filelock import FileLock
from sqlalchemy import Engine, create_engine, event, inspect
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from app.operations.database import operations_place
from barlake.database import Place, make_engine
from barlake.errors import StorageError
from barlake.settings import Settings

__all__ = ["APPLICATION", "SCHEMA", "VERSION", "address_of", "make_client", "queue_engine", "queue_place", "refusals"]

APPLICATION = "barlake"

VERSION = "1"
"""What DBOS calls the version of the application. It never changes: DBOS's own default is a hash of the source, and
jobs that were queued before an edit would wait for ever."""

SCHEMA = "dbos"
"""Of DBOS's tables on PostgreSQL."""

_BUSY_TIMEOUT_S = 60
_UNIXEPOCH_KNOWS_SUBSEC = (3, 42)


def queue_place(settings: Settings) -> Place:
    """The database of the queue: the one of heartbeats and logs on PostgreSQL, a file beside theirs in a folder."""
    place = operations_place(settings)
    return place if isinstance(place, URL) else place.with_name("jobs.sqlite")


def queue_engine(place: Place) -> Engine:
    """Engine on the queue's database, whose tables are made when missing.

    Raises
    ------
    StorageError
        If the database cannot be made or reached.
    """
    with refusals():
        if isinstance(place, URL):
            engine = make_engine(place)
            if not inspect(engine).has_table("dbos_migrations", schema=SCHEMA):
                DBOS.migrate(address_of(place), schema=SCHEMA)
            return engine
        place.parent.mkdir(parents=True, exist_ok=True)
        engine = _sqlite_engine(place)
        # Whoever opens a new lake at once takes turns: the journal's mode changes only while nobody else is there.
        with FileLock(place.with_name(f".{place.name}.lock")):
            if not inspect(engine).has_table("dbos_migrations"):
                _make_tables(engine)
        return engine


def address_of(place: URL) -> str:
    """Address with its password, as DBOS wants it."""
    return place.render_as_string(hide_password=False)


def make_client(engine: Engine) -> DBOSClient:
    """What speaks with the queue without running any of its jobs."""
    logging.getLogger("dbos").setLevel(logging.ERROR)
    return DBOSClient(
        system_database_engine=engine,
        dbos_system_schema=SCHEMA,
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
        retry_connection_errors=False,
        lazy=True,
    )


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what the driver says into an error of our own."""
    try:
        yield
    except SQLAlchemyError as error:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        if "not a database" in said or "malformed" in said:
            raise StorageError(
                f"the queue is damaged: {said}. End the workers and move jobs.sqlite, with what begins alike, out of "
                "the lake's folder operations: a new one is made. Bars are elsewhere and stay, and what is missing is "
                "asked for again by `barlake schedule run-now daily` or `barlake backfill`."
            ) from error
        raise StorageError(
            f"the queue's database refused: {said}. See that BARLAKE_OPERATIONS_URL or BARLAKE_DATABASE_URL names a "
            "server that runs, or that the lake's folder can be written, then run the same command again."
        ) from error
    except OSError as error:
        raise StorageError(f"the queue's folder cannot be used: {error.strerror or error}.") from error


def _sqlite_engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    # Two transactions that begin by reading and then both write would end in a deadlock.
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_mode=WAL")
    # A power cut may take the last jobs' states back, and they are done again; the manifest is what must not forget.
    connection.execute("PRAGMA synchronous=NORMAL")
    if sqlite3.sqlite_version_info < _UNIXEPOCH_KNOWS_SUBSEC:
        # DBOS asks for `unixepoch('subsec')`, which older releases, as in Debian 12, do not know.
        connection.create_function("unixepoch", 1, lambda _modifier: time.time())


def _make_tables(engine: Engine) -> None:
    client = make_client(engine)
    try:
        # DBOS's own `migrate` makes an engine of its own, which old SQLite libraries do not stand.
        client._sys_db.run_migrations()  # noqa: SLF001 - pinned to one major version, and a test says so loudly
    finally:
        client.destroy()
