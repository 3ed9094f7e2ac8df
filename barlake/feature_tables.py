"""Feature sets on disk: wide Parquet, one manifest per version that says which files count.

    <root>/<set>/v=<hash>/symbol=SPY/dt=2024/<hash of the values>.parquet
    <root>/<set>/v=<hash>/manifest.json

Files are never overwritten. A write adds new files, then puts a new manifest in place of the old one:
a reader meets all of the old table of a symbol or all of the new one. A year whose values did not change
keeps its file. Files that no longer count are removed by a later write, after a grace period. What a
feature is and how it is computed is for others to know; here it is a column.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl
from filelock import FileLock

from barlake.artifacts import canonical_json, library_versions, sha256_of
from barlake.errors import FormatError, InvalidInputError, NotFoundError, did_you_mean
from barlake.keys import FeatureSetKey, parse_feed, parse_symbol
from barlake.layout import TEMPORARY_PREFIX
from barlake.manifest import utc_now
from barlake.partitions import ROW_GROUP_ROWS, fsync_folder, storage_errors
from barlake.publish import ParquetView
from barlake.ranges import Boundary, time_range

__all__ = ["FeatureTables"]

KEY_COLUMNS = ("session", "timestamp")
FEED_ORDER = ("sip", "iex")
"""Which feed is meant when none is named and several have features of a symbol."""

GRACE = dt.timedelta(hours=1)
"""How long a file stays after it stopped counting: longer than any reader that just looked it up needs."""

_MANIFEST = "manifest.json"
_FORMAT = 1
_STAMP = pl.Datetime("us", "UTC")
_SET_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_VERSION = re.compile(r"[0-9a-f]{8,64}")


class FeatureTables:
    """The feature tables below one folder, which need not exist yet.

    Parameters
    ----------
    root
        `<lake>/features`, or another folder that a lake's reader is pointed to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    # --- in ------------------------------------------------------------------------------------

    def write(
        self,
        key: FeatureSetKey,
        symbol: str,
        frame: pl.DataFrame,
        *,
        inputs: Mapping[str, Any],
        definition: Mapping[str, Any],
    ) -> int:
        """Make `frame` the whole table of one symbol in this version; whole or not at all.

        Parameters
        ----------
        frame
            session, timestamp and further columns; sorted by timestamp, timestamps unique.
        inputs
            What the table was made from, as JSON can hold it; `is_current` compares it.
        definition
            What the version is: `feed`, parameters, columns, code hash. The same for every symbol.

        Returns
        -------
        How many files were written: one per year whose values are not on disk yet.

        Raises
        ------
        InvalidInputError
            If the frame is empty or lacks a key column.
        StorageError
            If the disk is full or refuses; what counted before still counts.
        """
        symbol = parse_symbol(symbol)
        if frame.is_empty() or not set(KEY_COLUMNS) <= set(frame.columns):
            raise InvalidInputError(
                f"feature table of {symbol!r} has {frame.height} rows and columns {frame.columns[:3]}...: it needs "
                f"at least one row and the columns {' and '.join(KEY_COLUMNS)}. Build from bars that exist."
            )
        folder = self._folder(key)
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                manifest = self._manifest(key) or {"format": _FORMAT, "symbols": {}, "superseded": {}}
                before = manifest["symbols"].get(symbol, {}).get("files", [])
                files, written = self._write_years(folder, symbol, frame, before)
                now = utc_now()
                counted = {file["path"] for file in files}
                gone = {file["path"]: now.isoformat() for file in before if file["path"] not in counted}
                manifest["superseded"] = {
                    path: since for path, since in {**manifest["superseded"], **gone}.items() if path not in counted
                }
                manifest |= {"name": key.name, "version": key.version, "definition": dict(definition)}
                manifest["symbols"][symbol] = {
                    "inputs": dict(inputs),
                    "rows": frame.height,
                    "first": _iso(frame["timestamp"][0]),
                    "last": _iso(frame["timestamp"][-1]),
                    "created_at": now.isoformat(),
                    "libraries": library_versions(),
                    "files": files,
                }
                _sweep(folder, symbol, manifest, now)
                _put_manifest(folder, manifest)
        return written

    @staticmethod
    def _write_years(
        folder: Path, symbol: str, frame: pl.DataFrame, before: Sequence[Mapping[str, Any]]
    ) -> tuple[list[dict[str, Any]], int]:
        kept = {file["path"]: dict(file) for file in before if _is_whole(folder, file)}
        files, written = [], 0
        years = frame.with_columns(pl.col("session").dt.year().alias("__year"))
        for (year,), rows in years.group_by(["__year"], maintain_order=True):
            part = rows.drop("__year")
            below = f"symbol={quote(symbol, safe='')}/dt={year}/{_value_hash(part)}.parquet"
            if below not in kept:
                kept[below] = _write_file(folder / below, part) | {"path": below}
                written += 1
            files.append(kept[below])
        return files, written

    # --- out -----------------------------------------------------------------------------------

    def entry(self, key: FeatureSetKey, symbol: str) -> dict[str, Any] | None:
        """What the manifest holds of one symbol (inputs, rows, first, last, created_at, files), or None."""
        manifest = self._manifest(key)
        found = None if manifest is None else manifest["symbols"].get(parse_symbol(symbol))
        return None if found is None else dict(found)

    def is_current(self, key: FeatureSetKey, symbol: str, inputs: Mapping[str, Any]) -> bool:
        """Whether the table was made from exactly these inputs and all its files are on disk."""
        entry = self.entry(key, symbol)
        if entry is None or canonical_json(entry["inputs"]) != canonical_json(dict(inputs)):
            return False
        return all(_is_whole(self._folder(key), file) for file in entry["files"])

    def definition(self, key: FeatureSetKey) -> dict[str, Any]:
        """Parameters, columns and code hash of a version.

        Raises
        ------
        NotFoundError
            If the version is not here.
        """
        manifest = self._manifest(key)
        if manifest is None:
            raise NotFoundError(
                f"feature set {key.name!r} has no version {key.version!r} below {self.root}: "
                "`barlake features` builds the current one."
            )
        return dict(manifest["definition"])

    def paths(self, key: FeatureSetKey, symbol: str) -> list[Path]:
        """The files that count of one symbol, oldest year first; sizes checked.

        Raises
        ------
        NotFoundError
            If the version has no table of the symbol.
        FormatError
            If a file is missing or has another size than the manifest says.
        """
        entry = self.entry(key, symbol)
        if entry is None:
            raise _no_features(key.name, parse_symbol(symbol), self._symbols_of(key))
        folder = self._folder(key)
        for file in entry["files"]:
            if not _is_whole(folder, file):
                raise FormatError(
                    f"{folder / file['path']} is missing or is not the file that was written: build the features of "
                    f"{symbol} again with `barlake features {symbol}`."
                )
        return [folder / file["path"] for file in entry["files"]]

    def verify(self, key: FeatureSetKey, symbol: str) -> None:
        """Compare the bytes of every file of a symbol with the SHA-256 in the manifest.

        Raises
        ------
        FormatError
            Names the first file that is not the one that was written.
        """
        entry = self.entry(key, symbol) or {"files": []}
        for path, file in zip(self.paths(key, symbol), entry["files"], strict=True):
            if sha256_of(path) != file["sha256"]:
                raise FormatError(
                    f"{path} is not the file that was written (its SHA-256 differs from the manifest's): delete it "
                    f"and build the features of {symbol} again with `barlake features {symbol}`."
                )

    def read(
        self,
        key: FeatureSetKey,
        symbol: str,
        *,
        columns: Sequence[str] | None = None,
        start: Boundary = None,
        end: Boundary = None,
    ) -> pl.DataFrame:
        """Rows with start <= timestamp < end, sorted by timestamp.

        Parameters
        ----------
        columns
            What to read beside session and timestamp, which always come first; None reads all.
        start, end
            Session dates (New York) or aware instants; None leaves that side open.

        Raises
        ------
        NotFoundError
            If the version has no table of the symbol.
        InvalidInputError
            If a column is not in the table, or the range is reversed or lacks its zone.
        FormatError
            If a file is missing or has another size than the manifest says.
        """
        span = time_range(start, end)
        lazy = pl.scan_parquet([str(path) for path in self.paths(key, symbol)], hive_partitioning=False, glob=False)
        names = lazy.collect_schema().names()
        if columns is not None:
            for name in columns:
                if name not in names:
                    raise InvalidInputError(
                        f"column {name!r} is not in feature set {key.name!r}.{did_you_mean(name, names)} "
                        f"It has {', '.join(names)}."
                    )
            lazy = lazy.select(dict.fromkeys((*KEY_COLUMNS, *columns)))
        if span.start is not None:
            lazy = lazy.filter(pl.col("timestamp") >= span.start)
        if span.end is not None:
            lazy = lazy.filter(pl.col("timestamp") < span.end)
        return lazy.collect()

    def versions(self, name: str | None = None) -> pl.DataFrame:
        """One row per set, version and symbol: name, version, feed, symbol, rows, first, last, created_at."""
        found = [
            (
                key.name,
                key.version,
                manifest["definition"].get("feed"),
                symbol,
                entry["rows"],
                *(dt.datetime.fromisoformat(entry[side]) for side in ("first", "last", "created_at")),
            )
            for key, manifest in self._manifests()
            if name in {None, key.name}
            for symbol, entry in manifest["symbols"].items()
        ]
        text = dict.fromkeys(("name", "version", "feed", "symbol"), pl.String())
        stamps = dict.fromkeys(("first", "last", "created_at"), _STAMP)
        schema = {**text, "rows": pl.Int64(), **stamps}
        return pl.DataFrame(found, schema=schema, orient="row").sort("name", "created_at", "symbol")

    def latest(self, name: str, symbol: str, feed: str | None = None) -> FeatureSetKey:
        """The version of a set that was most recently written for a symbol.

        Parameters
        ----------
        feed
            None takes `sip` before `iex` before the only other feed.

        Raises
        ------
        NotFoundError
            If there is none; the message says how to build it.
        InvalidInputError
            If several feeds have one and none of them goes first.
        """
        symbol = parse_symbol(symbol)
        known = self.versions(name)
        held = known.filter(pl.col("symbol") == symbol)
        if feed is not None:
            held = held.filter(pl.col("feed") == parse_feed(feed))
        if held.is_empty():
            where = "" if feed is None else f" from feed {parse_feed(feed)!r}"
            raise _no_features(name, symbol, known["symbol"].to_list(), where=where)
        feeds = sorted(set(held["feed"]))
        first = [one for one in FEED_ORDER if one in feeds] or feeds
        if len(feeds) > 1 and first is feeds:
            raise InvalidInputError(
                f"features of {symbol!r} are held from the feeds {', '.join(feeds)}: name one with feed=."
            )
        row = held.filter(pl.col("feed") == first[0]).sort("created_at").row(-1, named=True)
        return FeatureSetKey(row["name"], row["version"])

    def views(self) -> list[ParquetView]:
        """One view `features_<set>` per set over the files that count of its newest version."""
        found = []
        known = self.versions()
        for name in sorted(set(known["name"])):
            newest = known.filter(pl.col("name") == name).sort("created_at")["version"][-1]
            key = FeatureSetKey(name, newest)
            paths = [path for symbol in self._symbols_of(key) for path in self.paths(key, symbol)]
            found.append(ParquetView(f"features_{name}", paths, ("symbol", "dt")))
        return found

    # --- the manifest --------------------------------------------------------------------------

    def _folder(self, key: FeatureSetKey) -> Path:
        if not _SET_NAME.fullmatch(key.name) or not _VERSION.fullmatch(key.version):
            raise InvalidInputError(
                f"feature set {key.name!r}, version {key.version!r} cannot be a folder: a name is 1 to 32 of a-z, "
                "0-9 and '_', starting with a letter; a version is 8 to 64 hex digits."
            )
        return self.root / key.name / f"v={key.version}"

    def _manifest(self, key: FeatureSetKey) -> dict[str, Any] | None:
        return _read_manifest(self._folder(key) / _MANIFEST)

    def _manifests(self) -> Iterator[tuple[FeatureSetKey, dict[str, Any]]]:
        for path in sorted(self.root.glob(f"*/v=*/{_MANIFEST}")):
            manifest = _read_manifest(path)
            if manifest is not None:
                yield FeatureSetKey(manifest["name"], manifest["version"]), manifest

    def _symbols_of(self, key: FeatureSetKey) -> list[str]:
        return sorted((self._manifest(key) or {"symbols": {}})["symbols"])


def _read_manifest(path: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read ({error}): delete its folder and build again.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise FormatError(f"{path} is not a feature manifest of format {_FORMAT}: delete its folder and build again.")
    return manifest


def _put_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    temporary = folder / f"{TEMPORARY_PREFIX}{_MANIFEST}"
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=1, default=str)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(folder / _MANIFEST)
    fsync_folder(folder)


def _write_file(path: Path, rows: pl.DataFrame) -> dict[str, Any]:
    """Write one Parquet file that is complete and on disk when this returns; what the manifest says of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
    try:
        with temporary.open("wb") as stream:
            rows.write_parquet(stream, compression="zstd", compression_level=1, row_group_size=ROW_GROUP_ROWS)
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


def _is_whole(folder: Path, file: Mapping[str, Any]) -> bool:
    path = folder / str(file["path"])
    return path.is_file() and path.stat().st_size == file["bytes"]


def _sweep(folder: Path, symbol: str, manifest: dict[str, Any], now: dt.datetime) -> None:
    """Remove files that stopped counting long enough ago, and what a crash left behind."""
    expired = [path for path, since in manifest["superseded"].items() if now - dt.datetime.fromisoformat(since) > GRACE]
    for path in expired:
        (folder / path).unlink(missing_ok=True)
        del manifest["superseded"][path]
    counted = {file["path"] for file in manifest["symbols"][symbol]["files"]} | set(manifest["superseded"])
    for path in (folder / f"symbol={quote(symbol, safe='')}").rglob("*.parquet"):
        is_old = now.timestamp() - path.stat().st_mtime > GRACE.total_seconds()
        if is_old and path.relative_to(folder).as_posix() not in counted:
            path.unlink(missing_ok=True)


def _value_hash(rows: pl.DataFrame) -> str:
    """Thirty-two hex digits over names, types and exact values, the nulls marked."""
    digest = hashlib.sha256()
    for column in rows.iter_columns():
        digest.update(f"{column.name}:{column.dtype}:{len(column)};".encode())
        digest.update(column.is_null().to_numpy().astype(np.uint8).tobytes())
        physical = column.to_physical().fill_null(0)
        digest.update(np.ascontiguousarray(physical.to_numpy()).tobytes())
    return digest.hexdigest()[:32]


def _iso(stamp: object) -> str:
    assert isinstance(stamp, dt.datetime)  # noqa: S101 - narrows polars' Any
    return stamp.isoformat()


def _no_features(name: str, symbol: str, known: Sequence[str], *, where: str = "") -> NotFoundError:
    return NotFoundError(
        f"feature set {name!r} has no table of symbol {symbol!r}{where}.{did_you_mean(symbol, set(known))} "
        f"`barlake features {symbol}` builds it."
    )
