"""The definitions of strategies that were ever run, by their hash, and the proofs that they do not look ahead.

A definition is what decides a strategy's signals: class, parameters, code. It never changes, because it is
named by what it says; the code's text is kept beside it, so that an old run can be read again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Engine, select

from barlake import tables
from barlake.artifacts import canonical_json
from barlake.database import reading, upsert, writing
from barlake.errors import InvalidInputError, NotFoundError
from barlake.records import utc_now

__all__ = ["STRATEGIES", "StrategyRecord", "StrategyRecords", "strategy_id"]

_STAMP = pl.Datetime("us", "UTC")
STRATEGIES: dict[str, pl.DataType] = {
    "strategy_id": pl.String(), "class": pl.String(), "parameters": pl.String(), "code": pl.String(),
    "first_seen_at": _STAMP, "proven_at": _STAMP,
}  # fmt: skip
"""Columns of the records as a frame; `parameters` is JSON text."""

_ID_LENGTH = 16


def strategy_id(definition: Mapping[str, Any]) -> str:
    """Sixteen hex digits that name a definition.

    Examples
    --------
    >>> one = strategy_id({"class": "house:Cross", "parameters": {"fast_bars": 5, "slow_bars": 9}, "code": "ab"})
    >>> one == strategy_id({"code": "ab", "parameters": {"slow_bars": 9, "fast_bars": 5}, "class": "house:Cross"})
    True
    """
    return hashlib.sha256(canonical_json(definition).encode()).hexdigest()[:_ID_LENGTH]


@dataclass(frozen=True)
class StrategyRecord:
    """One definition.

    Parameters
    ----------
    definition
        `class`, `parameters` and `code`, a SHA-256 over the texts in `source`.
    source
        Name of each module that counts -> its text.
    first_seen_at
        When it was first put here.
    proven_at, proof
        When it was proven that it does not look ahead, and how; None: not yet.
    """

    strategy_id: str
    definition: dict[str, Any]
    source: dict[str, str]
    first_seen_at: dt.datetime
    proven_at: dt.datetime | None
    proof: dict[str, Any] | None


class StrategyRecords:
    """The strategies of one lake, in its manifest."""

    def __init__(self, engine: Engine, *, now: Callable[[], dt.datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def put(self, definition: Mapping[str, Any], source: Mapping[str, str]) -> str:
        """Keep a definition, if it is not here yet; returns its id.

        Parameters
        ----------
        definition
            `class`, `parameters` and `code`, as JSON can hold them.
        source
            Text of each module that `code` is the hash of.
        """
        name = strategy_id(definition)
        row = {
            "strategy_id": name,
            "class": definition["class"],
            "parameters": canonical_json(definition["parameters"]),
            "code": definition["code"],
            "source": canonical_json(source),
            "first_seen_at": self._now(),
        }
        self._add(tables.strategies, row)
        return name

    def put_proof(self, strategy_id: str, proof: Mapping[str, Any]) -> None:
        """Keep the report of a proof that found nothing; the first one stands."""
        self._add(
            tables.strategy_proofs,
            {"strategy_id": strategy_id, "proven_at": self._now(), "proof": canonical_json(proof)},
        )

    def is_proven(self, strategy_id: str) -> bool:
        """Whether a proof of that definition is kept."""
        table = tables.strategy_proofs
        with reading(self._engine) as connection:
            query = select(table.c.strategy_id).where(table.c.strategy_id == strategy_id)
            return connection.execute(query).first() is not None

    def find(self, strategy_id: str) -> StrategyRecord:
        """The definition of that id, or the only one whose id begins so.

        Raises
        ------
        NotFoundError
            If there is none.
        InvalidInputError
            If there are several.
        """
        table = tables.strategies
        query = _with_proofs(table, tables.strategy_proofs.c.proof).where(
            table.c.strategy_id.startswith(strategy_id, autoescape=True)
        )
        with reading(self._engine) as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        if not rows:
            raise NotFoundError(f"strategy {strategy_id!r} is not on record: see `barlake strategies list`.")
        if len(rows) > 1:
            raise InvalidInputError(f"strategy {strategy_id!r} means {len(rows)} of them: give more digits.")
        [row] = rows
        definition = {"class": row["class"], "parameters": json.loads(row["parameters"]), "code": row["code"]}
        proof = None if row["proof"] is None else json.loads(row["proof"])
        return StrategyRecord(
            row["strategy_id"], definition, json.loads(row["source"]), row["first_seen_at"], row["proven_at"], proof
        )

    def frame(self) -> pl.DataFrame:
        """One row per definition, oldest first; columns of `STRATEGIES`."""
        table = tables.strategies
        query = _with_proofs(table).order_by(table.c.first_seen_at, table.c.strategy_id)
        with reading(self._engine) as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return pl.DataFrame([{name: row[name] for name in STRATEGIES} for row in rows], schema=STRATEGIES)

    def _add(self, table: Any, row: Mapping[str, Any]) -> None:
        with writing(self._engine) as connection:
            connection.execute(upsert(connection, table).on_conflict_do_nothing(), row)


def _with_proofs(table: Any, *more: Any) -> Any:
    proofs = tables.strategy_proofs
    return select(table, proofs.c.proven_at, *more).join(
        proofs, proofs.c.strategy_id == table.c.strategy_id, isouter=True
    )
