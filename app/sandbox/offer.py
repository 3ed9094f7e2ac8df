"""What the sandbox offers of a lake, and what its process needs to show it.

The views are those of the published catalogue: explicit lists of the files that the manifest counted when it was
published, so one answer shows one state of the lake.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from app.sandbox.check import Offered, parse, references
from app.sandbox.notes import FEATURES, NOTES
from barlake import publish
from barlake.published import published

if TYPE_CHECKING:
    import duckdb

    from barlake.lake import Lake

__all__ = ["OfferedView", "Sources", "offered_names", "schema_of", "sources_for"]

_FEATURE_VIEW = re.compile(r"features_[a-z0-9_]+", re.IGNORECASE)


@dataclass(frozen=True)
class OfferedView:
    """Something a query may name behind FROM.

    Parameters
    ----------
    kind
        `view`, `table`, or `macro`, which is called with arguments.
    columns
        Pairs of name and DuckDB's type, in their order.
    parameters
        Of a macro.
    """

    name: str
    kind: str
    note: str
    columns: tuple[tuple[str, str], ...]
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """What a process needs to show some of it: small tables with their rows, definitions in order, files they read."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    statements: Sequence[str] = ()
    files: Sequence[str] = ()


@dataclass(frozen=True)
class _Definition:
    view: OfferedView
    statement: str  # empty for a table
    query: str


def schema_of(lake: Lake) -> list[OfferedView]:
    """Every view, table and macro that `run_sql` offers, by name."""
    return [one.view for _, one in sorted(_definitions(lake).items())]


def offered_names(lake: Lake) -> Offered:
    """The names alone, in lower case."""
    return _names(_definitions(lake))


def _names(found: dict[str, _Definition]) -> Offered:
    macros = frozenset(name for name, one in found.items() if one.view.kind == "macro")
    return Offered(frozenset(found) - macros, macros)


def sources_for(lake: Lake, names: Iterable[str]) -> Sources:
    """What a process needs to show these and whatever they stand on; names that are not offered are left out.

    All of it is of one catalogue, thus of one state of the lake.
    """
    while True:
        known = _definitions(lake)
        with publish.connect(lake.catalogue_path) as connection:
            # Another may have been put in its place in between.
            if _definitions(lake) is known:
                return _sources(connection, known, names)


def _sources(connection: duckdb.DuckDBPyConnection, known: dict[str, _Definition], names: Iterable[str]) -> Sources:
    ordered: dict[str, _Definition] = {}
    files: dict[str, None] = {}
    for name in sorted(names):
        _collect(connection, name, known, ordered, files)
    tables = {
        one.view.name: connection.sql(one.query).to_arrow_table()
        for one in ordered.values()
        if one.view.kind == "table"
    }
    return Sources(tables, [one.statement for one in ordered.values() if one.statement], list(files))


def _collect(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    known: dict[str, _Definition],
    ordered: dict[str, _Definition],
    files: dict[str, None],
) -> None:
    """Put a definition behind those it stands on."""
    if name in ordered or name not in known:
        return
    one = known[name]
    if one.statement:
        used, read = references(parse(connection, one.query), _names(known))
        for below in sorted(used - {name}):
            _collect(connection, below, known, ordered, files)
        files.update(dict.fromkeys(read))
    ordered[name] = one


def _definitions(lake: Lake) -> dict[str, _Definition]:
    found = published(lake.catalogue_path)
    if found is None or found.root != lake.store.name:
        lake.publish()
    stat = lake.catalogue_path.stat()
    return _read(lake.catalogue_path, (stat.st_ino, stat.st_mtime_ns, stat.st_size))


@functools.lru_cache(maxsize=4)
def _read(path: Path, _file: tuple[int, int, int]) -> dict[str, _Definition]:
    """What one file defines, which never changes once it is in its place."""
    with publish.connect(path) as connection:
        columns: dict[str, list[tuple[str, str]]] = {}
        for name, column, kind in connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE NOT internal AND database_name = 'market' ORDER BY table_name, column_index"
        ).fetchall():
            columns.setdefault(name, []).append((column, kind))
        views = dict(
            connection.execute(
                "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal AND database_name = 'market'"
            ).fetchall()
        )
        macros = connection.execute(
            "SELECT function_name, parameters, macro_definition FROM duckdb_functions() "
            "WHERE NOT internal AND function_type = 'table_macro' AND database_name = 'market'"
        ).fetchall()
    tables = [_table(name, tuple(own), views.get(name)) for name, own in columns.items() if _note(name)]
    calls = [_macro(name, tuple(parameters), query) for name, parameters, query in macros if _note(name)]
    return {one.view.name.lower(): one for one in (*tables, *calls)}


def _note(name: str) -> str:
    return NOTES.get(name) or (FEATURES if _FEATURE_VIEW.fullmatch(name) else "")


def _table(name: str, columns: tuple[tuple[str, str], ...], statement: str | None) -> _Definition:
    view = OfferedView(name, "table" if statement is None else "view", _note(name), columns)
    if statement is None:
        return _Definition(view, "", f'SELECT * FROM "{name}"')
    return _Definition(view, statement, statement.split(" AS ", 1)[1])


def _macro(name: str, parameters: tuple[str, ...], query: str) -> _Definition:
    view = OfferedView(name, "macro", _note(name), (), parameters)
    return _Definition(view, f"CREATE MACRO {name}({', '.join(parameters)}) AS TABLE {query}", query)
