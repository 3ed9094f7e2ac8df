"""Day files to month files to year files, without a reader noticing.

Small files are quick to write and slow to read. Once a month or a year has closed, its files become one:
the same rows in a new file, and one commit that puts it in the place of the others. Hashes are over
values, so none changes; a reader that took its file list before keeps those files until the vacuum.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from barlake import layout
from barlake.bar_files import taken_over, write_bar_file
from barlake.bar_sources import who_delivered
from barlake.errors import BarlakeError, ConflictError
from barlake.keys import PartitionKey, Period, PeriodLength
from barlake.manifest import Manifest
from barlake.partitions import collect, read_files
from barlake.records import Commit, FileRecord, new_commit_id, utc_now
from barlake.stores import Store

__all__ = ["RollupReport", "RollupStep", "plan_rollup", "rollup"]

SOURCE = "rollup"
_SORT = {layout.BARS: ["timestamp"], layout.REVISIONS: ["timestamp", "superseded_at"]}


@dataclass(frozen=True)
class RollupReport:
    """How many files became how many, and how many partitions another writer was at: they come next time."""

    files_before: int = 0
    files_after: int = 0
    rows: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class RollupStep:
    """The files that become one partition file."""

    dataset: str
    key: PartitionKey
    files: tuple[FileRecord, ...]


def _closed_period(session: dt.date, today: dt.date) -> Period:
    """The longest period around a session that has ended; the session itself while its month is open."""
    for length in (PeriodLength.YEAR, PeriodLength.MONTH):
        period = Period.of(session, length)
        if period.end <= today:
            return period
    return Period.of_session(session)


def plan_rollup(files: Iterable[FileRecord], *, today: dt.date) -> list[RollupStep]:
    """What a rollup would do to the files that count: nothing where each closed period has one file.

    Parameters
    ----------
    today
        New York date: a period is closed when it has ended by then.
    """

    def target(file: FileRecord) -> tuple[str, str, str, Period]:
        closed = _closed_period(file.key.period.start, today)
        # A file may be coarser than the calendar asks for; it is never split.
        period = file.key.period if file.key.period.covers(closed) else closed
        return file.dataset, file.key.feed, file.key.symbol, period

    steps = []
    for (dataset, feed, symbol, period), group in groupby(sorted(files, key=target), key=target):
        members = tuple(group)
        if len(members) > 1 or members[0].key.period != period:
            steps.append(RollupStep(dataset, PartitionKey(feed, symbol, period), members))
    return steps


def rollup(
    store: Store,
    manifest: Manifest,
    *,
    today: dt.date,
    feed: str | None = None,
    symbols: Iterable[str] | None = None,
    on_step: Callable[[RollupStep, int, int], None] = lambda _step, _done, _total: None,
) -> RollupReport:
    """Make one file of each closed month and year of these symbols, or of all.

    A partition that another writer changes meanwhile is left for the next rollup. One partition is in
    memory at a time.

    Raises
    ------
    StorageError
        If the disk is full or refuses; what was rolled up before stays so.
    FormatError
        If a file that counts cannot be read.
    """
    wanted = None if symbols is None else set(symbols)
    counting = [
        file
        for dataset in (layout.BARS, layout.REVISIONS)
        for file in manifest.files(dataset=dataset, feed=feed)
        if wanted is None or file.key.symbol in wanted
    ]
    steps = plan_rollup(counting, today=today)
    before = after = rows = skipped = 0
    for done, step in enumerate(steps):
        on_step(step, done, len(steps))
        try:
            written = _merge_files(store, manifest, step)
        except ConflictError:
            skipped += 1
            continue
        before, after, rows = before + len(step.files), after + 1, rows + written.rows
    return RollupReport(before, after, rows, skipped)


def _merge_files(store: Store, manifest: Manifest, step: RollupStep) -> FileRecord:
    paths = [file.path for file in step.files]
    content = collect(read_files(store, paths))
    if step.dataset != layout.BARS or not content["timestamp"].is_sorted():  # bars are: one period after the other
        content = content.sort(_SORT[step.dataset])
    commit_id = new_commit_id(utc_now())
    replaces = taken_over(store, paths) if step.dataset == layout.REVISIONS else paths
    sources = who_delivered(manifest, step.key, content["ingested_at"])
    new = write_bar_file(
        store, step.dataset, step.key, content, commit_id=commit_id, replaces=replaces, sources=sources
    )
    try:
        manifest.commit(
            Commit(
                commit_id,
                SOURCE,
                step.key.feed,
                step.key.symbol,
                added=[new],
                removed=paths,
                # Old values only ever gain rows, so nobody's new file of them is in the way.
                periods=[step.key.period] if step.dataset == layout.BARS else [],
            )
        )
    except BarlakeError:
        with contextlib.suppress(BarlakeError):  # no answer: the vacuum takes it
            for path in manifest.never_counted([new.path]):
                store.delete(path)
        raise
    return new
