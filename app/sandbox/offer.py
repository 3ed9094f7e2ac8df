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
from typing import TYPE_CHECKING, Literal

from app.sandbox.check import Offered, parse, references
from app.sandbox.notes import FEATURES, NOTES
from app.sandbox.rows import packed
from barlake import publish
from barlake.published import published

if TYPE_CHECKING:
    import duckdb

    from barlake.lake import Lake

__all__ = ["OfferedView", "Sources", "offered_names", "schema_of", "sources_for"]

_FEATURE_VIEW = re.compile(r"features_[a-z0-9_]+", re.IGNORECASE)
_KEPT_BYTES = 4 << 20
"""A small table of fewer bytes stays in memory for the next query."""

_COLUMNS = """
    SELECT table_name, list(column_name ORDER BY column_index), list(data_type ORDER BY column_index)
    FROM duckdb_columns() WHERE NOT internal AND database_name = 'market' GROUP BY table_name
"""
_VIEWS = "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal AND database_name = 'market'"
_MACROS = """
    SELECT function_name, parameters, macro_definition FROM duckdb_functions()
    WHERE NOT internal AND function_type = 'table_macro' AND database_name = 'market'
"""


@dataclass(frozen=True)
class OfferedView:
    """Something a query may name behind FROM.

    Parameters
    ----------
    kind
        `view`, `table`, or `macro`, which is called with arguments.
    columns
        Pairs of name and DuckDB's type, in their order; of a macro none.
    parameters
        Of a macro.
    """

    name: str
    kind: Literal["view", "table", "macro"]
    note: str
    columns: tuple[tuple[str, str], ...] = ()
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """What a process needs to show some of it.

    Parameters
    ----------
    tables
        Rows of the small tables, each as an Arrow IPC stream.
    statements
        Definitions of views and macros, each behind those it stands on.
    files
        What they read.
    """

    tables: dict[str, bytes] = field(default_factory=dict)
    statements: Sequence[str] = ()
    files: Sequence[str] = ()


@dataclass(frozen=True)
class _Definition:
    view: OfferedView
    statement: str  # empty for a table
    query: str


@dataclass(frozen=True)
class _Part:
    """What one definition needs: names below it, files it reads, and the rows of a table."""

    below: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    rows: bytes | None = None


@dataclass(frozen=True)
class _Catalogue:
    """One catalogue file, which never changes once it is in its place, and what was read from it so far."""

    definitions: dict[str, _Definition]
    parts: dict[str, _Part] = field(default_factory=dict)

    def offered(self) -> Offered:
        macros = frozenset(name for name, one in self.definitions.items() if one.view.kind == "macro")
        return Offered(frozenset(self.definitions) - macros, macros)


def schema_of(lake: Lake) -> list[OfferedView]:
    """Every view, table and macro that `run_sql` offers, by name."""
    return [one.view for _, one in sorted(_catalogue(lake).definitions.items())]


def offered_names(lake: Lake) -> Offered:
    """The names alone, in lower case."""
    return _catalogue(lake).offered()


def sources_for(lake: Lake, names: Iterable[str]) -> Sources:
    """What a process needs to show these and whatever they stand on; names that are not offered are left out.

    All of it is of one catalogue, thus of one state of the lake.
    """
    wanted = sorted(names)
    while True:
        catalogue = _catalogue(lake)
        parts = _parts(catalogue, wanted, {})
        if parts is None:
            with publish.connect(lake.catalogue_path) as connection:
                if _catalogue(lake) is not catalogue:  # another took its place in between
                    continue
                parts = _parts(catalogue, wanted, {}, connection)
        assert parts is not None  # noqa: S101 - with a connection all of them are found
        return Sources(
            {catalogue.definitions[name].view.name: one.rows for name, one in parts.items() if one.rows is not None},
            [one.statement for name in parts if (one := catalogue.definitions[name]).statement],
            list(dict.fromkeys(file for one in parts.values() for file in one.files)),
        )


def _parts(
    catalogue: _Catalogue,
    names: Iterable[str],
    found: dict[str, _Part],
    connection: duckdb.DuckDBPyConnection | None = None,
) -> dict[str, _Part] | None:
    """Parts of these names behind those they stand on; None when one has to be read and there is no connection."""
    for name in names:
        if name in found or name not in catalogue.definitions:
            continue
        part = catalogue.parts.get(name)
        if part is None:
            if connection is None:
                return None
            part = _read_part(catalogue, name, connection)
        if _parts(catalogue, part.below, found, connection) is None:
            return None
        found[name] = part
    return found


def _read_part(catalogue: _Catalogue, name: str, connection: duckdb.DuckDBPyConnection) -> _Part:
    one = catalogue.definitions[name]
    if one.statement:
        used, files = references(parse(connection, one.query, longest=None), catalogue.offered())
        part = _Part(tuple(sorted(used - {name})), tuple(files))
    else:
        rows = connection.sql(one.query).to_arrow_table()
        part = _Part(rows=packed(rows.schema, rows.to_batches()))
    if part.rows is None or len(part.rows) <= _KEPT_BYTES:
        catalogue.parts[name] = part
    return part


def _catalogue(lake: Lake) -> _Catalogue:
    found = published(lake.catalogue_path)
    if found is None or found.root != lake.store.name:
        lake.publish()
    stat = lake.catalogue_path.stat()
    return _read(lake.catalogue_path, (stat.st_ino, stat.st_mtime_ns, stat.st_size))


@functools.lru_cache(maxsize=2)
def _read(path: Path, _file: tuple[int, int, int]) -> _Catalogue:
    with publish.connect(path) as connection:
        columns = connection.execute(_COLUMNS).fetchall()
        views = dict(connection.execute(_VIEWS).fetchall())
        macros = connection.execute(_MACROS).fetchall()
    found = [
        *(_table(name, tuple(zip(names, kinds, strict=True)), views.get(name)) for name, names, kinds in columns),
        *(_macro(name, tuple(parameters), query) for name, parameters, query in macros),
    ]
    return _Catalogue({one.view.name.lower(): one for one in found if one.view.note})


def _note(name: str) -> str:
    """What is said of a name; empty for what is not offered."""
    return NOTES.get(name) or (FEATURES if _FEATURE_VIEW.fullmatch(name) else "")


def _table(name: str, columns: tuple[tuple[str, str], ...], statement: str | None) -> _Definition:
    if statement is None:
        return _Definition(OfferedView(name, "table", _note(name), columns), "", f'SELECT * FROM "{name}"')
    return _Definition(OfferedView(name, "view", _note(name), columns), statement, statement.split(" AS ", 1)[1])


def _macro(name: str, parameters: tuple[str, ...], query: str) -> _Definition:
    statement = f"CREATE MACRO {name}({', '.join(parameters)}) AS TABLE {query}"
    return _Definition(OfferedView(name, "macro", _note(name), parameters=parameters), statement, query)
