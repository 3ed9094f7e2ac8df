"""Whether a query may run, by DuckDB's own syntax tree: whatever is not on a list is refused.

There is no second parser that could understand the query otherwise than DuckDB does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb

from app.sandbox.functions import ALLOWED, TABLE_FUNCTIONS, why_refused

__all__ = ["Denied", "Offered", "parse", "references", "tables_used"]

Node = dict[str, Any]

_MOST_TEXT = 100_000
"""Characters of a query; the longest written by a person are far below."""

_QUERY_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_TABLES = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT", "SHOW_REF"}
)
_MODIFIERS = frozenset(
    {"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"}
    | {"ORDER_DEFAULT", "ASCENDING", "DESCENDING"}
)
_NODES = _QUERY_NODES | _TABLES | _MODIFIERS
_EXPRESSIONS = frozenset(
    {"BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION"}
    | {"LAMBDA", "LAMBDA_REF", "OPERATOR", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE", "WINDOW"}
)
_DESCRIBED = frozenset({"DESCRIBE", "SUMMARY"})
_OWN_SCHEMA: tuple[list[str], ...] = ([], ["main"])


class Denied(Exception):  # noqa: N818 - it is what is said, not a fault
    """The query is refused; the text says what of it, and why."""


@dataclass(frozen=True)
class Offered:
    """Names in lower case that a query may use: tables and views, and macros that stand for a table."""

    tables: frozenset[str]
    macros: frozenset[str]


def parse(connection: duckdb.DuckDBPyConnection, sql: str, *, longest: int | None = _MOST_TEXT) -> Node:
    """Syntax tree of the one SELECT in a text.

    Parameters
    ----------
    longest
        Characters the text may have; None for one of ours.

    Raises
    ------
    Denied
        If there is no statement or several, or it is another kind of statement.
    duckdb.Error
        If DuckDB cannot read it.
    """
    if longest is not None and len(sql) > longest:
        raise Denied(f"the query has {len(sql):,} characters, more than {longest:,}: ask for less at once")
    try:
        kinds = [statement.type for statement in connection.extract_statements(sql)]
    except ValueError as error:  # a statement this client has no name for
        raise Denied("only SELECT may be asked") from error
    if len(kinds) != 1:
        raise Denied(f"{len(kinds)} statements were sent: send exactly one SELECT")
    if kinds[0] != duckdb.StatementType.SELECT:
        raise Denied(f"only SELECT may be asked, not {kinds[0].name}")
    ((text,),) = connection.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()
    tree = json.loads(text)
    if tree["error"] or len(tree["statements"]) != 1:
        raise Denied(f"only a plain SELECT may be asked: {tree.get('error_message', 'not one statement')}")
    node: Node = tree["statements"][0]["node"]
    return node


def tables_used(tree: Node, offered: Offered) -> frozenset[str]:
    """Names of what is offered that a query uses.

    Raises
    ------
    Denied
        If anything in the tree is not on a list; the text names it.
    """
    walk = _Walk(offered)
    walk.query(tree, frozenset())
    return frozenset(walk.used)


def references(tree: Node, offered: Offered) -> tuple[frozenset[str], list[str]]:
    """Names of what is offered that a definition of ours uses, and the files it reads; nothing in it is refused."""
    walk = _Walk(offered, trusted=True)
    walk.query(tree, frozenset())
    return frozenset(walk.used), walk.files


class _Walk:
    """One way through a tree, which collects names and stops at the first thing that is not on a list."""

    def __init__(self, offered: Offered, *, trusted: bool = False) -> None:
        self.used: set[str] = set()
        self.files: list[str] = []
        self._offered = offered
        self._trusted = trusted

    def query(self, node: Node, scope: frozenset[str]) -> None:
        """A query with the names that WITH gives it: each one holds from its own place on, and below."""
        if not self._trusted and node.get("type") not in _QUERY_NODES:
            raise Denied(f"only SELECT may be asked, not {node.get('type')}")
        for entry in (node.get("cte_map") or {}).get("map") or ():
            name, body = str(entry["key"]).lower(), entry["value"]
            recursive = (body.get("query_node") or {}).get("type") == "RECURSIVE_CTE_NODE"
            self._parts(body, scope | {name} if recursive else scope)
            scope |= {name}
        self._parts({key: value for key, value in node.items() if key != "cte_map"}, scope)

    def _parts(self, node: Node, scope: frozenset[str]) -> None:
        for value in node.values():
            self._any(value, scope)

    def _any(self, value: Any, scope: frozenset[str]) -> None:
        if isinstance(value, list):
            for one in value:
                self._any(one, scope)
        elif isinstance(value, dict):
            self._node(value, scope)

    def _node(self, node: Node, scope: frozenset[str]) -> None:
        kind = node.get("class") or node.get("type")
        if "class" in node:
            self._expression(node)
        elif isinstance(kind, str):
            if "cte_map" in node or kind in _QUERY_NODES:
                self.query(node, scope)
                return
            self._listed(kind, _NODES)
            if kind == "BASE_TABLE":
                self._table(node, scope)
            elif kind == "TABLE_FUNCTION":
                self._table_function(node, scope)
                return
            elif kind == "SHOW_REF":
                self._described(node)
        self._parts(node, scope)

    def _listed(self, kind: str, known: Iterable[str]) -> None:
        if not self._trusted and kind not in known:
            raise Denied(f"{kind.lower().replace('_', ' ')} is not offered here")

    def _expression(self, node: Node) -> None:
        self._listed(node["class"], _EXPRESSIONS)
        if self._trusted:
            return
        path = _path(node)
        if node["class"] in {"FUNCTION", "WINDOW"}:
            name = str(node["function_name"]).lower()
            if path[:-1] or name not in ALLOWED:
                raise Denied(f"function {'.'.join([*path[:-1], name])} is not offered here{why_refused(name)}")
        elif node["class"] == "TYPE" and path[:-1]:
            raise Denied(f"type {'.'.join(path)} is not offered here")

    def _table(self, node: Node, scope: frozenset[str]) -> None:
        path = _path(node)
        name = path[-1].lower() if path else ""
        if len(path) == 1 and name in scope:
            return
        if node.get("at_clause") and not self._trusted:
            raise Denied(f"AT on table {name} is not offered here: `bars_as_of(T)` shows bars as they were")
        if name in self._offered.tables and path[:-1] in _OWN_SCHEMA:
            self.used.add(name)
        elif not self._trusted:
            raise Denied(f"table {'.'.join(path)} is not offered here{_offers(self._offered.tables)}")

    def _table_function(self, node: Node, scope: frozenset[str]) -> None:
        function = node["function"]
        path = _path(function)
        name = str(function.get("function_name", "")).lower()
        if name in self._offered.macros and not path[:-1]:
            self.used.add(name)
        elif self._trusted:
            self.files += _constants(function) if name == "read_parquet" else []
        elif name not in TABLE_FUNCTIONS or path[:-1]:
            raise Denied(f"table function {'.'.join([*path[:-1], name])} is not offered here")
        self._parts(function, scope)
        self._parts({key: value for key, value in node.items() if key != "function"}, scope)

    def _described(self, node: Node) -> None:
        if not self._trusted and (node.get("show_type") not in _DESCRIBED or not node.get("query")):
            raise Denied("SHOW is not offered here: DESCRIBE names the columns of a view")


def _path(node: Node) -> list[str]:
    """Catalogue, schema and name, as far as they were written."""
    return [str(part) for part in (node.get("qualified_name") or {}).get("path") or ()]


def _offers(tables: Iterable[str]) -> str:
    return f". There are: {', '.join(sorted(tables))}"


def _constants(node: Any) -> list[str]:
    """The texts in a list of constants, the first argument of a function."""
    first = node["arguments"][0]["expression"]
    values = first["arguments"] if first["class"] == "FUNCTION" else [{"expression": first}]
    return [str(one["expression"]["literal"]["text"]) for one in values]
