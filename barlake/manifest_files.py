"""A whole manifest: copied into a SQLite file while it is in use, put in the place of another, removed.

SQLite keeps recent commits in a file beside it (`-wal`); the three names belong together. In PostgreSQL a
manifest is the rows of its tables, copied as one view of them and put in place by one transaction.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, inspect, select, text
from sqlalchemy.engine import URL

from barlake import tables
from barlake.database import Place, make_engine, reading, upgrade, writing
from barlake.durable import fsync_folder
from barlake.errors import FormatError
from barlake.records import new_commit_id

__all__ = ["Exchange", "copy_database", "exchange", "remove_database"]

_SUFFIXES = ("", "-wal", "-shm")
_ROWS = [table for table in tables.metadata.sorted_tables if table is not tables.lake]
"""What a manifest says; whose it is belongs to the database it is in."""

_LEDGER = (tables.trials, tables.trial_outcomes, tables.strategies, tables.strategy_proofs)
"""Tables that only grow: a manifest that takes the place of another takes their rows over."""

_ROWS_AT_ONCE = 1000


def copy_database(source: Place, target: Path) -> None:
    """Copy a database that others may be reading and writing, as it is at one instant, into a new and durable file.

    Raises
    ------
    FormatError
        If the source is no database, or a damaged one.
    StorageError
        If it cannot be reached, or the disk is full.
    """
    if isinstance(source, URL):
        _copy_out(source, target)
    else:
        _copy_file(source, target)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())


def _copy_file(source: Path, target: Path) -> None:
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


def _copy_out(source: URL, target: Path) -> None:
    with contextlib.closing(sqlite3.connect(target)) as copy:
        copy.execute("PRAGMA journal_mode=WAL")
    engines = origin, file = make_engine(source), make_engine(target)
    try:
        upgrade(file)
        with reading(origin) as rows, writing(file) as connection:
            _copy_rows(rows, connection)
    finally:
        for engine in engines:
            engine.dispose()
    with contextlib.closing(sqlite3.connect(target)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE")


def _copy_rows(source: Connection, target: Connection) -> None:
    """Put the rows of every table into a database whose tables are empty, but for a ledger."""
    for table in _ROWS:
        found = source.execute(select(table).execution_options(yield_per=_ROWS_AT_ONCE))
        for part in found.mappings().partitions():
            rows = [dict(row) for row in part]
            if table in _LEDGER:
                _add_missing(target, table, rows)
            else:
                target.execute(insert(table), rows)
        numbered = table.autoincrement_column
        if numbered is not None and target.dialect.name == "postgresql":
            # The server counts on from the rows it numbered itself.
            target.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{numbered.name}'), "
                    f"max({numbered.name})) FROM {table.name}"
                )
            )


def remove_database(path: Path) -> None:
    """Delete a database and what lies beside it; nothing happens where there is none."""
    for suffix in _SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@dataclass(frozen=True)
class Exchange:
    """What became of the manifest that was in the place.

    Parameters
    ----------
    kept
        The folder with the copy of it; None when there was nothing.
    has_ledger
        Whether the new manifest has all its trials and strategies; False when it could not be read.
    """

    kept: Path | None = None
    has_ledger: bool = True


def exchange(new: Path, place: Place, now: dt.datetime) -> Exchange:
    """Put what a closed SQLite file holds in a place, after what is there was copied to `kept-<instant>/`.

    The ledger of trials and the definitions of strategies go over: no manifest takes back what was tried.
    """
    if isinstance(place, URL):
        return _exchange_rows(new, place, now)
    present = [path for suffix in _SUFFIXES if (path := place.with_name(place.name + suffix)).exists()]
    kept, has_ledger = None, True
    if present:
        kept = place.parent / f"kept-{new_commit_id(now)}"
        kept.mkdir()
        for path in present:
            shutil.copy2(path, kept / path.name)
            with (kept / path.name).open("rb") as stream:
                os.fsync(stream.fileno())
        fsync_folder(kept)
        fsync_folder(place.parent)
        has_ledger = place in present and _take_ledger_over(place, new)
    with new.open("rb") as stream:
        os.fsync(stream.fileno())
    # What belongs to the old file must not be read as belonging to the new one.
    for path in present:
        if path != place:
            path.unlink(missing_ok=True)
    new.replace(place)
    fsync_folder(place.parent)
    return Exchange(kept, has_ledger)


def _exchange_rows(new: Path, place: URL, now: dt.datetime) -> Exchange:
    kept = None
    engines = source, target = make_engine(new), make_engine(place)
    try:
        with reading(target) as connection:
            is_empty = all(connection.execute(select(table).limit(1)).first() is None for table in _ROWS)
        if not is_empty:
            kept = new.parent / f"kept-{new_commit_id(now)}"
            kept.mkdir()
            copy_database(place, kept / "manifest.sqlite")
            fsync_folder(kept)
            fsync_folder(kept.parent)
        with reading(source) as rows, writing(target) as connection:
            for table in _ROWS:
                if table not in _LEDGER:
                    connection.execute(delete(table))
            _copy_rows(rows, connection)
    finally:
        for engine in engines:
            engine.dispose()
    return Exchange(kept)


def _take_ledger_over(old: Path, new: Path) -> bool:
    """Add the rows of a manifest that only grow to another; False when the old one cannot be read."""
    engines = source, target = make_engine(old), make_engine(new)
    try:
        with reading(source) as connection:
            there = [table for table in _LEDGER if inspect(connection).has_table(table.name)]
            found = [(table, [dict(row) for row in connection.execute(select(table)).mappings()]) for table in there]
        with writing(target) as connection:
            for table, rows in found:
                _add_missing(connection, table, rows)
    except FormatError:
        return False
    finally:
        for engine in engines:
            engine.dispose()
    return True


def _add_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Add the rows that are not there yet: those that are say the same, for none ever changes."""
    [key] = table.primary_key.columns
    held = set(connection.execute(select(key)).scalars())
    missing = [row for row in rows if row[key.name] not in held]
    if missing:
        connection.execute(insert(table), missing)
