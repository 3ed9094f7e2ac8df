"""What the published catalogue shows of a lake: its files, small tables and feature views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from barlake.artifacts import Artifact, canonical_json
from barlake.coverage import coverage
from barlake.keys import ArtifactKind
from barlake.publish import Catalogue

if TYPE_CHECKING:
    from barlake.lake import Lake

__all__ = ["gather"]


def gather(lake: Lake) -> Catalogue:
    """Everything to publish, read from the manifest now."""
    manifest = lake.manifest
    held = manifest.held()
    tables = {
        "sessions": lake.calendar.frame,
        "symbols": manifest.symbols(),
        "coverage": coverage(held, manifest.answers(), lake.calendar.frame),
        "receipts": manifest.receipts(),
        "quarantine": manifest.quarantine(),
        "feature_versions": lake.feature_tables.versions(),
        "models": _artifact_table(lake.artifacts.list(ArtifactKind.MODEL)),
        "runs": _artifact_table(lake.artifacts.list(ArtifactKind.RUN)),
    }
    return Catalogue(
        root=lake.root,
        bars=[lake.root / file.path for file in manifest.files()],
        tables=tables,
        views=lake.feature_tables.views(),
    )


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
