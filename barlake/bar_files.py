"""One file of rows together with the record the manifest keeps of it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from barlake import layout
from barlake.errors import FormatError
from barlake.keys import PartitionKey
from barlake.partitions import as_table, to_parquet
from barlake.records import FileRecord
from barlake.stores import Store
from barlake.strict_files import metadata_of, open_strictly

__all__ = ["taken_over", "write_bar_file"]


def write_bar_file(
    store: Store,
    dataset: str,
    key: PartitionKey,
    rows: pl.DataFrame | pa.Table,
    *,
    commit_id: str,
    replaces: Sequence[str],
    sources: str = "",
) -> FileRecord:
    """Write the rows of one partition into a new file named after its commit; it does not count yet.

    The file's own metadata says what the manifest will: which partition, which commit, which files it takes the
    place of, and `sources`: who delivered its rows (`bar_sources.who_delivered`).

    Raises
    ------
    StorageError
        If the store is full or refuses; nothing remains.
    """
    path = str(layout.partition_path(dataset, key) / f"{commit_id}.parquet")
    metadata = {
        "barlake.dataset": dataset,
        "barlake.feed": key.feed,
        "barlake.symbol": key.symbol,
        "barlake.period": key.period.label,
        "barlake.commit": commit_id,
        "barlake.replaces": "\n".join(replaces),
    }
    if sources:
        metadata["barlake.sources"] = sources
    table = rows if isinstance(rows, pa.Table) else as_table(rows, dataset, key.feed)
    data = to_parquet(table, metadata=metadata)
    store.put(path, data)
    stamps = pl.Series(table["timestamp" if dataset in layout.BAR_DATASETS else "known_at"])
    first, last = stamps.min(), stamps.max()  # Arrow's own instants would import pandas
    assert isinstance(first, dt.datetime)  # noqa: S101 - narrows polars' Any
    assert isinstance(last, dt.datetime)  # noqa: S101 - the same
    return FileRecord(path, dataset, key, table.num_rows, data.size, first, last)


def taken_over(store: Store, paths: Sequence[str]) -> list[str]:
    """Paths that a file in the place of these must name: they themselves, and what they replaced and is still there.

    A session whose last bar was removed lies in no bar file. Only the old values say what they took the place of,
    and a rebuild counts that again when nobody says so any more.
    """
    named = set(paths)
    for path in paths:
        with contextlib.suppress(FormatError, OSError), open_strictly(store.read(path)) as source:
            named.update(metadata_of(source).get("barlake.replaces", "").splitlines())
    return [*paths, *sorted(path for path in named.difference(paths) if store.exists(path))]
