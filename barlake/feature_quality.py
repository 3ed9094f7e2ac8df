"""What was measured of feature tables, beside them: Parquet files that the version's manifest names.

    <root>/<set>/v=<hash>/quality/<table>/symbol=SPY/<instant>.parquet

A measurement counts as long as the table that was measured does: a build that changes the table leaves the
measurement out of the manifest. What a figure means is for the service that measures to say; here it is a column.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
from filelock import FileLock

from barlake.durable import storage_errors
from barlake.errors import ConflictError, NotFoundError
from barlake.feature_files import (
    MANIFEST_NAME,
    is_whole,
    named_files,
    put_manifest,
    read_manifest,
    sweep,
    write_file,
)
from barlake.feature_tables import FeatureTables
from barlake.keys import FeatureSetKey, parse_symbol
from barlake.records import utc_now

__all__ = ["QUALITY_KEYS", "QUALITY_TABLES", "read_quality", "write_quality"]

_TEXT, _WHOLE, _NUMBER, _DATE = pl.String(), pl.Int64(), pl.Float64(), pl.Date()

QUALITY_KEYS = {"name": _TEXT, "version": _TEXT, "feed": _TEXT, "measured_at": pl.Datetime("us", "UTC")}
"""Columns in front of every row; the symbol is in the path and comes last in a view."""

QUALITY_TABLES: dict[str, dict[str, pl.DataType]] = {
    "feature_quality": {
        "feature": _TEXT, "family": _TEXT, "unit": _TEXT,
        **dict.fromkeys(
            ("rows", "nulls", "leading_nulls", "later_nulls", "sessions_with_later_nulls", "distinct"), _WHOLE
        ),
        **dict.fromkeys(("mean", "deviation", "least", "p01", "p25", "median", "p75", "p99", "most"), _NUMBER),
        **dict.fromkeys(("psi", "ks", "psi_previous", "ks_previous"), _NUMBER),
        "cluster": _WHOLE, "cluster_size": _WHOLE, "representative": _TEXT, "nearest": _TEXT,
        "nearest_correlation": _NUMBER, "importance": _NUMBER, "importance_deviation": _NUMBER, "model": _TEXT,
        "findings": _TEXT,
    },
    "feature_drift": {
        "feature": _TEXT, "period": _WHOLE, "first": _DATE, "last": _DATE, "sessions": _WHOLE, "values": _WHOLE,
        **dict.fromkeys(("mean", "deviation", "psi", "ks", "psi_previous", "ks_previous"), _NUMBER),
    },
    "feature_nulls": {"session": _DATE, "feature": _TEXT, "nulls": _WHOLE, "rows": _WHOLE},
}  # fmt: skip
"""Columns of each table of the catalogue, after the keys."""


def write_quality(
    tables: FeatureTables,
    key: FeatureSetKey,
    symbol: str,
    frames: Mapping[str, pl.DataFrame],
    *,
    measured: Mapping[str, Any],
) -> None:
    """Keep the measurements of one symbol's table, all of them or none.

    Parameters
    ----------
    frames
        One per table of `QUALITY_TABLES`, with its columns.
    measured
        The manifest's entry of the symbol as it was before the table was read.

    Raises
    ------
    ConflictError
        If the table was built anew meanwhile.
    StorageError
        If the disk is full or refuses; what counted before still counts.
    """
    symbol, folder, now = parse_symbol(symbol), tables.folder(key), utc_now()
    with storage_errors(folder), FileLock(folder / ".lock"):
        manifest = read_manifest(folder / MANIFEST_NAME)
        entry = None if manifest is None else manifest["symbols"].get(symbol)
        if manifest is None or entry is None or entry["files"] != measured["files"]:
            raise ConflictError(
                f"the features of {symbol!r} were built anew while they were measured: measure them again."
            )
        keys = {
            "name": key.name,
            "version": key.version,
            "feed": manifest["definition"].get("feed"),
            "measured_at": now,
        }
        before = named_files(entry)
        entry["quality"] = {
            name: _write(folder, symbol, name, frames[name].select(*_literals(keys), *columns), now)
            for name, columns in QUALITY_TABLES.items()
        }
        manifest["superseded"].update(dict.fromkeys(before - named_files(entry), now.isoformat()))
        sweep(folder, symbol, manifest, now)
        put_manifest(folder, manifest)


def _literals(values: Mapping[str, Any]) -> list[pl.Expr]:
    return [pl.lit(value, QUALITY_KEYS[name]).alias(name) for name, value in values.items()]


def _write(folder: Path, symbol: str, name: str, rows: pl.DataFrame, now: dt.datetime) -> dict[str, Any]:
    below = f"quality/{name}/symbol={quote(symbol, safe='')}/{now:%Y%m%dT%H%M%S%fZ}.parquet"
    return write_file(folder / below, rows.cast(pl.Schema(QUALITY_TABLES[name]))) | {"path": below}


def read_quality(tables: FeatureTables, key: FeatureSetKey, symbol: str) -> dict[str, pl.DataFrame]:
    """What was measured of one symbol's table, by the names of `QUALITY_TABLES`.

    Raises
    ------
    NotFoundError
        If it was not measured since it was built.
    """
    entry, folder = tables.entry(key, symbol) or {}, tables.folder(key)
    files = entry.get("quality", {})
    if not files or not all(is_whole(folder, file) for file in files.values()):
        raise NotFoundError(
            f"the quality of feature set {key.name!r} of symbol {symbol!r} was not measured since it was built: "
            f"`barlake feature-quality {symbol}` does."
        )
    return {name: pl.read_parquet(folder / file["path"], hive_partitioning=False) for name, file in files.items()}
