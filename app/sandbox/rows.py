"""Rows of a query as they leave its process: of types that every reader knows, and no more of them than asked for."""

from __future__ import annotations

import re

import duckdb
import pyarrow as pa

__all__ = ["packed", "shaped", "within"]

_BATCH_ROWS = 2048
_WHOLE = r"U?(TINYINT|SMALLINT|INTEGER|BIGINT)"
_PLAIN = re.compile(rf"BOOLEAN|{_WHOLE}|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|TIMESTAMP_NS")
_LIST = re.compile(rf"(BOOLEAN|{_WHOLE}|FLOAT|DOUBLE|VARCHAR)\[\]")
_DATED = re.compile(r"DATE|TIMESTAMP(_S|_MS)?|TIMESTAMP WITH TIME ZONE")


def shaped(found: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The same rows with column names that differ, in types that JSON, CSV, Parquet and Excel can hold.

    Whole numbers of 128 bits, as sums have, become 64 bits wide, or the query fails; so it does at a date beyond the
    years 1 to 9999. What else is not a plain value or a list of such becomes text.
    """
    names = _differing(found.columns)
    columns = zip(names, map(str, found.types), strict=True)
    return found.project(
        ", ".join(f"{_value(place, kind)} AS {_quoted(name)}" for place, (name, kind) in enumerate(columns, 1))
    )


def _value(place: int, kind: str) -> str:
    if _PLAIN.fullmatch(kind) or _LIST.fullmatch(kind):
        return f"#{place}"
    if kind == "HUGEINT":
        return f"#{place}::BIGINT"
    if _DATED.fullmatch(kind):
        said = "error('a date is outside the years 1 to 9999: cast it to VARCHAR')"
        within_years = f"#{place} >= DATE '0001-01-02' AND #{place} < DATE '9999-12-31'"
        return f"CASE WHEN #{place} IS NULL OR ({within_years}) THEN #{place} ELSE {said} END"
    return f"#{place}::VARCHAR"


def _differing(names: list[str]) -> list[str]:
    """The names, a repeated one with a number behind it; `A` repeats `a`, as in SQL."""
    taken: set[str] = set()
    given = []
    for name in names:
        free, number = name, 0
        while free.lower() in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free.lower())
        given.append(free)
    return given


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def within(found: duckdb.DuckDBPyRelation, *, max_rows: int, max_bytes: int) -> tuple[bytes, bool]:
    """The first rows that fit, as an Arrow IPC stream, and whether there are more."""
    reader = found.limit(max_rows + 1).to_arrow_reader(_BATCH_ROWS)
    kept: list[pa.RecordBatch] = []
    rows, size = 0, 0
    for batch in reader:
        fits = _fitting(batch, max_rows - rows, max_bytes - size)
        kept.append(fits)
        rows, size = rows + fits.num_rows, size + fits.nbytes
        if fits.num_rows < batch.num_rows:
            return packed(reader.schema, kept), True
    return packed(reader.schema, kept), False


def _fitting(batch: pa.RecordBatch, max_rows: int, max_bytes: int) -> pa.RecordBatch:
    """The first rows of a batch that fit; as many as are found by halving, which may be a few less than would."""
    fits = batch.slice(0, max_rows)
    while fits.num_rows and fits.nbytes > max_bytes:
        fits = fits.slice(0, fits.num_rows // 2)
    return fits


def packed(schema: pa.Schema, batches: list[pa.RecordBatch]) -> bytes:
    """An Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())
