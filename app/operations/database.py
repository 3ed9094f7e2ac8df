"""Where heartbeats, logs and alerts are kept: a SQLite file beside the lake, or PostgreSQL for many machines.

No work may wait long for this database, so nobody holds it for long: short transactions, a short patience, and on
PostgreSQL none of the manifest's turns.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, insert, inspect, select, text
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from app.operations import tables
from barlake.database import Place, make_engine, postgres_url
from barlake.errors import StorageError
from barlake.settings import Settings
from barlake.stores import folder_of

__all__ = ["OPERATIONS_FOLDER", "VERSION", "open_engine", "operations_place", "reading", "take_turn", "writing"]

VERSION = 1
"""Shape of the tables. Another table needs no new number; another column does, and a step that adds it."""

OPERATIONS_FOLDER = Path("operations")
_FILE = OPERATIONS_FOLDER / "operations.sqlite"
_DAMAGED = ("not a database", "malformed")
_PATIENCE_S = 5
_MAKING, _TURNS = 0x6F7065726174, 0x6F7065726175


def operations_place(settings: Settings) -> Place:
    """The database that the settings name: `BARLAKE_OPERATIONS_URL`, else the manifest's server, else a file.

    Raises
    ------
    InvalidInputError
        If a URL is no address of a PostgreSQL database; the message does not repeat it.
    """
    if settings.operations_url is not None:
        return postgres_url(settings.operations_url.get_secret_value(), setting="BARLAKE_OPERATIONS_URL")
    if settings.database_url is not None:
        return postgres_url(settings.database_url.get_secret_value())
    return folder_of(settings) / _FILE


def open_engine(place: Place) -> Engine:
    """Engine on the operations database, with all tables made.

    Raises
    ------
    StorageError
        If it cannot be made or reached, or a newer release wrote it.
    """
    try:
        engine = make_engine(place)
    except OSError as error:
        raise StorageError(
            f"the folder of the operations database, {place}, cannot be used: {error.strerror or error}. "
            "Mend the permissions or free space, then run the same command again."
        ) from error
    if isinstance(place, Path):
        event.listen(engine, "connect", _prepare_connection)
    try:
        _make_tables(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _prepare_connection(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout={_PATIENCE_S * 1000}")
    # What is lost in a power cut are the last seconds of logs and heartbeats; a consistent file remains.
    connection.execute("PRAGMA synchronous=NORMAL")


def _make_tables(engine: Engine) -> None:
    with reading(engine) as connection:
        missing = set(tables.metadata.tables) - set(inspect(connection).get_table_names())
        found = (
            None if tables.version.name in missing else connection.execute(select(tables.version.c.version)).scalar()
        )
    if found is not None and found > VERSION:
        raise StorageError(
            f"the operations database is at version {found}, this release knows {VERSION}: install a newer barlake."
        )
    if not missing and found is not None:
        return
    with writing(engine) as connection:
        take_turn(connection, _MAKING)
        tables.metadata.create_all(connection)
        if connection.execute(select(tables.version.c.version)).scalar() is None:
            connection.execute(insert(tables.version), {"version": VERSION})


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Read within one transaction.

    Raises
    ------
    StorageError
        If the database cannot be reached or read.
    """
    with _refusals("cannot be read"), engine.connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Write within one transaction: all of it or nothing.

    Raises
    ------
    StorageError
        If the disk is full, the server is lost, or others held the lock for too long.
    """
    with (
        _refusals("refused the write"),
        engine.connect().execution_options(barlake_writes=True) as connection,
        connection.begin(),
    ):
        yield connection


def take_turn(connection: Connection, key: int = _TURNS) -> None:
    """Let this transaction wait for others that took a turn; SQLite's writers do so by themselves.

    Numbers are then given in the order in which rows become visible, and a reader who goes on from the last number
    it saw misses none.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE_S}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


@contextlib.contextmanager
def _refusals(what: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        # Other kinds tell of a statement, which is a fault of ours.
        if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
            raise
        said = " ".join(str(error.orig).split())
        if isinstance(error.orig, sqlite3.DatabaseError) and any(word in said for word in _DAMAGED):
            raise StorageError(
                f"the operations database is damaged: {said}. End the workers and move operations.sqlite, with what "
                "begins alike, out of the lake's folder operations: a new one is made. It holds logs, heartbeats, "
                "alerts and schedules of your own; bars and jobs are elsewhere and stay."
            ) from error
        raise StorageError(
            f"the operations database {what}: {said}. The work goes on without it; `barlake doctor` says what is wrong."
        ) from error
