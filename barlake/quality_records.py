"""Which sessions were checked, on which contents, and what was found: two tables of the manifest's database."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
from sqlalchemy import Engine, bindparam, delete, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from barlake import tables
from barlake.checks import FINDINGS, CheckName
from barlake.database import reading, writing

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

    def checked(self, *, feed: str | None = None, symbol: str | None = None) -> pl.DataFrame:
        """One row per session that was checked.

        Returns
        -------
        feed, symbol, session, input_hash (of everything the checks looked at), content_hash (of the session's
        own bars), regular_bars, regular_volume.
        """
        table = tables.checked_sessions
        query = select(*(table.c[name] for name in _CHECKED))
        return self._frame(query, table, feed, symbol, _CHECKED)

    def findings(self, *, feed: str | None = None, symbol: str | None = None) -> pl.DataFrame:
        """What was found, as `barlake.checks.FINDINGS`; by feed, symbol, session and timestamp."""
        table = tables.quality_findings
        query = select(*(table.c[name] for name in FINDINGS))
        return self._frame(query, table, feed, symbol, FINDINGS).sort("feed", "symbol", "session", "timestamp")

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
                connection.execute(_upsert_checked(), rows)
            if not findings.is_empty():
                connection.execute(insert(table), findings.to_dicts())

    def _frame(
        self, query: Any, table: Any, feed: str | None, symbol: str | None, schema: dict[str, pl.DataType]
    ) -> pl.DataFrame:
        for name, wanted in (("feed", feed), ("symbol", symbol)):
            if wanted is not None:
                query = query.where(table.c[name] == wanted)
        query = query.order_by(table.c.feed, table.c.symbol, table.c.session)
        with reading(self._engine) as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        return pl.DataFrame(rows, schema=schema, orient="row")


def _upsert_checked() -> Any:
    statement = upsert(tables.checked_sessions)
    columns = ("input_hash", "content_hash", "regular_bars", "regular_volume", "checked_at")
    return statement.on_conflict_do_update(
        index_elements=["feed", "symbol", "session"],
        set_={name: statement.excluded[name] for name in columns},
    )
