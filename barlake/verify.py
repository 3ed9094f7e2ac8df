"""Whether every file that counts is the one that was written: there, whole, and with the values it had.

Values are compared, not bytes: the rows of each session must give the hash that the manifest holds of it.
Old values and records have no such hash; their pages carry checksums. Nothing is changed here; `repair` does that.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

import polars as pl
import pyarrow as pa

from barlake import layout
from barlake.errors import FormatError, NotFoundError, did_you_mean
from barlake.manifest import Manifest
from barlake.partitions import content_hashes
from barlake.records import FileRecord
from barlake.sessions import session_bounds
from barlake.stores import Store
from barlake.strict_files import difference, metadata_of, open_strictly, whole_rows

__all__ = [
    "Fault",
    "FaultKind",
    "OnFile",
    "VerifyReport",
    "bytes_of",
    "check_file",
    "tell_nobody",
    "verify",
]

WORKERS = min(4, os.cpu_count() or 1)
"""How many files are read at once, each wholly in memory: a year of one symbol is about 10 MB there."""

OnFile = Callable[[str, int, int], None]
"""Told a file's path, how many are done, and how many there are."""

_ROUNDS = 5


class FaultKind(StrEnum):
    """What is wrong with a file."""

    MISSING = "missing"  # the disk does not have it
    UNREADABLE = "unreadable"  # its footer or a page is damaged, or it is no Parquet file
    MISPLACED = "misplaced"  # it is another file: partition or commit in its metadata, or its size, differ
    VALUES = "values"  # its rows are not those that were written
    UNFILED = "unfiled"  # sessions are on record that no file holds


@dataclass(frozen=True)
class Fault:
    """One file that is not what the manifest says.

    Parameters
    ----------
    sessions
        Sessions on record that it may have taken along, oldest first; none for a file that is not of bars.
    detail
        What was found, in words.
    """

    kind: FaultKind
    path: str
    dataset: str
    feed: str
    symbol: str
    period: str
    sessions: tuple[dt.date, ...]
    detail: str


@dataclass(frozen=True)
class VerifyReport:
    """What was looked at and what is wrong.

    Parameters
    ----------
    orphans, leftovers
        For information: files nobody counts, and temporary files, of crashes or of writers at work. The
        vacuum takes the former, the next writer the latter.
    """

    files: int
    bytes: int
    sessions: int
    faults: tuple[Fault, ...]
    orphans: tuple[str, ...]
    leftovers: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def tell_nobody(_path: str, _done: int, _total: int) -> None:
    """Nothing happens: for whoever does not want to hear how far the work has come."""


def check_file(data: pa.Buffer | OSError, file: FileRecord, held: pl.DataFrame) -> Fault | None:
    """What is wrong with one file, or None.

    Parameters
    ----------
    data
        Its bytes, or why there are none.
    held
        Rows of `Manifest.held` of that feed and symbol; those outside the file's period do not matter.
    """
    period = file.key.period
    expected = held.filter(pl.col("session").is_between(period.start, period.end, closed="left"))
    concerned = tuple(expected["session"]) if file.dataset == layout.BARS else ()

    def fault(kind: FaultKind, detail: str, sessions: tuple[dt.date, ...] = concerned) -> Fault:
        key = file.key
        return Fault(kind, file.path, file.dataset, key.feed, key.symbol, period.label, sessions, detail)

    rows = _rows(data, file)
    if not isinstance(rows, pl.DataFrame):
        return fault(*rows)
    strays = 0
    if file.dataset in layout.BAR_DATASETS:
        start, end = session_bounds(period.start, period.end, file.key.feed)
        strays = rows.filter(~pl.col("timestamp").is_between(start, end, closed="left")).height
    if strays or rows.height != file.rows:
        return fault(
            FaultKind.VALUES, f"it has {rows.height:,} rows, {strays:,} outside its period; {file.rows:,} were"
        )
    if file.dataset != layout.BARS:
        return None
    wrong = _wrong_sessions(rows, expected, file.key.feed)
    return fault(FaultKind.VALUES, f"values of {len(wrong)} session(s) differ", wrong) if wrong else None


def bytes_of(store: Store, path: str) -> pa.Buffer | OSError:
    """All bytes of a file, or why there are none."""
    try:
        return store.read(path)
    except OSError as error:
        return error


def _rows(data: pa.Buffer | OSError, file: FileRecord) -> pl.DataFrame | tuple[FaultKind, str]:
    """All rows of a file, or what keeps them from being read."""
    if isinstance(data, OSError):
        return FaultKind.MISSING, data.strerror or str(data)
    size = data.size
    try:
        with open_strictly(data) as source:
            other = difference(metadata_of(source), file)
            rows = whole_rows(source, file.dataset, file.key.feed) if other is None else None
    except FormatError as error:
        cut = f"; {size:,} of {file.bytes:,} bytes are there" if size != file.bytes else ""
        return FaultKind.UNREADABLE, f"{error}{cut}"
    if rows is None:
        return FaultKind.MISPLACED, other or ""
    if size != file.bytes:
        return FaultKind.MISPLACED, f"it has {size:,} bytes, {file.bytes:,} were written"
    return rows


def _wrong_sessions(rows: pl.DataFrame, expected: pl.DataFrame, feed: str) -> tuple[dt.date, ...]:
    """Sessions whose rows do not give the hash on record, and those that only one of the two sides has."""
    found = content_hashes(rows, feed).select("session", "content_hash")
    both = expected.select("session", "content_hash").join(found, on="session", how="full", coalesce=True)
    wrong = both.filter(~pl.col("content_hash").eq_missing(pl.col("content_hash_right")))
    return tuple(wrong["session"].sort())


def verify(
    store: Store,
    manifest: Manifest,
    *,
    feed: str | None = None,
    symbols: Iterable[str] | None = None,
    on_file: OnFile = tell_nobody,
) -> VerifyReport:
    """Read every file that counts and compare it with the manifest; writers may be at work meanwhile.

    Parameters
    ----------
    on_file
        Called after each file.

    Raises
    ------
    NotFoundError
        If a symbol is neither held nor has a file.
    """
    wanted = None if symbols is None else set(symbols)
    known = manifest.feeds()
    pairs = {(file.key.feed, file.key.symbol) for data in layout.DATASETS for file in manifest.files(dataset=data)}
    pairs |= {(name, symbol) for name, held in known.items() for symbol in held}
    chosen = sorted(p for p in pairs if feed in {None, p[0]} and (wanted is None or p[1] in wanted))
    for name in sorted((wanted or set()) - {symbol for _, symbol in chosen}):
        raise NotFoundError(
            f"symbol {name!r} is not in this lake.{did_you_mean(name, {symbol for _, symbol in pairs})} "
            "`barlake symbols` lists what is here."
        )
    total = sum(len(_counting(manifest, *pair)) for pair in chosen)
    files = size = sessions = 0
    faults: list[Fault] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for pair in chosen:
            checked, held, found = _check_symbol(store, manifest, *pair, pool)
            for file in checked:
                files, size = files + 1, size + file.bytes
                on_file(file.path, files, max(total, files))
            sessions += held.height
            faults.extend(found)
    return VerifyReport(files, size, sessions, tuple(faults), *_strays(store, manifest))


def _counting(manifest: Manifest, feed: str, symbol: str) -> list[FileRecord]:
    return [file for data in layout.DATASETS for file in manifest.files(dataset=data, feed=feed, symbol=symbol)]


def _check_symbol(
    store: Store, manifest: Manifest, feed: str, symbol: str, pool: ThreadPoolExecutor
) -> tuple[list[FileRecord], pl.DataFrame, list[Fault]]:
    """Check all files of one symbol against what was on record while they counted.

    A writer may replace files meanwhile. What was wrong is looked at again from the start as long as the
    files are not the same afterwards.
    """
    for _ in range(_ROUNDS):
        files = _counting(manifest, feed, symbol)
        held = manifest.held(feed=feed, symbol=symbol)
        found = [fault for fault in pool.map(_checker(store, held), files) if fault]
        found += _unfiled(feed, symbol, files, held)
        if not found:
            break
        now_counting = _counting(manifest, feed, symbol)
        if now_counting == files:
            break
        # Should the writer never rest: what still counts was damaged all the while.
        found = [fault for fault in found if fault.path in {file.path for file in now_counting}]
    return files, held, found


def _checker(store: Store, held: pl.DataFrame) -> Callable[[FileRecord], Fault | None]:
    return lambda file: check_file(bytes_of(store, file.path), file, held)


def _unfiled(feed: str, symbol: str, files: list[FileRecord], held: pl.DataFrame) -> Iterator[Fault]:
    """Sessions on record that lie in no file, one fault for each year."""
    covered = [file.key.period for file in files if file.dataset == layout.BARS]
    lost = [day for day in held["session"] if not any(period.start <= day < period.end for period in covered)]
    for year, days in groupby(lost, key=lambda day: day.year):
        sessions = tuple(days)
        detail = f"{len(sessions)} session(s) are on record, and no file that counts covers them"
        yield Fault(FaultKind.UNFILED, "", layout.BARS, feed, symbol, str(year), sessions, detail)


def _strays(store: Store, manifest: Manifest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Files below `parquet` without a record, and temporary ones anywhere."""
    # The store first, the manifest after: what a writer commits in between is known by then.
    present = sorted(file.path for file in store.files())
    temporary = store.leftovers()
    known = manifest.known_paths()
    orphans = tuple(path for path in present if path not in known and path not in set(temporary))
    return orphans, tuple(temporary)
