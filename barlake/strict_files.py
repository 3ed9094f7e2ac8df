"""Read a file of bars as one that may be damaged: page checksums are compared, and what is readable comes out.

Everyday readers trust the manifest and are quicker; here every byte of values is looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import PurePosixPath

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from barlake import layout
from barlake.errors import FormatError, InvalidInputError
from barlake.keys import PartitionKey
from barlake.partitions import schema_of
from barlake.records import FileRecord
from barlake.schemas import BAR_VALUES

__all__ = ["difference", "key_of_path", "metadata_of", "open_strictly", "readable_rows", "whole_rows"]


@contextlib.contextmanager
def open_strictly(data: pa.Buffer, *, checksums: bool = True) -> Iterator[pq.ParquetFile]:
    """The bytes of a Parquet file whose footer can be read; its pages are checked when they are.

    Raises
    ------
    FormatError
        If the footer, or within the block a page, cannot be read.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=checksums, pre_buffer=False) as source:
            yield source
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FormatError(str(error).splitlines()[0][:200] if str(error) else type(error).__name__) from error


def metadata_of(source: pq.ParquetFile) -> dict[str, str]:
    """What `write_bar_file` noted in the footer."""
    found: dict[bytes, bytes] = source.schema_arrow.metadata or {}
    return {key.decode(): text.decode() for key, text in found.items() if key.startswith(b"barlake.")}


def difference(metadata: dict[str, str], file: FileRecord) -> str | None:
    """In what a file's own metadata is not that of the file on record, in words, or None."""
    wanted = {
        "barlake.dataset": file.dataset,
        "barlake.feed": file.key.feed,
        "barlake.symbol": file.key.symbol,
        "barlake.period": file.key.period.label,
        "barlake.commit": PurePosixPath(file.path).stem,
    }
    differing = [f"{name} is {metadata.get(name)!r}" for name, value in wanted.items() if metadata.get(name) != value]
    return f"it is another file: {', '.join(differing)}" if differing else None


def whole_rows(source: pq.ParquetFile, dataset: str, feed: str) -> pl.DataFrame:
    """All rows, in the columns and types of their dataset and feed.

    Raises
    ------
    FormatError
        If a column is missing or has another type, or the footer's bounds of a column are not those of its
        values: readers skip rows by these bounds.
    """
    parts = []
    for group in range(source.num_row_groups):
        part = source.read_row_group(group, use_threads=False)
        _refuse_wrong_bounds(source.metadata.row_group(group), part)
        parts.append(part)
    empty = pa.Table.from_batches([], source.schema_arrow)
    return _rows(pa.concat_tables([empty, *parts]), schema_of(dataset, feed))


def _refuse_wrong_bounds(facts: pq.RowGroupMetaData, rows: pa.Table) -> None:
    for place in range(facts.num_columns):
        bounds = facts.column(place).statistics
        if bounds is not None and bounds.has_min_max:
            name = facts.column(place).path_in_schema
            real = pc.min_max(rows.column(name)).as_py()
            if (real["min"], real["max"]) != (bounds.min, bounds.max):
                raise FormatError(f"the footer's bounds of {name} are not those of its values")


def readable_rows(data: pa.Buffer, dataset: str, feed: str) -> pl.DataFrame:
    """The rows of every row group that can be read; none where the footer cannot.

    Values of bars may be wrong where a page is damaged and can still be unpacked: they are proven by the hash
    of their session. What no hash covers comes from sound pages only.
    """
    schema = schema_of(dataset, feed)
    hashed = ["timestamp", *BAR_VALUES] if dataset == layout.BARS else []
    parts = [_rows(pa.Table.from_batches([], schema), schema)]
    with contextlib.suppress(FormatError), open_strictly(data) as source:
        for group in range(source.num_row_groups):
            with contextlib.suppress(FormatError):
                columns = [name for name in schema.names if name not in hashed]
                table = _group(data, group, columns, checksums=True)
                for name in hashed:
                    table = table.append_column(name, _group(data, group, [name], checksums=False).column(0))
                parts.append(_rows(table, schema))
    return pl.concat(parts)


def _group(data: pa.Buffer, group: int, columns: list[str], *, checksums: bool) -> pa.Table:
    with open_strictly(data, checksums=checksums) as source:
        return source.read_row_group(group, columns=columns, use_threads=False)


def _rows(table: pa.Table, schema: pa.Schema) -> pl.DataFrame:
    for field in schema:
        place = table.schema.get_field_index(field.name)
        if place < 0 or table.schema.field(place).type != field.type:
            raise FormatError(f"column {field.name} is missing, or not {field.type}")
        if not field.nullable and table.column(place).null_count:
            raise FormatError(f"column {field.name} has nulls")
    frame = pl.from_arrow(table.select(schema.names))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - narrows polars' union type
    return frame


def key_of_path(path: str) -> tuple[str, PartitionKey] | None:
    """Dataset and partition that a path below the lake's root spells, or None when it spells none."""
    try:
        return layout.parse_partition_path(PurePosixPath(path).parent)
    except InvalidInputError:
        return None
