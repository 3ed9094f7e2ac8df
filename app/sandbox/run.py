"""One query of somebody unknown, answered by a process of its own."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from app.sandbox import landlock
from app.sandbox.errors import SqlDeniedError, SqlLimitError
from app.sandbox.gate import Gate
from app.sandbox.limits import MOST_BYTES, Limits
from app.sandbox.messages import Link
from app.sandbox.offer import offered_names, sources_for
from app.sandbox.processes import query_process
from barlake.errors import BarlakeError, FormatError, InvalidInputError, StorageError

if TYPE_CHECKING:
    from barlake.lake import Lake

__all__ = ["SandboxResult", "run_sql"]

Mode = Literal["landlock", "weaker"]

_GRACE_S = 1.0
"""Beyond its time a query may take so long to say so itself."""

_MOST_ANSWER = 2 * MOST_BYTES
_OF_A_FILE = re.compile(r"No files found that match|Failed to read file|corrupt|TProtocolException|magic bytes")
_DATA_FOLDERS = ("parquet", "features", "models", "runs")


@dataclass(frozen=True)
class SandboxResult:
    """Rows of a query.

    Parameters
    ----------
    table
        The rows handed out.
    truncated
        Whether there were more than might be handed out.
    seconds
        From the start of the query's process to its last row.
    mode
        `landlock`, or `weaker` where the system has none: then DuckDB alone keeps the query from files.
    """

    table: pa.Table
    truncated: bool
    seconds: float
    mode: Mode


_gate = Gate()


def run_sql(
    lake: Lake, sql: str, *, timeout_s: float = 30, max_rows: int = 1000, max_bytes: int = 8 << 20, memory_mb: int = 512
) -> SandboxResult:
    """Rows of one SELECT over what `schema_of` offers; instants are UTC.

    Parameters
    ----------
    timeout_s, max_rows, max_bytes, memory_mb
        See `Limits`.

    Raises
    ------
    SqlDeniedError
        If the query asks for anything that is not offered; the message names it.
    SqlLimitError
        If it took longer, or more memory, than it may.
    SqlBusyError
        If too many queries run and wait already.
    InvalidInputError
        If DuckDB refuses the query, or a limit is outside its range.
    FormatError
        If a file behind it is missing or damaged.
    """
    return ask(lake, sql, Limits(timeout_s, max_rows, max_bytes, memory_mb))


def ask(lake: Lake, sql: str, limits: Limits, *, checked: bool = True) -> SandboxResult:
    """As `run_sql`; without its check of the query only to show that the rest of the sandbox holds by itself."""
    if lake.store.filesystem() is not None:
        raise InvalidInputError(
            f"the lake's files are in {lake.store.name}, and a query in the sandbox reaches no network. "
            "`barlake sql` asks without a sandbox."
        )
    mode: Mode = "landlock" if landlock.version() else "weaker"
    with _gate.entered(lake.settings.sql_concurrency), query_process() as connection:
        began = time.monotonic()
        link = Link(connection, deadline=began + limits.timeout_s + _GRACE_S, most_bytes=_MOST_ANSWER)
        try:
            header, bodies = _conversation(lake, sql, limits, link, mode=mode, checked=checked)
        except (TimeoutError, OSError, EOFError) as error:
            raise _ended(error, limits) from error
        if header["kind"] != "rows":
            raise _error(lake, header, limits)
        table = _table(bodies[0])
        return SandboxResult(table, bool(header["truncated"]), time.monotonic() - began, mode)


def _conversation(
    lake: Lake, sql: str, limits: Limits, link: Link, *, mode: Mode, checked: bool
) -> tuple[dict[str, Any], list[bytes]]:
    offered = offered_names(lake)
    link.send(
        {
            "sql": sql,
            "checked": checked,
            "landlock": mode == "landlock",
            "tables": sorted(offered.tables),
            "macros": sorted(offered.macros),
            "folders": [str(lake.root / name) for name in _DATA_FOLDERS],
            **vars(limits),
        }
    )
    header, bodies = link.receive()
    if header["kind"] != "uses":
        return header, bodies
    sources = sources_for(lake, header["names"])
    link.send(
        {"tables": list(sources.tables), "statements": list(sources.statements), "files": list(sources.files)},
        list(sources.tables.values()),
    )
    return link.receive()


def _ended(error: Exception, limits: Limits) -> BarlakeError:
    if isinstance(error, TimeoutError):
        return _too_long(limits)
    return SqlLimitError(
        "the query's process ended without an answer, most often because it needs more memory than it may have. "
        "Ask for fewer symbols, a shorter range, or less at once."
    )


def _too_long(limits: Limits) -> SqlLimitError:
    return SqlLimitError(
        f"the query took longer than {limits.timeout_s:g} s: ask for fewer symbols, a shorter range, or less at once."
    )


def _error(lake: Lake, header: dict[str, Any], limits: Limits) -> BarlakeError:
    message = str(header.get("message", "")).replace(str(lake.root), "<lake>")[:2000]
    if header["kind"] == "denied":
        return SqlDeniedError(f"the query is refused: {message}.")
    if header["kind"] == "limit":
        if "INTERRUPT" in message:
            return _too_long(limits)
        return SqlLimitError(
            f"the query needs more than {limits.memory_mb} MB: ask for fewer symbols, a shorter range, or less at once."
        )
    if header["kind"] == "fault":
        return StorageError(f"the query's process failed: {message}. Try again.")
    if _OF_A_FILE.search(message):
        return FormatError(
            f"a file behind the query cannot be read: {message.splitlines()[0]}. `barlake verify` names it, "
            "`barlake repair` keeps what is good of it and fetches the rest again."
        )
    return InvalidInputError(f"DuckDB refused the query: {message}")


def _table(body: bytes) -> pa.Table:
    """The rows that came back, looked through before anybody uses them."""
    table = pa.ipc.open_stream(body).read_all()
    table.validate(full=True)
    return table
