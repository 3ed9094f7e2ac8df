"""The manifest's corporate actions: statements in, once each; all of them out, with the instants they stood.

A source's later statement of the same action supersedes its earlier one, which is kept: what was known at an
instant can be read again. Statements of different sources stand side by side.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Engine, bindparam, delete, insert, select, update

from barlake import tables
from barlake.action_files import STATEMENTS
from barlake.actions import ACTIONS
from barlake.database import reading, writing

__all__ = ["ActionRecords", "ActionReport"]

_VALUES = ("symbol", "ex_date", "kind", "ratio", "cash_usd", "close_before", "implied", "details")


@dataclass(frozen=True)
class ActionReport:
    """What became of statements: new, known already, or in place of what their source said before."""

    inserted: int = 0
    unchanged: int = 0
    replaced: int = 0

    @property
    def changed(self) -> bool:
        """Whether anything is known now that was not known before."""
        return bool(self.inserted or self.replaced)

    def __add__(self, other: ActionReport) -> ActionReport:
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name) for field in dataclasses.fields(self)
        }
        return ActionReport(**sums)


class ActionRecords:
    """Statements in the manifest's database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, statements: pl.DataFrame, *, now: dt.datetime) -> ActionReport:
        """Keep statements, in one transaction; those that stand already change nothing.

        Parameters
        ----------
        statements
            Columns of `action_files.STATEMENTS`; source and action_id together are unique.
        now
            Becomes `known_at`.
        """
        table = tables.corporate_actions
        if statements.is_empty():
            return ActionReport()
        inserted, unchanged, gone, new = 0, 0, [], []
        with writing(self._engine) as connection:
            query = select(table).where(
                table.c.superseded_at.is_(None), table.c.source.in_(statements["source"].unique().to_list())
            )
            standing = {(row["source"], row["action_id"]): row for row in connection.execute(query).mappings()}
            for row in statements.select(*STATEMENTS).iter_rows(named=True):
                before = standing.get((row["source"], row["action_id"]))
                if before is not None and all(before[name] == row[name] for name in _VALUES):
                    unchanged += 1
                    continue
                if before is None:
                    inserted += 1
                else:
                    gone.append({"gone": before["statement_id"]})
                new.append({**row, "known_at": now, "superseded_at": None})
            if gone:
                # The old statement must be out of the way before its successor stands.
                closing = update(table).where(table.c.statement_id == bindparam("gone")).values(superseded_at=now)
                connection.execute(closing, gone)
            if new:
                connection.execute(insert(table), new)
        return ActionReport(inserted, unchanged, len(gone))

    def statements(self, symbols: Sequence[str] | None = None, *, as_of: dt.datetime | None = None) -> pl.DataFrame:
        """All statements, also superseded ones; columns of `ACTIONS`, by symbol, ex_date, kind, source.

        Parameters
        ----------
        symbols
            None takes all.
        as_of
            As they stood at that instant: none that came later, and `superseded_at` null where it lay ahead.
        """
        table = tables.corporate_actions
        query = select(*(table.c[name] for name in ACTIONS)).order_by(
            table.c.symbol, table.c.ex_date, table.c.kind, table.c.source, table.c.statement_id
        )
        if symbols is not None:
            query = query.where(table.c.symbol.in_(list(symbols)))
        if as_of is not None:
            query = query.where(table.c.known_at <= as_of)
        with reading(self._engine) as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        frame = pl.DataFrame(rows, schema=ACTIONS, orient="row")
        if as_of is None:
            return frame
        stood = pl.when(pl.col("superseded_at") <= as_of).then(pl.col("superseded_at"))
        return frame.with_columns(stood.alias("superseded_at"))

    def closes(self, feed: str | None = None, symbol: str | None = None) -> pl.DataFrame:
        """Regular closes kept of sessions as they are held now: feed, symbol, session, close."""
        kept, held = tables.reference_closes, tables.held_sessions
        same = (
            (kept.c.feed == held.c.feed)
            & (kept.c.symbol == held.c.symbol)
            & (kept.c.session == held.c.session)
            & (kept.c.content_hash == held.c.content_hash)
        )
        query = select(kept.c.feed, kept.c.symbol, kept.c.session, kept.c.close).join(held, same)
        if feed is not None:
            query = query.where(kept.c.feed == feed)
        if symbol is not None:
            query = query.where(kept.c.symbol == symbol)
        schema = {"feed": pl.String(), "symbol": pl.String(), "session": pl.Date(), "close": pl.Float64()}
        with reading(self._engine) as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        return pl.DataFrame(rows, schema=schema, orient="row")

    def put_closes(self, closes: Iterable[dict[str, Any]]) -> None:
        """Keep closes: dicts of feed, symbol, session, close and the content_hash of the session they are from."""
        rows = list(closes)
        if not rows:
            return
        table = tables.reference_closes
        keys = ("feed", "symbol", "session")
        outdated = delete(table)
        for name in keys:
            outdated = outdated.where(table.c[name] == bindparam(f"{name}_key"))
        with writing(self._engine) as connection:
            connection.execute(outdated, [{f"{name}_key": row[name] for name in keys} for row in rows])
            connection.execute(insert(table), rows)
