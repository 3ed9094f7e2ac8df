"""Bars in: check the rows, choose the partitions, merge, write the files, commit once.

Two writers on one partition both succeed: the second finds at its commit that the files it merged from
were replaced, merges again from the new ones and commits that.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from barlake import layout
from barlake.errors import BarlakeError, ConflictError, InvalidInputError
from barlake.keys import PartitionKey, Period, PeriodLength, parse_feed, parse_symbol
from barlake.manifest import Manifest
from barlake.partitions import Merge, collect, content_hashes, merge, read_files, write_file
from barlake.quality import QUARANTINE_COLUMNS, RowCheck, check_rows
from barlake.records import Answer, AnswerStatus, Commit, Cursor, FileRecord, HeldSession, new_commit_id, utc_now
from barlake.schemas import BAR_VALUES
from barlake.sessions import NEW_YORK, Calendar, session_of

__all__ = ["BarWriter", "Progress", "WriteReport", "choose_periods"]

IMPORT_SOURCE = "import"
MAX_CONFLICTS = 20
_STAMP = pl.Datetime("us", "UTC")
_TYPES = {
    "timestamp": _STAMP,
    **dict.fromkeys(("open", "high", "low", "close", "vwap"), pl.Float64()),
    **dict.fromkeys(("volume", "trade_count"), pl.Int64()),
}


@dataclass(frozen=True)
class WriteReport:
    """What one write did. Counts are rows, except `files_written`."""

    inserted: int = 0
    unchanged: int = 0
    changed: int = 0
    quarantined: int = 0
    duplicates: int = 0
    files_written: int = 0

    def __add__(self, other: WriteReport) -> WriteReport:
        return WriteReport(
            self.inserted + other.inserted,
            self.unchanged + other.unchanged,
            self.changed + other.changed,
            self.quarantined + other.quarantined,
            self.duplicates + other.duplicates,
            self.files_written + other.files_written,
        )


@dataclass(frozen=True)
class Progress:
    """What a source's answer means beyond its rows; committed together with them."""

    cursor: Cursor | None = None
    cursor_done: str | None = None
    answers: Sequence[Answer] = ()


@dataclass(frozen=True)
class _Written:
    """One target period after its merge, with its new files (none when nothing changed)."""

    period: Period
    merge: Merge
    replaced: list[str]
    added: list[FileRecord]


def choose_periods(
    sessions: Sequence[dt.date], counting: Sequence[Period], *, longest: PeriodLength, today: dt.date
) -> list[Period]:
    """Periods to write a set of sessions into: disjoint, in order, covering each session once.

    A closed year or month gets one file, up to the length asked for; a session of the open month gets a
    file of its own. Rows of a period that a coarser file already covers go into that file.

    Parameters
    ----------
    counting
        Periods of the files that count now.
    today
        New York date: a period is closed when it has ended by then.

    Examples
    --------
    >>> day = dt.date(2024, 1, 2)
    >>> [p.label for p in choose_periods([day], [], longest=PeriodLength.MONTH, today=dt.date(2024, 2, 1))]
    ['2024-01']
    """
    chosen: set[Period] = set()
    for session in sorted(set(sessions)):
        lengths = list(PeriodLength)[: list(PeriodLength).index(longest) + 1]
        closed = [period for period in (Period.of(session, length) for length in lengths) if period.end <= today]
        best = closed[-1] if closed else Period.of_session(session)
        coarser = [period for period in counting if period.covers(best)]
        chosen.add(max(coarser, key=lambda period: period.end - period.start) if coarser else best)
    return sorted(chosen)


class BarWriter:
    """Writes bars of one lake.

    Parameters
    ----------
    calendar
        Gives the sessions; called when the first bar is written.
    now
        The clock, for what is closed and for `ingested_at`.
    """

    def __init__(
        self,
        root: Path,
        manifest: Manifest,
        calendar: Callable[[], Calendar],
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._root = root
        self._manifest = manifest
        self._calendar = calendar
        self._now = now

    def write(
        self,
        frame: pl.DataFrame,
        *,
        feed: str,
        symbol: str,
        source: str,
        origin: str = "",
        refused: pl.DataFrame | None = None,
        longest: PeriodLength = PeriodLength.MONTH,
        progress: Progress | None = None,
    ) -> WriteReport:
        """Merge rows into the lake in one commit; the same rows again change nothing.

        Parameters
        ----------
        frame
            timestamp (aware) and open, high, low, close, volume; trade_count and vwap may be missing.
            Rows that break a hard rule go to quarantine.
        source, origin
            Who writes (`alpaca`, `import`), and from where exactly, for the quarantine.
        refused
            Rows the caller could not even read, as `QUARANTINE_COLUMNS`.

        Raises
        ------
        InvalidInputError
            If a column is missing, or the timestamp has no time zone.
        ConflictError
            If other writers were first too often in a row.
        StorageError
            If the disk is full or refuses.
        """
        feed, symbol, progress = parse_feed(feed), parse_symbol(symbol), progress or Progress()
        check = check_rows(_typed(frame))
        bad = check.bad if refused is None else pl.concat([check.bad, refused.select(QUARANTINE_COLUMNS)])
        base = Commit("", source, feed, symbol, quarantined=bad, origin=origin,
                      answers=progress.answers, cursor=progress.cursor, cursor_done=progress.cursor_done)  # fmt: skip
        for attempt in range(MAX_CONFLICTS):
            try:
                return self._write_once(base, check, bad.height, longest)
            except ConflictError:
                if attempt == MAX_CONFLICTS - 1:
                    raise
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))  # noqa: S311 - jitter, no secret
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def record(self, *, feed: str, symbol: str, source: str, progress: Progress) -> None:
        """Commit what a source's answer means when it brings no rows of its own."""
        commit_id = new_commit_id(self._now())
        self._manifest.commit(
            Commit(
                commit_id,
                source,
                parse_feed(feed),
                parse_symbol(symbol),
                answers=progress.answers,
                cursor=progress.cursor,
                cursor_done=progress.cursor_done,
            )
        )

    def _write_once(self, base: Commit, check: RowCheck, quarantined: int, longest: PeriodLength) -> WriteReport:
        moment = self._now()
        commit_id = new_commit_id(moment)
        incoming = check.good.with_columns(session_of(pl.col("timestamp")).alias("session"))
        written: list[_Written] = []
        fresh: list[str] = []
        try:
            for period, counting in self._targets(base, incoming["session"].unique().to_list(), longest, moment):
                rows = incoming.filter(pl.col("session").is_between(period.start, period.end, closed="left"))
                key = PartitionKey(base.feed, base.symbol, period)
                written.append(self._write_partition(key, rows.drop("session"), counting, commit_id, moment, fresh))
            changed = [one for one in written if one.added]
            self._manifest.commit(self._as_commit(base, commit_id, changed, incoming))
        except BaseException:
            self._discard(fresh)
            raise
        return WriteReport(
            inserted=sum(one.merge.inserted for one in written),
            unchanged=sum(one.merge.unchanged for one in written),
            changed=sum(one.merge.changed for one in written),
            quarantined=quarantined,
            duplicates=check.duplicates,
            files_written=sum(len(one.added) for one in written),
        )

    def _discard(self, paths: list[str]) -> None:
        """Delete the files of a write that did not happen.

        An interrupt may fall between the commit and its return, so the manifest is asked. Where it or the
        disk does not answer, files stay: the vacuum knows which of them count.
        """
        with contextlib.suppress(BarlakeError):
            known = self._manifest.known_paths()
            for path in paths:
                if path not in known:
                    with contextlib.suppress(OSError):
                        (self._root / path).unlink()

    def _targets(
        self, base: Commit, sessions: list[dt.date], longest: PeriodLength, moment: dt.datetime
    ) -> list[tuple[Period, list[FileRecord]]]:
        """Each period to write, with the files that count in it now."""
        if not sessions:
            return []
        counting = self._manifest.files(
            feed=base.feed,
            symbol=base.symbol,
            start=Period.of_year(min(sessions)).start,
            end=Period.of_year(max(sessions)).end,
        )
        today = moment.astimezone(NEW_YORK).date()
        periods = choose_periods(sessions, [file.key.period for file in counting], longest=longest, today=today)
        return [(period, [file for file in counting if period.covers(file.key.period)]) for period in periods]

    def _write_partition(
        self,
        key: PartitionKey,
        incoming: pl.DataFrame,
        counting: list[FileRecord],
        commit_id: str,
        moment: dt.datetime,
        fresh: list[str],
    ) -> _Written:
        """Merge rows into one partition; the paths of new files go to `fresh` before they are written."""
        held = collect(read_files([self._root / file.path for file in counting]))
        merged = merge(held, incoming, ingested_at=moment)
        replaced = [file.path for file in counting]
        if merged.is_noop:
            return _Written(key.period, merged, replaced, [])
        added = [self._write_file(layout.BARS, key, merged.rows, commit_id, replaced, fresh)]
        if merged.changed:
            old = merged.superseded.with_columns(superseded_at=pl.lit(moment, dtype=_STAMP))
            added.append(self._write_file(layout.REVISIONS, key, old, commit_id, [], fresh))
        return _Written(key.period, merged, replaced, added)

    def _write_file(
        self,
        dataset: str,
        key: PartitionKey,
        rows: pl.DataFrame,
        commit_id: str,
        replaces: list[str],
        fresh: list[str],
    ) -> FileRecord:
        folder = layout.partition_path(dataset, key)
        name = f"{commit_id}.parquet"
        fresh.append(str(folder / name))
        metadata = {
            "barlake.dataset": dataset,
            "barlake.feed": key.feed,
            "barlake.symbol": key.symbol,
            "barlake.period": key.period.label,
            "barlake.commit": commit_id,
            "barlake.replaces": "\n".join(replaces),
        }
        path = write_file(self._root / folder, name, rows, metadata=metadata)
        stamps = rows["timestamp"]
        return FileRecord(str(folder / name), dataset, key, rows.height, path.stat().st_size, stamps[0], stamps[-1])

    def _as_commit(self, base: Commit, commit_id: str, changed: list[_Written], incoming: pl.DataFrame) -> Commit:
        held: list[HeldSession] = []
        touched = incoming.select("session").unique()
        for one in changed:
            rows = one.merge.rows.filter(session_of(pl.col("timestamp")).is_in(touched["session"].implode()))
            held.extend(self._held(rows))
        answers = list(base.answers)
        if base.source == IMPORT_SOURCE:
            answers = [Answer(day, AnswerStatus.IMPORTED, 0) for day in sorted(touched["session"].to_list())]
        return Commit(
            commit_id, base.source, base.feed, base.symbol,
            added=[file for one in changed for file in one.added],
            removed=[path for one in changed for path in one.replaced],
            periods=[one.period for one in changed],
            held=held, answers=answers, cursor=base.cursor, cursor_done=base.cursor_done,
            quarantined=base.quarantined, origin=base.origin,
        )  # fmt: skip

    def _held(self, rows: pl.DataFrame) -> list[HeldSession]:
        hashes = content_hashes(rows)
        bounds = self._calendar().frame.select("session", "open", "close")
        inside = pl.col("timestamp").is_between(pl.col("open"), pl.col("close"), closed="left")
        regular = (
            rows.select("timestamp", session_of(pl.col("timestamp")).alias("session"))
            .join(bounds, on="session", how="inner")
            .filter(inside)
            .group_by("session")
            .len("regular_rows")
        )
        joined = hashes.join(regular, on="session", how="left", maintain_order="left")
        return [
            HeldSession(
                row["session"],
                row["rows"],
                row["regular_rows"] or 0,
                row["first"],
                row["last"],
                row["content_hash"],
            )
            for row in joined.iter_rows(named=True)
        ]


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of a bar in their types; what was optional and is missing becomes null."""
    required = [name for name in ("timestamp", "open", "high", "low", "close", "volume") if name not in frame.columns]
    if required:
        raise InvalidInputError(
            f"bars lack the column{'s' if len(required) > 1 else ''} {', '.join(required)}: "
            "timestamp, open, high, low, close and volume are needed; trade_count and vwap may be missing."
        )
    kind = frame.schema["timestamp"]
    if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
        raise InvalidInputError(
            f"column timestamp is {kind}, without a time zone: give instants with a zone, such as 2024-01-02T14:30:00Z."
        )
    optional = [pl.lit(None).alias(name) for name in ("trade_count", "vwap") if name not in frame.columns]
    frame = frame.with_columns(*optional).with_columns(pl.col("timestamp").dt.convert_time_zone("UTC"))
    extra = [name for name in ("row_number", "raw") if name in frame.columns]
    try:
        typed = frame.select(*[_value(name, frame.schema[name]) for name in ("timestamp", *BAR_VALUES)], *extra)
    except pl.exceptions.PolarsError as error:
        raise InvalidInputError(
            f"bars have a column that is not numbers: {str(error).splitlines()[0]}. Give prices as floats, "
            "volume and trade_count as integers."
        ) from error
    return typed.with_columns(pl.col("vwap").fill_nan(None))


def _value(name: str, kind: pl.DataType) -> pl.Expr:
    """A column in its type; a count that is no whole number becomes null, for the rules to see."""
    value, wanted = pl.col(name), _TYPES[name]
    if wanted.is_integer() and kind.is_float():
        return pl.when(value == value.round()).then(value).cast(wanted, strict=False).alias(name)
    return value.cast(wanted)
