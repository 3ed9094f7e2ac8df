"""The files below one version of a feature set: Parquet and manifest, each written whole or not at all."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl

from barlake.artifacts import sha256_of
from barlake.durable import fsync_folder
from barlake.errors import FormatError, StorageError
from barlake.layout import TEMPORARY_PREFIX
from barlake.partitions import ROW_GROUP_ROWS

__all__ = [
    "FORMAT",
    "GRACE",
    "MANIFEST_NAME",
    "is_whole",
    "named_files",
    "put_manifest",
    "read_manifest",
    "sweep",
    "value_hash",
    "write_file",
]

MANIFEST_NAME = "manifest.json"
FORMAT = 1
"""Of the manifest; a reader refuses any other."""

GRACE = dt.timedelta(hours=1)
"""How long a file stays after it stopped counting: longer than any reader that just looked it up needs."""


def read_manifest(path: Path) -> dict[str, Any] | None:
    """What a version's manifest says, or None when there is no such file.

    Raises
    ------
    FormatError
        If the file is not a manifest of this format.
    StorageError
        If the operating system does not let it be read.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}. Mend its permissions.") from error
    except ValueError as error:
        raise FormatError(f"{path} cannot be read ({error}): delete its folder and build again.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise FormatError(f"{path} is not a feature manifest of format {FORMAT}: delete its folder and build again.")
    return manifest


def put_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Put a manifest in place of the old one; a reader meets either, never a part."""
    temporary = folder / f"{TEMPORARY_PREFIX}{MANIFEST_NAME}"
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=1, default=str)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(folder / MANIFEST_NAME)
    fsync_folder(folder)


def write_file(path: Path, rows: pl.DataFrame) -> dict[str, Any]:
    """Write one Parquet file that is complete and on disk when this returns; what the manifest says of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
    try:
        with temporary.open("wb") as stream:
            try:
                rows.write_parquet(stream, compression="zstd", compression_level=1, row_group_size=ROW_GROUP_ROWS)
            except pl.exceptions.ComputeError as error:  # so polars tells of a disk that is full
                raise StorageError(
                    f"cannot write {path}: {error}. Nothing was half written: free space or mend the permissions, "
                    "then run the same command again."
                ) from error
            stream.flush()
            os.fsync(stream.fileno())
        facts = {"rows": rows.height, "bytes": temporary.stat().st_size, "sha256": sha256_of(temporary)}
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
        fsync_folder(folder)
    return facts


def is_whole(folder: Path, file: Mapping[str, Any]) -> bool:
    """Whether a file that a manifest names (`path`, `bytes`) is there in its full size."""
    path = folder / str(file["path"])
    return path.is_file() and path.stat().st_size == file["bytes"]


def named_files(entry: Mapping[str, Any]) -> set[str]:
    """Paths of all files that a manifest names of one symbol: of its table, and of what was measured of it."""
    files = [*entry.get("files", ()), *entry.get("quality", {}).values()]
    return {str(file["path"]) for file in files}


def sweep(folder: Path, symbol: str, manifest: dict[str, Any], now: dt.datetime) -> None:
    """Remove files that stopped counting long enough ago, and what a crash left behind."""
    expired = [path for path, since in manifest["superseded"].items() if now - dt.datetime.fromisoformat(since) > GRACE]
    for path in expired:
        (folder / path).unlink(missing_ok=True)
        del manifest["superseded"][path]
    counted = named_files(manifest["symbols"][symbol]) | set(manifest["superseded"])
    own = f"symbol={quote(symbol, safe='')}"
    for path in (*folder.glob(f"{own}/**/*.parquet"), *folder.glob(f"quality/*/{own}/**/*.parquet")):
        is_old = now.timestamp() - path.stat().st_mtime > GRACE.total_seconds()
        if is_old and path.relative_to(folder).as_posix() not in counted:
            path.unlink(missing_ok=True)


def value_hash(rows: pl.DataFrame) -> str:
    """Thirty-two hex digits over names, types and exact values, the nulls marked."""
    digest = hashlib.sha256()
    for column in rows.iter_columns():
        digest.update(f"{column.name}:{column.dtype}:{len(column)};".encode())
        digest.update(column.is_null().to_numpy().astype(np.uint8).tobytes())
        physical = column.to_physical().fill_null(0)
        digest.update(np.ascontiguousarray(physical.to_numpy()).tobytes())
    return digest.hexdigest()[:32]
