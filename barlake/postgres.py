"""Bars into a table of a PostgreSQL database, through ADBC.

After an export the table holds, of each symbol exported and in the range exported, exactly the bars that
were: new ones are inserted, differing ones updated, those the lake does not have deleted. All of it is one
transaction, and doing it again changes nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars as pl
from pydantic import SecretStr

from barlake.errors import InvalidInputError, StorageError
from barlake.exporting import BarExport, OnPiece, Piece, tell_nobody
from barlake.partitions import as_arrow

__all__ = ["URL_NAME", "PostgresReport", "export_to_postgres", "has_password"]

URL_NAME = "BARLAKE_EXPORT_POSTGRES_URL"

_KEY = ("feed", "symbol", "timestamp")
_INCOMING = "barlake_incoming"
_TABLE = re.compile(r"([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,62}")
_TYPES: dict[type[pl.DataType], str] = {
    pl.String: "text",
    pl.Date: "date",
    pl.Datetime: "timestamp with time zone",
    pl.Float64: "double precision",
    pl.Int64: "bigint",
    pl.Boolean: "boolean",
}
_CONNECTING = re.compile(r"connection to server .*? failed: (.*?)(\n|$)")


@dataclass(frozen=True)
class PostgresReport:
    """What an export did to a table; counts are rows."""

    table: str
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0


def export_to_postgres(
    export: BarExport, url: SecretStr, *, table: str | None = None, on_piece: OnPiece = tell_nobody
) -> PostgresReport:
    """Bring a table up to a selection of bars; it is made, with its primary key, when missing.

    Parameters
    ----------
    url
        `postgresql://user:password@host:port/database`; what it leaves out, libpq takes from its own
        environment variables and password file.
    table
        None takes the name of the catalogue's view, such as `bars`, or `bars_1d_split` for adjusted days.

    Raises
    ------
    InvalidInputError
        If the driver is not installed, the address is none, or a table of that name is another.
    StorageError
        If the server does not answer or refuses; the table is as it was.
    """
    name = _quoted_table(table or export.name)
    counts = PostgresReport(name.replace('"', ""))
    with _connection(url) as connection, connection.cursor() as cursor:
        columns = {column: _TYPES[kind.base_type()] for column, kind in export.schema.items()}
        _make_table(cursor, name, columns)
        # A second export of the same bars waits; whoever reads the table does not.
        cursor.execute(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(
            f"CREATE TEMPORARY TABLE {_INCOMING} ON COMMIT DROP AS SELECT {_names(columns)} FROM {name} WITH NO DATA"
        )
        # Nobody has counted these rows yet: without a key the planner may compare each with each.
        cursor.execute(f'ALTER TABLE {_INCOMING} ADD PRIMARY KEY ("timestamp")')
        for piece in export.pieces(on_piece):
            counts = _merge(cursor, name, columns, piece, counts)
        connection.commit()
    return counts


def has_password(url: str) -> bool:
    """Whether an address carries a password, or might."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return bool(parts.password) or "password" in parse_qs(parts.query) or "password" in url.partition("://")[0]


def _quoted_table(name: str) -> str:
    if not _TABLE.fullmatch(name):
        raise InvalidInputError(
            f"table {name!r} is not a name: use a-z, 0-9 and '_', with a schema and a dot before it if need be."
        )
    return ".".join(f'"{part}"' for part in name.split("."))


def _names(columns: dict[str, str] | tuple[str, ...], *, of: str = "") -> str:
    return ", ".join(f'{of}"{column}"' for column in columns)


def _make_table(cursor: Any, name: str, columns: dict[str, str]) -> None:
    """Make the table, or see that the one that is there can hold the bars."""
    may_be_null = {"trade_count", "vwap"}
    lines = [f'"{column}" {kind}{"" if column in may_be_null else " NOT NULL"}' for column, kind in columns.items()]
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(lines)}, PRIMARY KEY ({_names(_KEY)}))")
    found = dict(
        _rows(
            cursor,
            f"""SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
                WHERE attrelid = '{name}'::regclass AND attnum > 0 AND NOT attisdropped""",
        )
    )
    wrong = [f"{column} {kind}" for column, kind in columns.items() if found.get(column) != kind]
    keys = _rows(
        cursor,
        f"""SELECT array_to_string(array(
                SELECT attname::text FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY(indkey) ORDER BY 1
            ), ',') FROM pg_index WHERE indrelid = '{name}'::regclass AND indisunique AND indpred IS NULL""",
    )
    if (",".join(sorted(_KEY)),) not in keys:
        wrong.append(f"PRIMARY KEY ({', '.join(_KEY)})")
    if wrong:
        raise InvalidInputError(
            f"the table {name} is there and lacks {', '.join(wrong)}: name another with --table, or drop it."
        )


def _merge(cursor: Any, name: str, columns: dict[str, str], piece: Piece, before: PostgresReport) -> PostgresReport:
    """Counts so far and those of one piece, whose bars take the place of what the table had in its range."""
    cursor.execute(f"TRUNCATE {_INCOMING}")
    if piece.rows.height:
        cursor.adbc_ingest(_INCOMING, as_arrow(piece.rows), mode="append", temporary=True)
    values = [column for column in columns if column not in _KEY]
    sides = [(">=", piece.span.start), ("<", piece.span.end)]
    bounds = "".join(f""" AND held."timestamp" {sign} '{edge.isoformat()}'""" for sign, edge in sides if edge)
    own = f"held.feed = '{piece.feed}' AND held.symbol = '{piece.symbol}'{bounds}"
    deleted = _count(
        cursor,
        f"""WITH gone AS (DELETE FROM {name} AS held WHERE {own}
                AND NOT EXISTS (SELECT FROM {_INCOMING} AS new WHERE new."timestamp" = held."timestamp")
                RETURNING 1)
            SELECT count(*) FROM gone""",
    )
    # All that is left in the range has a bar to go with: the rest is new.
    known = _count(cursor, f"SELECT count(*) FROM {name} AS held WHERE {own}")
    touched = _count(
        cursor,
        f"""WITH written AS (
                INSERT INTO {name} AS held ({_names(columns)}) SELECT {_names(columns)} FROM {_INCOMING}
                ON CONFLICT ({_names(_KEY)})
                DO UPDATE SET {", ".join(f'"{column}" = excluded."{column}"' for column in values)}
                WHERE ({_names(tuple(values), of="held.")}) IS DISTINCT FROM ({_names(tuple(values), of="excluded.")})
                RETURNING 1)
            SELECT count(*) FROM written""",
    )
    inserted = piece.rows.height - known
    return PostgresReport(
        before.table,
        before.inserted + inserted,
        before.updated + touched - inserted,
        before.unchanged + piece.rows.height - touched,
        before.deleted + deleted,
    )


def _rows(cursor: Any, query: str) -> list[tuple[Any, ...]]:
    cursor.execute(query)
    return [tuple(row) for row in cursor.fetchall()]


def _count(cursor: Any, query: str) -> int:
    return int(_rows(cursor, query)[0][0])


@contextlib.contextmanager
def _connection(url: SecretStr) -> Iterator[Any]:
    """Connection in a transaction that is undone unless it is committed; its errors carry no secret."""
    try:
        import adbc_driver_postgresql.dbapi as driver  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InvalidInputError(
            "the PostgreSQL driver is not installed: install Barlake with its extra, barlake[postgres]."
        ) from error
    address = url.get_secret_value()
    try:
        connection = driver.connect(address)
    except driver.Error as error:
        # libpq quotes what it cannot read of an address, the password as well: only what the server said is shown.
        raise _no_connection(address, str(error)) from None
    try:
        with connection:
            yield connection
    except driver.Error as error:
        said = str(error).splitlines()[0]
        raise StorageError(
            f"PostgreSQL refused the export: {said}. The table is as it was: mend it, then run the same command again."
        ) from error


def _no_connection(address: str, said: str) -> StorageError | InvalidInputError:
    reason = _CONNECTING.search(said)
    if reason is None:
        return InvalidInputError(
            f"the address in {URL_NAME} or --url cannot be used: write postgresql://user:password@host:5432/database, "
            "with marks such as @ : / and spaces of a password percent-encoded, and a host that exists."
        )
    try:
        where = urlsplit(address).hostname or "its default address"
    except ValueError:
        where = "that address"
    return StorageError(
        f"PostgreSQL at {where} cannot be reached: {reason[1]}. Nothing was changed: start it, or mend the address or "
        f"password in {URL_NAME}, then run the same command again."
    )
