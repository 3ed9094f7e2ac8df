"""Rows as the bytes of an answer: JSON, CSV, an Arrow IPC stream or a Parquet file, frame after frame.

Every form holds the same columns and rows. One frame is in memory at a time, beside the bytes made of it.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from barlake.partitions import as_arrow

__all__ = ["SUFFIXES", "Media", "encode"]

Frames = Iterator[pl.DataFrame]
"""One frame at least, all of the same columns: an empty one where there are no rows."""


class Media(StrEnum):
    """Forms of an answer by their media types; the first is what is sent to those who take anything."""

    JSON = "application/json"
    CSV = "text/csv"
    ARROW = "application/vnd.apache.arrow.stream"
    PARQUET = "application/vnd.apache.parquet"

    @property
    def is_text(self) -> bool:
        """Whether gzip is worth its time."""
        return self in {Media.JSON, Media.CSV}


SUFFIXES = {Media.JSON: "json", Media.CSV: "csv", Media.ARROW: "arrows", Media.PARQUET: "parquet"}
"""How a file of each form is named; `.arrows` is the registered one of a stream."""


def encode(frames: Frames, media: Media, facts: Mapping[str, Any]) -> Iterator[bytes]:
    """Chunks of the whole answer.

    Parameters
    ----------
    facts
        What JSON says beside the rows; the other forms hold rows alone.

    Notes
    -----
    Instants are ISO 8601 with their offset in JSON and CSV; a number that is none (NaN) is null, or empty.
    """
    if media is Media.JSON:
        return _json(frames, facts)
    encoders: dict[Media, Callable[[Frames], Iterator[bytes]]] = {
        Media.CSV: _csv,
        Media.ARROW: _arrow,
        Media.PARQUET: _parquet,
    }
    return encoders[media](frames)


def _json(frames: Frames, facts: Mapping[str, Any]) -> Iterator[bytes]:
    """`{<facts>, "items": [...]}`; an array of rows per frame, joined into one."""
    said = json.dumps(dict(facts), default=_as_text, allow_nan=False)[:-1]
    before = f'{said}{", " if facts else ""}"items": ['.encode()
    for frame in frames:
        if frame.height:
            rows = io.BytesIO()
            frame.write_json(rows)
            yield b"".join((before, rows.getbuffer()[1:-1]))
            before = b","
    yield b"]}" if before == b"," else before + b"]}"


def _as_text(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _csv(frames: Frames) -> Iterator[bytes]:
    header = True
    for frame in frames:
        yield _plain(frame).write_csv(include_header=header).encode()
        header = False


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Instants and spans as ISO text, numbers that are none as nulls, lists and records as JSON."""
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
            frame = frame.with_columns(column.dt.to_string("%Y-%m-%dT%H:%M:%S%.f%:z"))
        elif isinstance(kind, pl.Duration):
            frame = frame.with_columns(column.dt.to_string("iso"))
        elif kind.is_float():
            frame = frame.with_columns(pl.when(column.is_finite()).then(column).alias(name))
        elif kind.is_nested():
            texts = [None if value is None else json.dumps(value, default=_as_text) for value in frame[name].to_list()]
            frame = frame.with_columns(pl.Series(name, texts, dtype=pl.String()))
    return frame


class _Sink:
    """A file to write to whose bytes are taken out as they come."""

    def __init__(self) -> None:
        self.closed = False
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        """What was written since this was last asked."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""Continuation and a length of none: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format."""


def _arrow(frames: Frames) -> Iterator[bytes]:
    first = as_arrow(next(frames))
    yield first.schema.serialize().to_pybytes()
    for table in itertools.chain([first], (_fitted(as_arrow(frame), first.schema) for frame in frames)):
        messages = [batch.serialize() for batch in table.combine_chunks().to_batches()]
        if messages:
            yield b"".join(messages)
    yield _END_OF_STREAM


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table in the columns of the first one; to cast what fits already would copy it."""
    return table if table.schema.equals(schema) else table.cast(schema)


def _parquet(frames: Frames) -> Iterator[bytes]:
    sink = _Sink()
    first = as_arrow(next(frames))
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), first.schema, compression="zstd") as writer:
        writer.write_table(first)
        yield sink.taken()
        for frame in frames:
            writer.write_table(_fitted(as_arrow(frame), first.schema))
            yield sink.taken()
    yield sink.taken()
