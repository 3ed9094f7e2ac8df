"""One file of bars or revisions together with the record the manifest keeps of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from barlake import layout
from barlake.keys import PartitionKey
from barlake.partitions import write_file
from barlake.records import FileRecord

__all__ = ["write_bar_file"]


def write_bar_file(
    root: Path, dataset: str, key: PartitionKey, rows: pl.DataFrame, *, commit_id: str, replaces: Sequence[str]
) -> FileRecord:
    """Write the rows of one partition into a new file named after its commit; it does not count yet.

    The file's own metadata says what the manifest will: which partition, which commit, and which files it
    takes the place of.

    Raises
    ------
    StorageError
        If the disk is full or refuses; nothing remains.
    """
    folder = layout.partition_path(dataset, key)
    name = f"{commit_id}.parquet"
    metadata = {
        "barlake.dataset": dataset,
        "barlake.feed": key.feed,
        "barlake.symbol": key.symbol,
        "barlake.period": key.period.label,
        "barlake.commit": commit_id,
        "barlake.replaces": "\n".join(replaces),
    }
    path = write_file(root / folder, name, rows, metadata=metadata)
    stamps = rows["timestamp"]
    return FileRecord(str(folder / name), dataset, key, rows.height, path.stat().st_size, stamps[0], stamps[-1])
