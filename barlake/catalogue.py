"""What the published catalogue shows of a lake: its files, small tables and feature views."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Any

import polars as pl

from barlake.actions import counting
from barlake.adjust import factor_buckets
from barlake.artifacts import Artifact, canonical_json
from barlake.coverage import coverage, gaps_of_lives
from barlake.errors import FormatError, StorageError
from barlake.factors import current_factors
from barlake.inspection import current_findings
from barlake.keys import ArtifactKind
from barlake.layout import RECORD_DATASETS, REVISIONS
from barlake.publish import Catalogue, publish, published

if TYPE_CHECKING:
    from barlake.lake import Lake

__all__ = ["action_table", "is_current", "publish_lake", "refresh"]

_ROUNDS = 20
_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


def publish_lake(lake: Lake) -> None:
    """Bring the catalogue of a lake up to its manifest.

    The files that the old catalogue names and the new one does not are kept for a whole grace from here on,
    however long ago they were replaced: somebody may have opened the old one a moment ago.
    """

    def contents() -> Catalogue:
        catalogue = _gather(lake)
        if lake.catalogue_path.exists():
            lake.manifest.retire_files(after=_shown(lake) or _NEVER, now=lake.now())
        return catalogue

    publish(lake.catalogue_path, contents)


def is_current(lake: Lake) -> bool:
    """Whether the catalogue is there, is of this lake, and shows its newest commit."""
    found = published(lake.catalogue_path)
    return found is not None and (found.root, found.last_commit) == (lake.store.name, lake.manifest.last_commit_at())


def refresh(lake: Lake) -> dt.datetime | None:
    """Publish a catalogue that is behind its lake again, if that is possible; the newest commit it shows then.

    Returns
    -------
    None when there is no catalogue that anybody could have opened.
    """
    if not lake.catalogue_path.exists():
        return None
    if _shown(lake) != lake.manifest.last_commit_at():
        with contextlib.suppress(StorageError):  # a full disk
            publish_lake(lake)
    return _shown(lake) or _NEVER


def _shown(lake: Lake) -> dt.datetime | None:
    """The newest commit that the catalogue shows; a damaged catalogue shows nothing."""
    with contextlib.suppress(FormatError):
        found = published(lake.catalogue_path)
        return None if found is None else found.last_commit
    return None


def _gather(lake: Lake) -> Catalogue:
    """Everything to publish, read from the manifest between two commits."""
    for _ in range(_ROUNDS):
        last_commit = lake.manifest.last_commit_at()
        found = _read(lake, last_commit)
        if lake.manifest.last_commit_at() == last_commit:
            break
    return found


def _read(lake: Lake, last_commit: dt.datetime | None) -> Catalogue:
    manifest = lake.manifest
    held, answers = manifest.held(), manifest.answers()
    factors = current_factors(lake.store, manifest, lake.calendar.frame, held=held, keep=True)
    tables = {
        "sessions": lake.calendar.frame,
        "symbols": lake.symbols(),
        "coverage": coverage(held, answers, lake.calendar),
        "gaps": gaps_of_lives(held, answers, lake.calendar, now=lake.now()),
        "quality": current_findings(manifest),
        "corporate_actions": action_table(manifest.actions.statements()),
        "adjustment_factors": factors,
        "adjustment_buckets": factor_buckets(factors),
        "commits": manifest.commits(),
        "receipts": manifest.receipts(),
        "quarantine": manifest.quarantine(),
        "feature_versions": lake.feature_tables.versions(),
        "models": _artifact_table(lake.artifacts.list(ArtifactKind.MODEL)),
        "runs": _artifact_table(lake.artifacts.list(ArtifactKind.RUN)),
    }
    return Catalogue(
        root=lake.store.name,
        last_commit=last_commit,
        bars=[lake.store.address(file.path) for file in manifest.files()],
        revisions=[lake.store.address(file.path) for file in manifest.files(dataset=REVISIONS)],
        records={
            name: [lake.store.address(file.path) for file in manifest.files(dataset=name)] for name in RECORD_DATASETS
        },
        tables=tables,
        views=lake.feature_tables.views(),
        filesystem=lake.store.filesystem(),
    )


def action_table(statements: pl.DataFrame) -> pl.DataFrame:
    """The same statements with `counts`: whether the statement is the one that is believed."""
    believed = counting(statements).select("source", "action_id", "known_at", pl.lit(value=True).alias("counts"))
    marked = statements.join(believed, on=["source", "action_id", "known_at"], how="left", maintain_order="left")
    counts = pl.col("counts").fill_null(value=False) & pl.col("superseded_at").is_null()
    return marked.with_columns(counts)


def _artifact_table(artifacts: list[Artifact]) -> pl.DataFrame:
    """id, created_at, and as JSON text what it was made from and what came out."""
    rows: list[tuple[Any, ...]] = [
        (
            one.id,
            one.created_at,
            canonical_json(one.parameters),
            canonical_json(one.inputs),
            canonical_json(one.results),
        )
        for one in artifacts
    ]
    schema = {
        "id": pl.String(), "created_at": pl.Datetime("us", "UTC"),
        "parameters": pl.String(), "inputs": pl.String(), "results": pl.String(),
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")
