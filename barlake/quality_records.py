"""Which sessions were checked, on which contents, and what was found: two tables of the manifest's database."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, and_, bindparam, delete, insert, select

from barlake import tables
from barlake.checks import FINDINGS, CheckName
from barlake.database import reading, upsert, writing

__all__ = ["QualityRecords"]

_CHECKED = {
    "feed": pl.String(),
    "symbol": pl.String(),
    "session": pl.Date(),
    "input_hash": pl.String(),
    "content_hash": pl.String(),
    "regular_bars": pl.Int64(),
    "regular_volume": pl.Int64(),
}
_OF_SYMBOL = (CheckName.VOLUME_SCALE.value,)
"""Checks that hold a session against the others of its symbol: their findings are replaced together."""


class QualityRecords:
    """What the checks found, kept beside the manifest so that nothing unchanged is checked again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def checked(self, *, feed: str, symbol: str) -> pl.DataFrame:
        """One row per session of one symbol that was checked.

        Returns
        -------
        feed, symbol, session, input_hash (of everything the checks looked at), content_hash (of the session's
        own bars), regular_bars, regular_volume.
        """
        table = tables.checked_sessions
        query = select(*(table.c[name] for name in _CHECKED)).where(table.c.feed == feed, table.c.symbol == symbol)
        return self._frame(query.order_by(table.c.session), _CHECKED)

    def findings(self, *, start: dt.date | None = None, end: dt.date | None = None) -> pl.DataFrame:
        """What was found in sessions of [start, end) whose bars are still those that were checked.

        Returns
        -------
        Columns of `barlake.checks.FINDINGS`, in no order.
        """
        table, checked, held = tables.quality_findings, tables.checked_sessions, tables.held_sessions
        query = (
            select(*(table.c[name] for name in FINDINGS))
            .join(checked, _same_session(table, checked))
            .join(held, _same_session(table, held) & (held.c.content_hash == checked.c.content_hash))
        )
        if start is not None:
            query = query.where(table.c.session >= start)
        if end is not None:
            query = query.where(table.c.session < end)
        return self._frame(query, FINDINGS)

    def replace(
        self, feed: str, symbol: str, checked: pl.DataFrame, findings: pl.DataFrame, *, now: dt.datetime
    ) -> None:
        """Put the findings of some sessions of one symbol in place of the earlier ones, all at once.

        Parameters
        ----------
        checked
            session, input_hash, content_hash, regular_bars, regular_volume of the sessions looked at.
        findings
            All that was found in them, and everything that was found by comparing the symbol's sessions.
        """
        own = {"feed": feed, "symbol": symbol}
        table = tables.quality_findings
        mine = (table.c.feed == feed) & (table.c.symbol == symbol)
        with writing(self._engine) as connection:
            connection.execute(delete(table).where(mine, table.c.check_name.in_(_OF_SYMBOL)))
            if not checked.is_empty():
                by_session = delete(table).where(mine, table.c.session == bindparam("of_session"))
                connection.execute(by_session, [{"of_session": day} for day in checked["session"]])
                rows = [row | own | {"checked_at": now} for row in checked.iter_rows(named=True)]
                connection.execute(_upsert_checked(connection), rows)
            if not findings.is_empty():
                connection.execute(insert(table), findings.to_dicts())

    def _frame(self, query: Select[Any], schema: dict[str, pl.DataType]) -> pl.DataFrame:
        with reading(self._engine) as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        return pl.DataFrame(rows, schema=schema, orient="row")


def _same_session(left: Table, right: Table) -> ColumnElement[bool]:
    return and_(*(left.c[name] == right.c[name] for name in ("feed", "symbol", "session")))


def _upsert_checked(connection: Connection) -> Any:
    statement = upsert(connection, tables.checked_sessions)
    columns = ("input_hash", "content_hash", "regular_bars", "regular_volume", "checked_at")
    return statement.on_conflict_do_update(
        index_elements=["feed", "symbol", "session"],
        set_={name: statement.excluded[name] for name in columns},
    )
