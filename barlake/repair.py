"""Mend what `verify` found: keep every row that is proven good, set the damaged file aside, ask again for the rest.

A session is proven good when its rows give the hash on record. They are looked for in the row groups of the
damaged file that can still be read, then in the file it replaced, as long as the vacuum has not taken it.
Sessions that neither holds are forgotten, with what a source said about them, so that the next ingest asks
for them. No file is deleted: damaged ones go to `damaged/` under their old path.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import polars as pl
import pyarrow as pa

from barlake import layout
from barlake.bar_files import taken_over, write_bar_file
from barlake.bar_sources import who_delivered
from barlake.errors import ConflictError, FormatError
from barlake.manifest import Manifest
from barlake.partitions import content_hashes
from barlake.record_kinds import KINDS
from barlake.records import Commit, FileRecord, new_commit_id
from barlake.sessions import session_bounds, session_of
from barlake.stores import Store
from barlake.strict_files import difference, metadata_of, open_strictly, readable_rows
from barlake.verify import Fault, FaultKind, bytes_of, check_file

__all__ = ["Mended", "repair"]

SOURCE = "repair"


@dataclass(frozen=True)
class Mended:
    """What became of one fault.

    Parameters
    ----------
    saved, lost
        Sessions that are held again, and sessions that are held no more. For a file of old values both are
        empty, and `rows_lost` says how many of them are gone.
    aside
        Where the damaged file lies now, below the lake's root; None when there was none.
    """

    fault: Fault
    saved: tuple[dt.date, ...]
    lost: tuple[dt.date, ...]
    rows_saved: int
    rows_lost: int
    aside: str | None


def repair(
    store: Store,
    manifest: Manifest,
    faults: Iterable[Fault],
    *,
    now: Callable[[], dt.datetime],
    on_fault: Callable[[Fault], None] = lambda _fault: None,
) -> list[Mended]:
    """Mend each fault in a commit of its own; what another writer replaced meanwhile needs none.

    Raises
    ------
    StorageError
        If the disk is full or refuses; what was mended before stays so.
    """
    mended = []
    for fault in faults:
        on_fault(fault)
        if fault.kind is FaultKind.UNFILED:
            mended.append(_forget(manifest, fault, now))
            continue
        one = _mend(store, manifest, fault, now)
        if one is not None:
            mended.append(one)
    return mended


def _forget(manifest: Manifest, fault: Fault, now: Callable[[], dt.datetime]) -> Mended:
    commit_id = new_commit_id(manifest.next_moment(fault.feed, fault.symbol, now()))
    manifest.commit(Commit(commit_id, SOURCE, fault.feed, fault.symbol, forgotten=fault.sessions))
    return Mended(fault, (), fault.sessions, 0, 0, None)


def _mend(store: Store, manifest: Manifest, fault: Fault, now: Callable[[], dt.datetime]) -> Mended | None:
    """Put what is good in the place of one damaged file; None when it counts no more, or is not damaged."""
    counting = manifest.files(dataset=fault.dataset, feed=fault.feed, symbol=fault.symbol)
    file = next((one for one in counting if one.path == fault.path), None)
    held = manifest.held(feed=fault.feed, symbol=fault.symbol)
    if file is None or check_file(bytes_of(store, file.path), file, held) is None:
        return None
    period = file.key.period
    held = held.filter(pl.col("session").is_between(period.start, period.end, closed="left"))
    earlier = [one for one in manifest.replaced_by(PurePosixPath(file.path).stem) if store.exists(one.path)]
    earlier = [one for one in earlier if one.dataset == file.dataset and period.covers(one.key.period)]
    is_bars = file.dataset == layout.BARS
    rows = _good(store, file, earlier, held) if is_bars else _unhashed(store, file, earlier)
    saved = tuple(sorted(_sessions(rows, fault.feed))) if file.dataset in layout.BAR_DATASETS else ()
    lost = tuple(day for day in held["session"] if day not in set(saved)) if is_bars else ()
    # What stays where it is could be taken for the newest version by whoever rebuilds a lost manifest.
    doubtful = [] if rows.height else [one.path for one in earlier]
    aside = store.set_aside(file.path)
    commit_id = new_commit_id(manifest.next_moment(fault.feed, fault.symbol, now()))
    added = []
    if rows.height:
        replaces = taken_over(store, [file.path])
        sources = ""
        if file.dataset in layout.BAR_DATASETS:
            sources = who_delivered(manifest, file.key, rows["ingested_at"])
        added = [
            write_bar_file(store, file.dataset, file.key, rows, commit_id=commit_id, replaces=replaces, sources=sources)
        ]
    commit = Commit(
        commit_id, SOURCE, fault.feed, fault.symbol, added=added, removed=[file.path], forgotten=lost,
        periods=[] if file.dataset == layout.REVISIONS else [period],
        dataset=file.dataset if file.dataset in layout.RECORD_DATASETS else layout.BARS,
    )  # fmt: skip
    try:
        manifest.commit(commit)
    except ConflictError:
        for one in added:
            store.delete(one.path)
        return None
    for path in [file.path, *doubtful]:
        store.set_aside(path)
        store.delete(path)
    return Mended(fault, saved, lost, rows.height, file.rows - rows.height, aside)


def _good(store: Store, file: FileRecord, earlier: Sequence[FileRecord], held: pl.DataFrame) -> pl.DataFrame:
    """Rows of the sessions whose hash is the one on record, from the file or those it replaced."""
    wanted = dict(held.select("session", "content_hash").iter_rows())
    found = _matching(_own_rows(store, file), file, wanted)
    for one in earlier:
        missing = {day: value for day, value in wanted.items() if day not in _sessions(found, file.key.feed)}
        found = pl.concat([found, _matching(_own_rows(store, one), one, missing)])
    return found.sort("timestamp")


def _unhashed(store: Store, file: FileRecord, earlier: Sequence[FileRecord]) -> pl.DataFrame:
    """Every old value or version that can still be read: the pages have checksums, and no hash is on record."""
    parts = [_own_rows(store, one) for one in (file, *earlier)]
    if file.dataset == layout.REVISIONS:
        parts = [_within(part, one) for part, one in zip(parts, (file, *earlier), strict=True)]
        return pl.concat(parts).unique().sort("timestamp", "superseded_at")
    keys = [name for name in KINDS[file.dataset].keys if name in parts[0].columns]
    return pl.concat(parts).unique().sort(*keys, "published_at", "ingested_at")


def _own_rows(store: Store, file: FileRecord) -> pl.DataFrame:
    """Readable rows of a file that is the one on record; another file that took its place has none."""
    data = bytes_of(store, file.path)
    if isinstance(data, OSError):
        data = pa.py_buffer(b"")
    try:
        with open_strictly(data) as source:
            is_other = difference(metadata_of(source), file) is not None
    except FormatError:
        is_other = False
    rows = readable_rows(data, file.dataset, file.key.feed)
    return rows.clear() if is_other else rows


def _within(rows: pl.DataFrame, file: FileRecord) -> pl.DataFrame:
    start, end = session_bounds(file.key.period.start, file.key.period.end, file.key.feed)
    return rows.filter(pl.col("timestamp").is_between(start, end, closed="left"))


def _matching(rows: pl.DataFrame, file: FileRecord, wanted: dict[dt.date, str]) -> pl.DataFrame:
    rows = _within(rows, file)
    hashes = content_hashes(rows, file.key.feed).select("session", "content_hash").iter_rows()
    good = [day for day, value in hashes if wanted.get(day) == value]
    return rows.filter(session_of(pl.col("timestamp"), file.key.feed).is_in(good))


def _sessions(rows: pl.DataFrame, feed: str) -> set[dt.date]:
    return set(rows.select(session_of(pl.col("timestamp"), feed).unique()).to_series())
