"""One query, from inside its process: it is closed in first, then checked, then run.

This and what it imports is all that a query's process loads besides DuckDB and Arrow.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import duckdb
import pyarrow as pa

from app.sandbox import landlock
from app.sandbox.caps import cap_memory, cap_process
from app.sandbox.check import Denied, Offered, parse, tables_used
from app.sandbox.messages import Link
from app.sandbox.rows import packed, shaped, within

__all__ = ["SYSTEM_FILES", "answer"]

SYSTEM_FILES = ("/proc/self/cgroup", "/proc/self/mountinfo", "/proc/self/statm", "/sys/fs/cgroup")
"""What DuckDB reads of the system to learn how much memory there is; without them it aborts."""


def answer(connection: socket.socket) -> None:
    """Answer the one query that is asked at a socket."""
    link = Link(connection)
    request, _ = link.receive()
    cap_process(request["timeout_s"])
    try:
        _run(link, request)
    except Denied as error:
        _say(link, "denied", str(error))
    except (duckdb.InterruptException, duckdb.OutOfMemoryException, MemoryError) as error:
        _say(link, "limit", str(error))
    except duckdb.Error as error:
        _say(link, "refused", str(error))
    except (ValueError, OSError, pa.ArrowException) as error:
        _say(link, "fault", repr(error))


def _say(link: Link, kind: str, message: str) -> None:
    with contextlib.suppress(OSError):  # nobody waits any more
        link.send({"kind": kind, "message": message})


def _run(link: Link, request: dict[str, Any]) -> None:
    """Close in, check, ask for what the query uses, close in further, run and answer.

    The second, narrower circle is around this thread, which opens every file of a query; DuckDB's own threads were
    begun within the first.
    """
    closed = request["landlock"]
    if closed:
        landlock.allow_only([*SYSTEM_FILES, *request["folders"]])
    connection = _connect(request)
    offered = Offered(frozenset(request["tables"]), frozenset(request["macros"]))
    everything = offered.tables | offered.macros
    used = tables_used(parse(connection, request["sql"]), offered) if request["checked"] else everything
    link.send({"kind": "uses", "names": sorted(used)})
    sources, bodies = link.receive()
    if closed:
        landlock.allow_only([*SYSTEM_FILES, *sources["files"]])
    _fill(connection, sources, bodies)
    _lock(connection, sources["files"])
    cap_memory(request["memory_mb"])
    # Answered while the connection lives: the process ends right after, and DuckDB need not be taken down in order.
    link.send(*_rows(connection, request))


def _connect(request: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": "1",
            "memory_limit": f"{request['memory_mb']}MB",
            "temp_directory": "",
            "max_temp_directory_size": "0B",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_extension_repositories": "forbidden",
            "allow_persistent_secrets": "false",
            "python_enable_replacements": "false",
            "max_execution_time": str(max(1, int(request["timeout_s"] * 1000))),
            "max_expression_depth": "250",
            "pivot_limit": "1000",
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _fill(connection: duckdb.DuckDBPyConnection, sources: dict[str, Any], bodies: list[bytes]) -> None:
    """Make the small tables, then the views and macros on them, in the order given."""
    for name, body in zip(sources["tables"], bodies, strict=True):
        connection.register("incoming", pa.ipc.open_stream(body))
        quoted = '"' + name.replace('"', '""') + '"'
        connection.execute(f"CREATE TABLE {quoted} AS SELECT * FROM incoming")
        connection.unregister("incoming")
    for statement in sources["statements"]:
        connection.execute(statement)


def _lock(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    """DuckDB's own bolts: no file but these, and no setting can be changed any more."""
    connection.execute("SET allowed_paths = $files", {"files": files})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _rows(connection: duckdb.DuckDBPyConnection, request: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    found = connection.sql(request["sql"])
    if found is None:  # no SELECT, and nothing checked it
        return {"kind": "rows", "truncated": False}, [packed(pa.schema([]), [])]
    body, truncated = within(shaped(found), max_rows=request["max_rows"], max_bytes=request["max_bytes"])
    return {"kind": "rows", "truncated": truncated}, [body]
