"""The manifest's database: engine, transactions, schema version.

SQLite in WAL mode by default. Readers never wait for the writer; writers take turns and wait for each
other up to `BUSY_TIMEOUT_S`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError, OperationalError

from barlake.errors import FormatError, StorageError

__all__ = ["SCHEMA_VERSION", "make_engine", "reading", "upgrade", "writing"]

SCHEMA_VERSION = "0004"
"""The newest revision in `migrations/versions`; a test compares the two."""

BUSY_TIMEOUT_S = 60
_WRITES = "barlake_writes"


def make_engine(path: Path) -> Engine:
    """Engine on a SQLite file, whose folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_file(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


def _make_file(path: Path) -> None:
    """Make a missing database in WAL mode, which stays with the file.

    Changing the mode needs the file alone and does not wait for others, so those who open a new lake at
    once take turns.
    """
    if path.exists() and path.stat().st_size:
        return
    with FileLock(path.with_name(f".{path.name}.lock")):
        if not path.exists() or not path.stat().st_size:
            try:
                with contextlib.closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
                    connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.Error as error:
                raise StorageError(
                    f"the manifest database {path} cannot be made: {error}. Nothing was changed: free space or mend "
                    "the permissions, then run the same command again."
                ) from error


def _prepare_connection(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver must not open transactions by itself: `_begin` says which kind.
    connection.isolation_level = None
    # FULL: a commit that was reported survives a power cut.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    # A writer takes its lock at the start: two readers that both turn writer would deadlock.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Read within one consistent view of the database.

    Raises
    ------
    StorageError
        If the file cannot be opened or read.
    FormatError
        If the file is not a SQLite database, or a damaged one.
    """
    with _refusals("cannot be read"), engine.connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Write within one transaction: all of it is durable when the block ends, or none of it happened.

    Raises
    ------
    StorageError
        If the disk is full or another writer held the lock for longer than a minute.
    FormatError
        If the file is not a SQLite database, or a damaged one.
    """
    with (
        _refusals("refused the write"),
        engine.connect().execution_options(**{_WRITES: True}) as connection,
        connection.begin(),
    ):
        yield connection


@contextlib.contextmanager
def _refusals(what: str) -> Iterator[None]:
    """Turn what the driver says about the disk and the file into errors of our own."""
    try:
        yield
    except OperationalError as error:
        raise StorageError(
            f"the manifest database {what}: {error.orig}. Nothing was changed: free space, mend the permissions, "
            "or wait for the other writer, then run the same command again."
        ) from error
    except DatabaseError as error:
        # Its subclasses tell of statements, not of the file.
        if type(error) is not DatabaseError:
            raise
        raise FormatError(
            f"the manifest database is damaged: {error.orig}. `barlake rebuild` makes a new one."
        ) from error


def upgrade(engine: Engine) -> None:
    """Bring the tables to `SCHEMA_VERSION`; nothing happens where they are there already.

    Raises
    ------
    StorageError
        If a newer release wrote this database.
    """
    found = _version(engine)
    if found == SCHEMA_VERSION:
        return
    if found is not None and found > SCHEMA_VERSION:
        raise StorageError(
            f"the manifest database is at schema {found}, this release knows {SCHEMA_VERSION}: install a newer barlake."
        )
    # Alembic is a third of a second of import that only the first opening of a lake pays.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(engine: Engine) -> str | None:
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
