"""The manifest's list of finished artifacts: which folders count, each with the text of its manifest."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from sqlalchemy import Engine, delete, func, select

from barlake import tables
from barlake.database import reading, upsert, writing

__all__ = ["ArtifactRecords", "ArtifactRegister"]


class ArtifactRegister(Protocol):
    """What a store of artifacts needs of whatever remembers them."""

    def put(self, kind: str, artifact_id: str, created_at: dt.datetime, manifest: str) -> None:
        """Register a finished artifact folder with the text of its manifest, in place of an earlier one."""

    def of_kind(self, kind: str) -> list[tuple[str, str]]:
        """Id and manifest text of every registered artifact of a kind, oldest first."""

    def counts(self) -> dict[str, int]:
        """How many artifacts of each kind are registered; kinds without any are left out."""

    def remove(self, kind: str, artifact_id: str) -> None:
        """Let an artifact not count any more."""


class ArtifactRecords:
    """The register of a lake, in its manifest database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, kind: str, artifact_id: str, created_at: dt.datetime, manifest: str) -> None:
        """Register a finished artifact folder with the text of its manifest, in place of an earlier one."""
        row = {"kind": kind, "artifact_id": artifact_id, "created_at": created_at, "manifest": manifest}
        with writing(self._engine) as connection:
            statement = upsert(connection, tables.artifacts)
            statement = statement.on_conflict_do_update(
                index_elements=["kind", "artifact_id"],
                set_={name: statement.excluded[name] for name in ("created_at", "manifest")},
            )
            connection.execute(statement, row)

    def of_kind(self, kind: str) -> list[tuple[str, str]]:
        """Id and manifest text of every registered artifact of a kind, oldest first."""
        table = tables.artifacts
        query = select(table.c.artifact_id, table.c.manifest).where(table.c.kind == kind)
        with reading(self._engine) as connection:
            return [
                (row.artifact_id, row.manifest)
                for row in connection.execute(query.order_by(table.c.created_at, table.c.artifact_id))
            ]

    def counts(self) -> dict[str, int]:
        """How many artifacts of each kind are registered; kinds without any are left out."""
        table = tables.artifacts
        query = select(table.c.kind, func.count().label("number")).group_by(table.c.kind)
        with reading(self._engine) as connection:
            return {row.kind: row.number for row in connection.execute(query)}

    def remove(self, kind: str, artifact_id: str) -> None:
        """Let an artifact not count any more; its folder is another matter."""
        table = tables.artifacts
        with writing(self._engine) as connection:
            connection.execute(delete(table).where(table.c.kind == kind, table.c.artifact_id == artifact_id))
