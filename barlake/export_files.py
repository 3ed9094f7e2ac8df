"""Bars into one file, of Parquet, CSV or line protocol: whole under its name, or not there."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pyarrow.parquet as pq

from barlake.durable import fsync_folder, storage_errors
from barlake.errors import InvalidInputError
from barlake.exporting import BarExport, OnPiece, tell_nobody
from barlake.line_protocol import lines
from barlake.partitions import as_arrow

__all__ = ["WriteBars", "write_export", "write_lines", "writer_of"]

WriteBars = Callable[[BarExport, IO[bytes], OnPiece], int]
"""Writes a selection of bars into a stream, told whom to tell; hands back the number of bars."""

_INSTANT = "%Y-%m-%dT%H:%M:%S%.f%:z"
_FASTEST = 1
"""Half the time of gzip's default, for a file that is a fifth larger."""


def write_export(
    export: BarExport,
    path: Path,
    write: WriteBars,
    *,
    overwrite: bool = False,
    on_piece: OnPiece = tell_nobody,
) -> tuple[int, int]:
    """Write a selection of bars into one file; hands back how many bars and bytes.

    The file is written under a hidden name beside its own and renamed when it is whole and on disk, so an
    interrupted export leaves an older file of that name as it was.

    Raises
    ------
    InvalidInputError
        If the file exists and may not be overwritten, or its folder does not.
    StorageError
        If the disk is full or refuses; nothing remains.
    """
    if path.exists() and not overwrite:
        raise InvalidInputError(f"{path} exists already: name a new file, or add --overwrite.")
    if not path.parent.is_dir():
        raise InvalidInputError(f"{path} lies in a folder that does not exist: make {path.parent} first.")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with storage_errors(path):
            with unfinished.open("wb") as stream:
                rows = write(export, stream, on_piece)
                stream.flush()
                os.fsync(stream.fileno())
            size = unfinished.stat().st_size
            unfinished.replace(path)
            fsync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows, size


def writer_of(path: Path) -> WriteBars:
    """What writes a file of the kind its name ends in; `InvalidInputError` lists the endings there are."""
    for ending, write in _KINDS.items():
        if path.name.endswith(ending):
            return write
    raise InvalidInputError(f"{path} is not a {' or '.join(_KINDS)} file: name one.")


def _write_parquet(export: BarExport, stream: IO[bytes], on_piece: OnPiece) -> int:
    schema = as_arrow(export.schema.to_frame()).schema
    facts = {f"barlake.export.{name}": text for name, text in export.description().items()}
    rows = 0
    with pq.ParquetWriter(stream, schema.with_metadata(facts), compression="zstd") as file:
        for piece in export.pieces(on_piece):
            if piece.rows.height:
                file.write_table(as_arrow(piece.rows).cast(schema))
                rows += piece.rows.height
    return rows


def _write_csv(export: BarExport, stream: IO[bytes], on_piece: OnPiece) -> int:
    rows = 0
    export.schema.to_frame().write_csv(stream)
    for piece in export.pieces(on_piece):
        piece.rows.write_csv(stream, include_header=False, datetime_format=_INSTANT)
        rows += piece.rows.height
    return rows


def _write_packed_csv(export: BarExport, stream: IO[bytes], on_piece: OnPiece) -> int:
    # Without the name and the time inside, the same bars are the same bytes.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_FASTEST, fileobj=stream, mtime=0) as packed:
        return _write_csv(export, packed, on_piece)  # type: ignore[arg-type]


def write_lines(export: BarExport, stream: IO[bytes], on_piece: OnPiece = tell_nobody) -> int:
    """Write a selection as InfluxDB line protocol; hands back the number of lines."""
    rows = 0
    for piece in export.pieces(on_piece):
        made = lines(piece.rows, measurement=export.name)
        if made.len():
            stream.write(("\n".join(made) + "\n").encode())
        rows += made.len()
    return rows


_KINDS: dict[str, WriteBars] = {".csv": _write_csv, ".csv.gz": _write_packed_csv, ".parquet": _write_parquet}
