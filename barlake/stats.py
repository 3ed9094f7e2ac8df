"""How much the lake holds in how many files, what it costs per bar, and where reading is slowest."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from barlake import layout
from barlake.manifest import Manifest
from barlake.stores import Store

__all__ = ["LakeStats", "lake_stats"]


@dataclass(frozen=True)
class LakeStats:
    """Figures of a lake.

    Parameters
    ----------
    bars, revisions
        Rows.
    records
        Versions of daily bars, articles and macro values.
    bytes
        Of the files that count.
    dead_files, dead_bytes
        Files that count no more, or never did, and wait for the vacuum.
    symbols
        One row per feed and symbol, those with most files first: feed, symbol, sessions, bars, files, bytes,
        bytes_per_bar, sessions_per_file. Many files for few sessions are what makes reading slow.
    """

    files: int
    bytes: int
    bars: int
    revisions: int
    records: int
    bytes_per_bar: float | None
    dead_files: int
    dead_bytes: int
    symbols: pl.DataFrame


def lake_stats(store: Store, manifest: Manifest) -> LakeStats:
    """Figures from the manifest, and the sizes of stored files that it does not count."""
    bars = manifest.files(dataset=layout.BARS)
    old = manifest.files(dataset=layout.REVISIONS)
    schema = {"feed": pl.String(), "symbol": pl.String(), "bars": pl.Int64(), "bytes": pl.Int64()}
    frame = pl.DataFrame(
        [(file.key.feed, file.key.symbol, file.rows, file.bytes) for file in bars], schema=schema, orient="row"
    )
    keys = ["feed", "symbol"]
    sums = frame.group_by(keys).agg(pl.len().cast(pl.Int64).alias("files"), pl.col("bytes").sum())
    held = manifest.symbols().select(*keys, "sessions", "bars")
    symbols = (
        held.join(sums, on=keys, how="left")
        .with_columns(
            (pl.col("bytes") / pl.col("bars")).alias("bytes_per_bar"),
            (pl.col("sessions") / pl.col("files")).alias("sessions_per_file"),
        )
        .select(*keys, "sessions", "bars", "files", "bytes", "bytes_per_bar", "sessions_per_file")
        .sort("files", *keys, descending=[True, False, False])
    )
    records = [file for data in layout.RECORD_DATASETS for file in manifest.files(dataset=data)]
    dead = _dead(store, manifest)
    rows = sum(file.rows for file in bars)
    return LakeStats(
        files=len(bars) + len(old) + len(records),
        bytes=sum(file.bytes for file in (*bars, *old, *records)),
        bars=rows,
        records=sum(file.rows for file in records),
        revisions=sum(file.rows for file in old),
        bytes_per_bar=sum(file.bytes for file in bars) / rows if rows else None,
        dead_files=len(dead),
        dead_bytes=sum(dead),
        symbols=symbols,
    )


def _dead(store: Store, manifest: Manifest) -> list[int]:
    """Sizes of files below `parquet` that do not count."""
    present = list(store.files())
    # The store first, the manifest after: what a writer commits in between counts by then.
    counting = {file.path for data in layout.DATASETS for file in manifest.files(dataset=data)}
    return [file.bytes for file in present if file.path not in counting]
