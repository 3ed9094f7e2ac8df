"""The manifest's database: engine, transactions, schema version.

SQLite in WAL mode by default, PostgreSQL where a URL says so. On both, readers see one state and never wait;
writers take turns and wait for each other up to `BUSY_TIMEOUT_S`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, IntegrityError, OperationalError

from barlake.errors import FormatError, InvalidInputError, StorageError

__all__ = ["SCHEMA_VERSION", "Place", "make_engine", "postgres_url", "reading", "upgrade", "upsert", "writing"]

Place = Path | URL
"""A SQLite file, or an address of a PostgreSQL database."""

SCHEMA_VERSION = "0011"
"""The newest revision in `migrations/versions`; a test compares the two."""

BUSY_TIMEOUT_S = 60
CONNECT_TIMEOUT_S = 10
_WRITES = "barlake_writes"
_WRITER_LOCK = 0x6261726C616B65
"""Key of the advisory lock that PostgreSQL's writers take turns by: the name of the product in bytes."""


def postgres_url(address: str, *, setting: str = "BARLAKE_DATABASE_URL") -> URL:
    """Address of a PostgreSQL database, to be reached by the driver that is supported.

    Parameters
    ----------
    setting
        Who gave the address, for messages.

    Raises
    ------
    InvalidInputError
        If it is none. The message does not repeat the address, which may hold a password.

    Examples
    --------
    >>> postgres_url("postgres://me:secret@localhost/bars")
    postgresql+psycopg://me:***@localhost/bars
    """
    rule = "give postgresql://USER:PASSWORD@HOST/DATABASE, with special characters of the password percent-encoded."
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise InvalidInputError(f"{setting} is no address of a database: {rule}") from None
    if url.drivername.split("+")[0] not in {"postgres", "postgresql"}:
        raise InvalidInputError(
            f"{setting} begins with {url.drivername}://, and only PostgreSQL is supported: {rule} "
            "Leave it unset for a SQLite file in the lake's folder."
        )
    if not url.database:
        raise InvalidInputError(f"{setting} names no database: {rule}")
    return url.set(drivername="postgresql+psycopg")


def make_engine(place: Place) -> Engine:
    """Engine on a database; a SQLite file and its folder are made when missing.

    Raises
    ------
    StorageError
        If a SQLite file cannot be made, or the driver for PostgreSQL is not installed.
    """
    return _postgres_engine(place) if isinstance(place, URL) else _sqlite_engine(place)


def _postgres_engine(url: URL) -> Engine:
    # Without keepalives, whoever waits for a server that lost its power would wait for hours.
    options = {"connect_timeout": CONNECT_TIMEOUT_S, "keepalives_idle": 30, "keepalives_interval": 10}
    try:
        return create_engine(url, connect_args=options | dict(url.query), pool_pre_ping=True)
    except ImportError as error:
        raise StorageError(
            "BARLAKE_DATABASE_URL asks for PostgreSQL, and its driver psycopg is not installed: "
            "pip install 'barlake[postgres]'"
        ) from error


def _sqlite_engine(path: Path) -> Engine:
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
        If the database cannot be reached, opened or read.
    FormatError
        If the file is not a SQLite database, or the database is damaged.
    """
    with _refusals(engine, "cannot be read"), engine.connect() as connection:
        if _is_postgres(engine):
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Write within one transaction: all of it is durable when the block ends, or none of it happened.

    No other writer's transaction is open meanwhile, and what the last of them committed is seen.

    Raises
    ------
    StorageError
        If the disk is full, the server is lost, or another writer held the lock for longer than a minute.
    FormatError
        If the file is not a SQLite database, or the database is damaged.
    """
    options: dict[str, Any] = {"isolation_level": "READ COMMITTED"} if _is_postgres(engine) else {_WRITES: True}
    with (
        _refusals(engine, "refused the write"),
        engine.connect().execution_options(**options) as connection,
        connection.begin(),
    ):
        if _is_postgres(engine):
            _take_turn(connection)
        yield connection


def _is_postgres(engine: Engine | Connection) -> bool:
    return engine.dialect.name == "postgresql"


def _take_turn(connection: Connection) -> None:
    """Wait until no other writer is at work on this PostgreSQL database; the transaction's end lets the next one in.

    Every later statement takes its view of the data when it begins (READ COMMITTED), thus after the lock. A
    transaction with one view throughout would have taken it before, while the other writer was still at work.
    """
    limit = f"{BUSY_TIMEOUT_S}s"
    settings = {
        "lock_timeout": limit,
        # A writer whose machine lost its power must not hold the lock until the connection times out.
        "idle_in_transaction_session_timeout": limit,
        # A commit that was reported survives a power cut, whatever the server's default.
        "synchronous_commit": "on",
    }
    connection.execute(
        text("SELECT " + ", ".join(f"set_config('{name}', :{name}, true)" for name in settings)), settings
    )
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})


def upsert(connection: Connection, table: Table) -> Any:
    """INSERT into a table, with the `on_conflict_*` methods that both databases spell alike."""
    return postgresql.insert(table) if _is_postgres(connection) else sqlite.insert(table)


@contextlib.contextmanager
def _refusals(engine: Engine, what: str) -> Iterator[None]:
    """Turn what the driver says about disk, file, server and permissions into errors of our own."""
    try:
        yield
    except DBAPIError as error:
        found = (_postgres_refusal if _is_postgres(engine) else _sqlite_refusal)(error, what)
        if found is None:
            raise
        raise found from error


def _sqlite_refusal(error: DBAPIError, what: str) -> StorageError | FormatError | None:
    if isinstance(error, OperationalError):
        return StorageError(
            f"the manifest database {what}: {error.orig}. Nothing was changed: free space, mend the permissions, "
            "or wait for the other writer, then run the same command again."
        )
    # Its subclasses tell of statements, not of the file.
    if type(error) is DatabaseError:
        return FormatError(f"the manifest database is damaged: {error.orig}. `barlake rebuild` makes a new one.")
    return None


def _postgres_refusal(error: DBAPIError, what: str) -> StorageError | FormatError | None:
    said = " ".join(str(error.orig).split())
    state = getattr(error.orig, "sqlstate", None) or ""
    if state.startswith("XX00"):
        return FormatError(
            f"the manifest database is damaged: {said}. Restore it by the server's own means, or name an empty one in "
            "BARLAKE_DATABASE_URL and let `barlake rebuild` fill it."
        )
    if isinstance(error, IntegrityError) or state.startswith("22"):
        return None  # a fault of ours
    return StorageError(
        f"the manifest database {what}: {said}. See that the server runs and that BARLAKE_DATABASE_URL names it, the "
        "database, the user and the password rightly, then run the same command again: nothing is stored twice."
    )


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
