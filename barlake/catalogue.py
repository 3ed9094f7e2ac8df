"""What the published catalogue shows of a lake: its files, small tables and feature views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from barlake.actions import counting
from barlake.adjust import factor_buckets
from barlake.artifacts import Artifact, canonical_json
from barlake.coverage import coverage, gaps_of_lives
from barlake.factors import current_factors
from barlake.inspection import current_findings
from barlake.keys import ArtifactKind
from barlake.layout import REVISIONS
from barlake.publish import Catalogue

if TYPE_CHECKING:
    from barlake.lake import Lake

__all__ = ["action_table", "gather"]


def gather(lake: Lake) -> Catalogue:
    """Everything to publish, read from the manifest now."""
    manifest = lake.manifest
    held, answers = manifest.held(), manifest.answers()
    factors = current_factors(lake.root, manifest, lake.calendar.frame, held=held, keep=True)
    tables = {
        "sessions": lake.calendar.frame,
        "symbols": manifest.symbols(),
        "coverage": coverage(held, answers, lake.calendar.frame),
        "gaps": gaps_of_lives(held, answers, lake.calendar.frame, now=lake.now()),
        "quality": current_findings(manifest),
        "corporate_actions": action_table(manifest.actions.statements()),
        "adjustment_factors": factors,
        "adjustment_buckets": factor_buckets(factors),
        "receipts": manifest.receipts(),
        "quarantine": manifest.quarantine(),
        "feature_versions": lake.feature_tables.versions(),
        "models": _artifact_table(lake.artifacts.list(ArtifactKind.MODEL)),
        "runs": _artifact_table(lake.artifacts.list(ArtifactKind.RUN)),
    }
    return Catalogue(
        root=lake.root,
        bars=[lake.root / file.path for file in manifest.files()],
        revisions=[lake.root / file.path for file in manifest.files(dataset=REVISIONS)],
        tables=tables,
        views=lake.feature_tables.views(),
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
