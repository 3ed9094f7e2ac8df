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
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl
from filelock import FileLock

from barlake.artifacts import canonical_json, library_versions, sha256_of
from barlake.durable import storage_errors
from barlake.errors import FormatError, InvalidInputError, NotFoundError, did_you_mean
from barlake.feature_files import (
    FORMAT,
    MANIFEST_NAME,
    is_whole,
    named_files,
    put_manifest,
    read_manifest,
    sweep,
    value_hash,
    write_file,
)
from barlake.keys import FeatureSetKey, parse_feed, parse_symbol, preferred_feed
from barlake.publish import ParquetView
from barlake.ranges import Boundary, time_range
from barlake.records import utc_now

if TYPE_CHECKING:
    from barlake.lake import Lake

__all__ = ["FeatureTables", "feature_tables_of"]

KEY_COLUMNS = ("session", "timestamp")

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
        folder = self.folder(key)
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # Symbols are written side by side; only their turns at the manifest wait for each other.
            with FileLock(folder / f".lock-{quote(symbol, safe='')}"):
                before = (self.entry(key, symbol) or {}).get("files", [])
                files, written = self._write_years(folder, symbol, frame, before)
                with FileLock(folder / ".lock"):
                    manifest = self._manifest(key) or {"format": FORMAT, "symbols": {}, "superseded": {}}
                    manifest |= {"name": key.name, "version": key.version, "definition": dict(definition)}
                    now = utc_now()
                    _enter(manifest, symbol, frame, inputs, files, now)
                    sweep(folder, symbol, manifest, now)
                    put_manifest(folder, manifest)
        return written

    @staticmethod
    def _write_years(
        folder: Path, symbol: str, frame: pl.DataFrame, before: Sequence[Mapping[str, Any]]
    ) -> tuple[list[dict[str, Any]], int]:
        kept = {file["path"]: dict(file) for file in before if is_whole(folder, file)}
        files, written = [], 0
        years = frame.with_columns(pl.col("session").dt.year().alias("__year"))
        for (year,), rows in years.group_by(["__year"], maintain_order=True):
            part = rows.drop("__year")
            below = f"symbol={quote(symbol, safe='')}/dt={year}/{value_hash(part)}.parquet"
            if below not in kept:
                kept[below] = write_file(folder / below, part) | {"path": below}
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
        return all(is_whole(self.folder(key), file) for file in entry["files"])

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
        folder = self.folder(key)
        for file in entry["files"]:
            if not is_whole(folder, file):
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
            lazy = lazy.select(list(dict.fromkeys((*KEY_COLUMNS, *columns))))
        if span.start is not None:
            lazy = lazy.filter(pl.col("timestamp") >= span.start)
        if span.end is not None:
            lazy = lazy.filter(pl.col("timestamp") < span.end)
        return lazy.collect()

    def versions(self, name: str | None = None) -> pl.DataFrame:
        """One row per set, version and symbol.

        Returns
        -------
        name, version, feed, symbol, rows, first, last, created_at, session (hours), adjustment, features (how many),
        bytes (of the files that count), code (hash); what a definition does not say is null.
        """
        found = [
            (
                key.name,
                key.version,
                manifest["definition"].get("feed"),
                symbol,
                entry["rows"],
                *(dt.datetime.fromisoformat(entry[side]) for side in ("first", "last", "created_at")),
                *(manifest["definition"].get(fact) for fact in ("session", "adjustment")),
                len(manifest["definition"].get("features", ())),
                sum(file["bytes"] for file in entry["files"]),
                manifest["definition"].get("code"),
            )
            for key, manifest in self.manifests()
            if name in {None, key.name}
            for symbol, entry in manifest["symbols"].items()
        ]
        text = dict.fromkeys(("name", "version", "feed", "symbol"), pl.String())
        stamps = dict.fromkeys(("first", "last", "created_at"), _STAMP)
        facts = dict.fromkeys(("session", "adjustment"), pl.String())
        sizes = dict.fromkeys(("features", "bytes"), pl.Int64())
        schema = {**text, "rows": pl.Int64(), **stamps, **facts, **sizes, "code": pl.String()}
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
        first = preferred_feed(feeds)
        if first is None:
            raise InvalidInputError(
                f"features of {symbol!r} are held from the feeds {', '.join(feeds)}: name one with feed=."
            )
        row = held.filter(pl.col("feed") == first).sort("created_at").row(-1, named=True)
        return FeatureSetKey(row["name"], row["version"])

    def last_written(self) -> dt.datetime | None:
        """When a table was last written, UTC; None when there is none."""
        newest = self.versions()["created_at"].max()
        return newest if isinstance(newest, dt.datetime) else None

    def views(self) -> list[ParquetView]:
        """One view `features_<set>` per set over the files that count of its newest version.

        A table that lacks a file is left out: it must not keep the rest from being published.
        """
        found = []
        known = self.versions()
        for name in sorted(set(known["name"])):
            newest = known.filter(pl.col("name") == name).sort("created_at")["version"][-1]
            key = FeatureSetKey(name, newest)
            tables = (self._manifest(key) or {"symbols": {}})["symbols"].values()
            folder = self.folder(key)
            whole = [one["files"] for one in tables if all(is_whole(folder, file) for file in one["files"])]
            paths = [folder / file["path"] for files in whole for file in files]
            found.append(ParquetView(f"features_{name}", paths, ("symbol", "dt")))
        return found

    def folder(self, key: FeatureSetKey) -> Path:
        """Folder of a version, which need not exist.

        Raises
        ------
        InvalidInputError
            If the name or the version cannot be a folder's.
        """
        if not _SET_NAME.fullmatch(key.name) or not _VERSION.fullmatch(key.version):
            raise InvalidInputError(
                f"feature set {key.name!r}, version {key.version!r} cannot be a folder: a name is 1 to 32 of a-z, "
                "0-9 and '_', starting with a letter; a version is 8 to 64 hex digits."
            )
        return self.root / key.name / f"v={key.version}"

    def manifests(self) -> Iterator[tuple[FeatureSetKey, dict[str, Any]]]:
        """Every version with its manifest, ordered by set and version."""
        for path in sorted(self.root.glob(f"*/v=*/{MANIFEST_NAME}")):
            manifest = read_manifest(path)
            if manifest is not None:
                yield FeatureSetKey(manifest["name"], manifest["version"]), manifest

    # --- the manifest --------------------------------------------------------------------------

    def _manifest(self, key: FeatureSetKey) -> dict[str, Any] | None:
        return read_manifest(self.folder(key) / MANIFEST_NAME)

    def _symbols_of(self, key: FeatureSetKey) -> list[str]:
        return sorted((self._manifest(key) or {"symbols": {}})["symbols"])


def feature_tables_of(lake: Lake) -> FeatureTables:
    """Where features of a lake are built to: its own folder, or the one that `DEST_PARQUET_DIR` names."""
    elsewhere = lake.settings.dest_parquet_dir
    return lake.feature_tables if elsewhere is None else FeatureTables(elsewhere)


def _enter(
    manifest: dict[str, Any],
    symbol: str,
    frame: pl.DataFrame,
    inputs: Mapping[str, Any],
    files: list[dict[str, Any]],
    now: dt.datetime,
) -> None:
    """Let these files count of a symbol, and those before them no more."""
    old = manifest["symbols"].get(symbol, {})
    # What was measured of a table counts as long as the table does.
    kept = {"quality": old["quality"]} if files == old.get("files") and "quality" in old else {}
    counted = named_files({"files": files, **kept})
    gone = dict.fromkeys(named_files(old), now.isoformat())
    manifest["superseded"] = {
        path: since for path, since in {**manifest["superseded"], **gone}.items() if path not in counted
    }
    manifest["symbols"][symbol] = {
        "inputs": dict(inputs),
        "rows": frame.height,
        "first": _iso(frame["timestamp"][0]),
        "last": _iso(frame["timestamp"][-1]),
        "created_at": now.isoformat(),
        "libraries": library_versions(),
        "files": files,
        **kept,
    }


def _iso(stamp: object) -> str:
    assert isinstance(stamp, dt.datetime)  # noqa: S101 - narrows polars' Any
    return stamp.isoformat()


def _no_features(name: str, symbol: str, known: Sequence[str], *, where: str = "") -> NotFoundError:
    return NotFoundError(
        f"feature set {name!r} has no table of symbol {symbol!r}{where}.{did_you_mean(symbol, set(known))} "
        f"`barlake features {symbol}` builds it."
    )
