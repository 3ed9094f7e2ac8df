"""A lake beside a lake: it reads the bars of another one, now or as they were, and keeps what is made elsewhere.

What makes an artifact need not know that it is made again: it gets a lake, finds none of that kind in it, and
works. The other lake's folder and register stay as they are.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from barlake.artifacts import Artifact, ArtifactStore
from barlake.feature_tables import FeatureTables
from barlake.keys import ArtifactKind, FeatureSetKey
from barlake.lake import Lake
from barlake.record_kinds import RecordKind
from barlake.record_store import RecordStore
from barlake.strategy_records import StrategyRecords, strategy_id

__all__ = ["OneVersion", "ScratchLake", "moment_of"]


class ScratchLake(Lake):
    """A lake that writes features and artifacts into a folder of its own.

    Parameters
    ----------
    lake
        Where bars, and artifacts of other kinds, are read. It must stay open.
    folder
        Where what is made lies; whoever made the folder removes it.
    fresh
        The kind of artifact of which this lake has none yet.
    moment
        An instant: bars are read as the lake held them then. None means now.
    tables
        Feature tables to read. None gives an empty place in the folder.
    """

    def __init__(
        self,
        lake: Lake,
        folder: Path,
        *,
        fresh: ArtifactKind,
        moment: dt.datetime | None = None,
        tables: FeatureTables | None = None,
    ) -> None:
        # Everything of the other lake, its open manifest too; what this one keeps for itself follows.
        self.__dict__.update(vars(lake))
        self.settings = lake.settings.model_copy(update={"dest_parquet_dir": None, "dest_duckdb_path": None})
        self.artifacts = _ScratchArtifacts(folder, lake.artifacts, fresh)
        self.feature_tables = tables or FeatureTables(folder / ArtifactKind.FEATURES.value)
        self.strategies = _StrategiesAsTheyAre(lake.manifest.engine, now=lake.now)
        self.moment = moment

    def close(self) -> None:
        """Leave the manifest open: it is the other lake's."""

    def publish(self) -> None:
        """Leave the other lake's catalogue as it is: it does not show what is made here."""

    def publish_made(self) -> None:
        """Leave it as it is, too."""

    @property
    def records(self) -> RecordStore:
        """Daily bars, news and macro values, as they were at the moment of this lake."""
        held = super().records
        return held if self.moment is None else _RecordsThen(held, self.moment)

    def bars(self, *symbols_and_range: Any, **options: Any) -> Any:
        """Bars as in `Lake.bars`, as they were at the moment of this lake."""
        return super().bars(*symbols_and_range, **{**options, "as_of": options.get("as_of") or self.moment})

    def snapshot(self, *symbols_and_range: Any, **options: Any) -> Any:
        """Snapshot as in `Lake.snapshot`, as it was at the moment of this lake."""
        return super().snapshot(*symbols_and_range, **{**options, "as_of": options.get("as_of") or self.moment})


def moment_of(lake: Lake) -> dt.datetime | None:
    """The instant whose bars a lake shows; None: those of now."""
    return lake.moment if isinstance(lake, ScratchLake) else None


class _StrategiesAsTheyAre(StrategyRecords):
    """The strategies of another lake, to which nothing is added."""

    def put(self, definition: Mapping[str, Any], source: Mapping[str, str]) -> str:
        """The id that the definition has."""
        del source
        return strategy_id(definition)

    def put_proof(self, strategy_id: str, proof: Mapping[str, Any]) -> None:
        """Keep nothing."""


class _RecordsThen(RecordStore):
    """Records of another store, read as they were at an instant unless another one is named."""

    def __init__(self, held: RecordStore, moment: dt.datetime) -> None:
        self.__dict__.update(vars(held))
        self._then = moment

    def read(self, kind: RecordKind, **options: Any) -> pl.DataFrame:
        """Versions as in `RecordStore.read`."""
        return super().read(kind, **{**options, "as_of": options.get("as_of") or self._then})


class OneVersion(FeatureTables):
    """Feature tables of which only one version is seen: the newest is then that one."""

    def __init__(self, root: Path, key: FeatureSetKey) -> None:
        super().__init__(root)
        self._key = key

    def versions(self, name: str | None = None) -> Any:
        """Rows as in `FeatureTables.versions`, of this version."""
        return super().versions(name).filter(name=self._key.name, version=self._key.version)


class _ScratchArtifacts(ArtifactStore):
    """Artifacts of one kind in a folder, those of the others where they are."""

    def __init__(self, folder: Path, others: ArtifactStore, fresh: ArtifactKind) -> None:
        super().__init__(folder, _Register())
        self._others, self._fresh = others, fresh

    def list(self, kind: ArtifactKind) -> list[Artifact]:
        """Every artifact of a kind, oldest first."""
        return super().list(kind) if kind is self._fresh else self._others.list(kind)


class _Register:
    """Remembers as long as the process lives."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], str] = {}

    def put(self, kind: str, artifact_id: str, created_at: dt.datetime, manifest: str) -> None:
        del created_at  # the order of making is the order of rows
        self._held[kind, artifact_id] = manifest

    def of_kind(self, kind: str) -> list[tuple[str, str]]:
        return [(artifact_id, text) for (own, artifact_id), text in self._held.items() if own == kind]

    def counts(self) -> dict[str, int]:
        return dict(Counter(kind for kind, _ in self._held))

    def remove(self, kind: str, artifact_id: str) -> None:
        self._held.pop((kind, artifact_id), None)
