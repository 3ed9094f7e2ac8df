"""A new manifest from the tree, when the old one is lost or damaged.

Each file of bars or old values says in its own metadata which partition it is, which commit wrote it and
which files it takes the place of. From that alone:

1. A file that another file names as replaced does not count. What replaces a file of old values names what
   that one replaced too, as long as it is there.
2. Of the bar files that are left and overlap in period, the one of the latest commit counts; commits are
   ordered by their names, which begin with their instant. Writers replace whatever overlaps, so this only
   decides where a crash left a file whose commit never happened, or a vacuum was cut short.
3. Old values only ever gain rows, and several files of one period count side by side. Of two that both
   took the place of one and the same file, the one with more rows counts. A file of old values whose
   commit lost its bar file by rule 2 does not count either.
4. Files of daily bars, news and macro values follow rule 2, each kind by itself.
5. A file that by these rules would count, and has a damaged page, does not; nor does what it replaced.
   A file without a readable footer says nothing.

What loses by rules 2 to 4 is disputed: it is kept in `damaged/`, as is what cannot be read. Where a writer
died between writing a file and committing it, rule 2 makes that write count: it is whole, and the file it
was merged from is in it.

Who delivered a bar is said in its file, and is known again. Nobody's answer is invented: a session with all its
regular minutes, all of them stored after its end, is marked as imported, and any other is left without an answer,
so that the next ingest asks for it. Receipts, the quarantine and page tokens are gone. Models and runs are not
registered again: what loads them would have to trust files that nobody vouches for. The ledger of trials is
taken over from the old manifest if it can be read: a rebuild is no way to forget what was tried.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path, PurePosixPath

import polars as pl
from sqlalchemy import insert
from sqlalchemy.engine import URL

from barlake import layout, tables
from barlake.bar_sources import Delivered, moments_of
from barlake.database import writing
from barlake.durable import storage_errors
from barlake.errors import FormatError, InvalidInputError
from barlake.keys import ArtifactKind
from barlake.lake_database import filled_place, name_lake
from barlake.manifest import Manifest
from barlake.manifest_files import exchange, remove_database
from barlake.partition_write import held_sessions
from barlake.records import Answer, AnswerStatus, Commit, FileRecord, HeldSession
from barlake.sessions import Calendar, session_bounds, session_of
from barlake.stores import Store
from barlake.strict_files import difference, key_of_path, metadata_of, open_strictly, whole_rows

__all__ = ["RebuildReport", "TreeFile", "Verdict", "decide", "rebuild"]

SOURCE = "rebuild"
_COMMIT = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}")


@dataclass(frozen=True)
class TreeFile:
    """What one file says of itself. Its first and last timestamp are not known yet: they are its period's."""

    record: FileRecord
    replaces: frozenset[str]
    sources: str = ""

    @property
    def commit_id(self) -> str:
        """The commit that wrote it."""
        return PurePosixPath(self.record.path).stem


@dataclass(frozen=True)
class Verdict:
    """Which files count; which of the others were replaced, each with the one that did; which lost a dispute."""

    counting: tuple[TreeFile, ...]
    replaced: tuple[tuple[TreeFile, TreeFile], ...]
    disputed: tuple[TreeFile, ...]


@dataclass(frozen=True)
class RebuildReport:
    """What came of a rebuild. `unreadable` and `disputed` are paths, now below `damaged/`.

    `has_ledger` is False where an old manifest was there and its trials could not be read.
    """

    files: int
    sessions: int
    bars: int
    replaced: int
    unreadable: tuple[str, ...]
    disputed: tuple[str, ...]
    unanswered: int
    artifacts: int
    kept: str | None
    has_ledger: bool


def decide(files: Iterable[TreeFile]) -> Verdict:
    """Which files of a tree count, by rules 1 to 3 of this module. Pure; the order given does not matter."""
    latest_first = sorted(files, key=lambda file: (file.commit_id, file.record.path), reverse=True)
    replaced_by = {path: file for file in latest_first for path in file.replaces}
    left = [file for file in latest_first if file.record.path not in replaced_by]
    bars, doubtful_bars = _choose([file for file in left if file.record.dataset != layout.REVISIONS], _overlap)
    failed = {_write_of(file) for file in doubtful_bars}
    old = [file for file in left if file.record.dataset == layout.REVISIONS]
    abandoned = [file for file in old if _write_of(file) in failed]
    fullest_first = sorted((file for file in old if file not in abandoned), key=lambda file: -file.record.rows)
    old, doubtful_old = _choose(fullest_first, lambda one, other: bool(one.replaces & other.replaces))
    return Verdict(
        tuple(sorted([*bars, *old], key=lambda file: file.record.path)),
        tuple((file, replaced_by[file.record.path]) for file in latest_first if file.record.path in replaced_by),
        (*doubtful_bars, *abandoned, *doubtful_old),
    )


def _choose(
    files: Sequence[TreeFile], are_rivals: Callable[[TreeFile, TreeFile], bool]
) -> tuple[list[TreeFile], list[TreeFile]]:
    """Files that count, and those that do not because an earlier one of the list is in their place."""
    counting: list[TreeFile] = []
    disputed: list[TreeFile] = []
    for _, group in groupby(sorted(files, key=_symbol_of), key=_symbol_of):
        chosen: list[TreeFile] = []
        for file in group:
            (disputed if any(are_rivals(one, file) for one in chosen) else chosen).append(file)
        counting += chosen
    return counting, disputed


def _symbol_of(file: TreeFile) -> tuple[str, str]:
    return file.record.key.feed, file.record.key.symbol


def _write_of(file: TreeFile) -> tuple[str, str, str]:
    return *_symbol_of(file), file.commit_id


def _overlap(one: TreeFile, other: TreeFile) -> bool:
    first, second = one.record.key.period, other.record.key.period
    is_same = one.record.dataset == other.record.dataset
    return is_same and first.start < second.end and second.start < first.end


def rebuild(
    store: Store,
    root: Path,
    calendar: Calendar,
    *,
    now: Callable[[], dt.datetime],
    url: URL | None = None,
    on_file: Callable[[str, int, int], None] = lambda _path, _done, _total: None,
) -> RebuildReport:
    """Put a manifest made from the files of a store in the place of the one below `root`, if any.

    The old manifest is kept in `manifest/kept-<instant>/`. Nothing may write to the lake meanwhile. One file
    is in memory at a time.

    Parameters
    ----------
    url
        The PostgreSQL database of the lake's manifest, or an empty one to take its place; None makes a SQLite file.

    Raises
    ------
    InvalidInputError
        If there is no file of bars.
    StorageError
        If the disk is full or refuses; the old manifest stays.
    """
    paths = sorted(file.path for file in store.files() if not _is_temporary(file.path))
    if not paths:
        raise InvalidInputError(f"there is no bar file in {store.name}: nothing to make a manifest from.")
    files, wordless = _look(store, paths)
    verdict = decide(files)
    file = root / layout.MANIFEST_FILE
    building = file.with_name(f"{layout.TEMPORARY_PREFIX}{file.name}")
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        place = filled_place(store, root, url)
        remove_database(building)
        try:
            with contextlib.closing(Manifest(building, now=now)) as manifest:
                sums = _fill(store, manifest, verdict, calendar, on_file)
                _put_replaced(manifest, verdict, now())
                name_lake(store, manifest)
            unreadable = [*wordless, *sums.damaged]
            disputed = [file.record.path for file in verdict.disputed]
            for path in [*unreadable, *disputed]:
                store.set_aside(path)
            exchanged = exchange(building, place, now())
        finally:
            remove_database(building)
        for path in [*unreadable, *disputed]:
            store.delete(path)
    artifacts = [path for kind in ArtifactKind for path in (root / kind.value).glob("[0-9a-f]*/manifest.json")]
    return RebuildReport(
        files=len(verdict.counting) - len(sums.damaged),
        sessions=sums.sessions,
        bars=sums.bars,
        replaced=len(verdict.replaced),
        unreadable=tuple(unreadable),
        disputed=tuple(disputed),
        unanswered=sums.unanswered,
        artifacts=len(artifacts),
        kept=None if exchanged.kept is None else exchanged.kept.relative_to(root).as_posix(),
        has_ledger=exchanged.has_ledger,
    )


def _is_temporary(path: str) -> bool:
    return PurePosixPath(path).name.startswith(layout.TEMPORARY_PREFIX)


def _look(store: Store, paths: Sequence[str]) -> tuple[list[TreeFile], list[str]]:
    """What each file says of itself, and the paths of those that say nothing that fits their place."""
    files, wordless = [], []
    for path in paths:
        found = _ask(store, path)
        if found is None:
            wordless.append(path)
        else:
            files.append(found)
    return files, wordless


def _ask(store: Store, path: str) -> TreeFile | None:
    where = key_of_path(path)
    if where is None or not _COMMIT.fullmatch(PurePosixPath(path).stem):
        return None
    dataset, key = where
    try:
        data = store.read(path)
        with open_strictly(data) as source:
            metadata, rows = metadata_of(source), source.metadata.num_rows
    except (FormatError, OSError):
        return None
    edges = session_bounds(key.period.start, key.period.end, key.feed)
    record = FileRecord(path, dataset, key, rows, data.size, *edges)
    if difference(metadata, record) is not None or not rows:
        return None
    return TreeFile(
        record, frozenset(metadata.get("barlake.replaces", "").splitlines()), metadata.get("barlake.sources", "")
    )


@dataclass
class _Sums:
    """What the new manifest holds; `damaged` are paths that would count and cannot be read."""

    sessions: int = 0
    bars: int = 0
    unanswered: int = 0
    damaged: list[str] = field(default_factory=list)


def _fill(
    store: Store,
    manifest: Manifest,
    verdict: Verdict,
    calendar: Calendar,
    on_file: Callable[[str, int, int], None],
) -> _Sums:
    sums, done = _Sums(), 0
    delivered = Delivered()
    by_commit = sorted(verdict.counting, key=lambda file: (file.commit_id, _symbol_of(file)))
    for commit_id, written in groupby(by_commit, key=lambda file: file.commit_id):
        commits: list[Commit] = []
        for (feed, symbol), group in groupby(written, key=_symbol_of):
            added: list[FileRecord] = []
            held: list[HeldSession] = []
            answers: list[Answer] = []
            for file in group:
                rows = _rows_of(store, file.record)
                done += 1
                on_file(file.record.path, done, len(by_commit))
                if rows is None:
                    sums.damaged.append(file.record.path)
                    continue
                stamps = rows["timestamp"] if file.record.dataset in layout.BAR_DATASETS else rows["known_at"].sort()
                if file.record.dataset in layout.BAR_DATASETS:
                    delivered.add(feed, symbol, moments_of(rows["ingested_at"], file.sources))
                added.append(replace(file.record, first_timestamp=stamps[0], last_timestamp=stamps[-1]))
                if file.record.dataset == layout.BARS:
                    found = held_sessions(rows, calendar, feed)
                    known = _finished(rows, found, calendar, feed)
                    held += found
                    answers += [Answer(day, AnswerStatus.IMPORTED, 0) for day in known]
                    sums.bars += rows.height
            sums.sessions, sums.unanswered = sums.sessions + len(held), sums.unanswered + len(held) - len(answers)
            dataset = file.record.dataset if file.record.dataset in layout.RECORD_DATASETS else layout.BARS
            commits.append(
                Commit(commit_id, SOURCE, feed, symbol, added=added, held=held, answers=answers, dataset=dataset)
            )
        manifest.commit_together(commits)
    delivered.put(manifest)
    return sums


def _finished(rows: pl.DataFrame, held: Sequence[HeldSession], calendar: Calendar, feed: str) -> list[dt.date]:
    """Sessions with every regular minute, all of them stored after the session's last trading minute."""
    wanted = calendar.of(feed).frame.select(
        "session", "post_close", (pl.col("close") - pl.col("open")).dt.total_minutes().alias("minutes")
    )
    stored = rows.group_by(session_of(pl.col("timestamp"), feed).alias("session")).agg(pl.col("ingested_at").min())
    counts = pl.DataFrame(
        [(one.session, one.regular_rows) for one in held], {"session": pl.Date(), "regular": pl.Int64()}, orient="row"
    )
    known = counts.join(wanted, on="session").join(stored, on="session")
    done = (pl.col("regular") >= pl.col("minutes")) & (pl.col("ingested_at") >= pl.col("post_close"))
    return known.filter(done)["session"].sort().to_list()


def _put_replaced(manifest: Manifest, verdict: Verdict, moment: dt.datetime) -> None:
    """Records of files that stopped counting, so that the vacuum gives them their grace from now on."""
    rows = [
        {
            "path": file.record.path,
            "dataset": file.record.dataset,
            "feed": file.record.key.feed,
            "symbol": file.record.key.symbol,
            "period": file.record.key.period.label,
            "period_start": file.record.key.period.start,
            "period_end": file.record.key.period.end,
            "rows": file.record.rows,
            "bytes": file.record.bytes,
            "first_timestamp": file.record.first_timestamp,
            "last_timestamp": file.record.last_timestamp,
            "commit_id": file.commit_id,
            "removed_at": moment,
            "removed_by": by.commit_id,
        }
        for file, by in verdict.replaced
    ]
    if rows:
        with writing(manifest.engine) as connection:
            connection.execute(insert(tables.files), rows)


def _rows_of(store: Store, record: FileRecord) -> pl.DataFrame | None:
    """All rows of a file, or None when they cannot be what was written."""
    try:
        with open_strictly(store.read(record.path)) as source:
            rows = whole_rows(source, record.dataset, record.key.feed)
    except (FormatError, OSError):
        return None
    if record.dataset in layout.RECORD_DATASETS:
        return rows
    start, end = session_bounds(record.key.period.start, record.key.period.end, record.key.feed)
    inside = rows["timestamp"].is_between(start, end, closed="left").all()
    return rows if inside and rows["timestamp"].is_sorted() else None
