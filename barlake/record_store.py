"""Versions of daily bars, news and macro values in files: new ones in, and what was known at an instant out.

A symbol's daily bars and a series' values of one source are one small file; articles of one source are one file
for each closed month, and one for each day of the open one. Files are immutable and count by the manifest, as
those of minute bars do; a file in the place of another holds all its versions.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace

import polars as pl
from sqlalchemy import select

from barlake import layout, tables
from barlake.bar_files import write_bar_file
from barlake.database import reading
from barlake.errors import BarlakeError, ConflictError
from barlake.keys import PartitionKey, Period, PeriodLength, parse_feed, parse_symbol
from barlake.manifest import Manifest
from barlake.new_york import new_york_dates
from barlake.partition_write import choose_periods
from barlake.partitions import collect
from barlake.record_kinds import RecordKind, Rows, empty_versions
from barlake.records import Commit, FileRecord, new_commit_id
from barlake.sessions import NEW_YORK
from barlake.stores import Store
from barlake.versions import merge_versions

__all__ = ["RecordReport", "RecordStore"]

MAX_CONFLICTS = 20


@dataclass(frozen=True)
class RecordReport:
    """What one write did. Counts are rows, except `files_written`.

    Parameters
    ----------
    changed
        Rows of records held before, of which they are another version.
    early
        Rows left out because they may not be known yet, such as the bar of a session that is still on.
    """

    inserted: int = 0
    unchanged: int = 0
    changed: int = 0
    early: int = 0
    quarantined: int = 0
    files_written: int = 0

    def __add__(self, other: RecordReport) -> RecordReport:
        return RecordReport(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


class RecordStore:
    """Records of one lake.

    Parameters
    ----------
    now
        The clock, for `ingested_at`.
    """

    def __init__(self, store: Store, manifest: Manifest, now: Callable[[], dt.datetime]) -> None:
        self._store = store
        self._manifest = manifest
        self._now = now

    def write(self, kind: RecordKind, rows: Rows, *, source: str) -> RecordReport:
        """Keep what of these rows is new; the same rows again write nothing.

        Each symbol or series is a commit of its own.

        Raises
        ------
        ConflictError
            If other writers were first too often in a row.
        StorageError
            If the disk is full or refuses; symbols before that one are kept.
        """
        source, report = parse_feed(source), RecordReport(quarantined=rows.bad.height)
        # A name that is none is refused before anything is kept.
        names = {} if kind.part is None else {one: parse_symbol(one) for one in rows.good[kind.part].unique().sort()}
        if rows.bad.height:
            moment = self._manifest.next_moment(source, layout.EVERY_SYMBOL, self._now())
            self._manifest.commit(
                Commit(
                    new_commit_id(moment), source, source, layout.EVERY_SYMBOL,
                    quarantined=rows.bad, origin=kind.dataset, dataset=kind.dataset,
                )
            )  # fmt: skip
        if kind.part is None:
            return report + self._write_part(kind, source, layout.EVERY_SYMBOL, rows.good)
        for (name,), part in rows.good.group_by(kind.part, maintain_order=True):
            symbol = names[name]
            report += self._write_part(kind, source, symbol, part.with_columns(pl.lit(symbol).alias(kind.part)))
        return report

    def read(
        self,
        kind: RecordKind,
        *,
        parts: Collection[str] | None = None,
        source: str | None = None,
        start: dt.date | None = None,
        end: dt.date | None = None,
        as_of: dt.datetime | None = None,
    ) -> pl.DataFrame:
        """Every version held now, or at an instant: the columns of the kind.

        Parameters
        ----------
        parts
            Symbols or series; None takes all.
        start, end
            New York dates of `day`, half-open; None leaves that side open.

        Raises
        ------
        FormatError
            If a file that counts cannot be read.
        """
        source = None if source is None else parse_feed(source)
        files = self._manifest.files(dataset=kind.dataset, feed=source, start=start, end=end)
        paths = [file.path for file in files if parts is None or file.key.symbol in parts]
        if not paths:
            return empty_versions(kind)
        rows = self._store.scan(paths, keys=layout.folder_names(kind.dataset)).select(kind.columns)
        if kind.part is not None and start is not None:
            rows = rows.filter(pl.col(kind.day) >= start)
        if kind.part is not None and end is not None:
            rows = rows.filter(pl.col(kind.day) < end)
        return collect(rows) if as_of is None else self._held_at(collect(rows), kind, as_of)

    def _held_at(self, rows: pl.DataFrame, kind: RecordKind, as_of: dt.datetime) -> pl.DataFrame:
        """Versions that the lake held at an instant: one may carry a moment before it and be committed after it."""
        table = tables.commits
        query = select(table.c.feed, table.c.symbol, table.c.moment).where(
            table.c.dataset == kind.dataset, table.c.moment <= as_of, table.c.committed_at > as_of
        )
        with reading(self._manifest.engine) as connection:
            late = [tuple(row) for row in connection.execute(query)]
        own = ("source", kind.part or "late", "ingested_at")
        schema = dict(zip(own, (pl.String(), pl.String(), pl.Datetime("us", "UTC")), strict=True))
        keys = [name for name in own if name in rows.columns]
        rows = rows.filter(pl.col("ingested_at") <= as_of)
        return rows.join(pl.DataFrame(late, schema=schema, orient="row"), on=keys, how="anti", maintain_order="left")

    def _write_part(self, kind: RecordKind, source: str, symbol: str, rows: pl.DataFrame) -> RecordReport:
        for attempt in range(MAX_CONFLICTS):
            moment = self._manifest.next_moment(source, symbol, self._now())
            base = Commit(new_commit_id(moment), source, source, symbol, moment=moment, dataset=kind.dataset)
            try:
                return _Attempt(self._store, self._manifest, kind, base, moment).run(rows)
            except ConflictError:
                if attempt == MAX_CONFLICTS - 1:
                    raise
                time.sleep(random.uniform(0, 0.02 * 2 ** min(attempt, 6)))  # noqa: S311 - jitter, no secret
        raise AssertionError  # pragma: no cover - the loop returns or raises


class _Attempt:
    """One attempt at a write; nothing remains of one that fails."""

    def __init__(self, store: Store, manifest: Manifest, kind: RecordKind, base: Commit, moment: dt.datetime) -> None:
        self._store = store
        self._manifest = manifest
        self._kind = kind
        self._base = base
        self._moment = moment
        self._added: list[FileRecord] = []
        self._replaced: list[str] = []
        self._fresh: list[str] = []

    def run(self, rows: pl.DataFrame) -> RecordReport:
        """Merge rows in and commit, if any is new."""
        report, periods = RecordReport(), []
        try:
            for period, counting, part in self._targets(rows):
                found = self._merge(period, counting, part)
                if found.files_written:
                    periods.append(period)
                report += found
            if periods:
                counts = {"inserted": report.inserted, "changed": report.changed}
                self._manifest.commit(
                    replace(self._base, added=self._added, removed=self._replaced, periods=periods, counts=counts)
                )
        except BaseException:
            # An interrupt may fall between the commit and its return, so the manifest is asked.
            with contextlib.suppress(BarlakeError):
                for path in self._manifest.never_counted(self._fresh):
                    self._store.delete(path)
            raise
        return report

    def _targets(self, rows: pl.DataFrame) -> list[tuple[Period, list[FileRecord], pl.DataFrame]]:
        """Each period to write, with the files that count in it now and its rows."""
        if rows.is_empty():
            return []
        base = self._base
        counting = self._manifest.files(dataset=base.dataset, feed=base.feed, symbol=base.symbol)
        if self._kind.part is not None:
            return [(Period.always(), counting, rows)]
        days = new_york_dates(rows[self._kind.day])
        periods = choose_periods(
            days.unique().to_list(),
            [file.key.period for file in counting],
            longest=PeriodLength.MONTH,
            today=self._moment.astimezone(NEW_YORK).date(),
        )
        return [
            (
                period,
                [file for file in counting if period.covers(file.key.period)],
                rows.filter(days.is_between(period.start, period.end, closed="left")),
            )
            for period in periods
        ]

    def _merge(self, period: Period, counting: list[FileRecord], rows: pl.DataFrame) -> RecordReport:
        kind, paths = self._kind, [file.path for file in counting]
        held = empty_versions(kind).drop("source")
        if paths:
            names = layout.folder_names(kind.dataset)
            held = collect(self._store.scan(paths, keys=names).select(held.columns))
        found = merge_versions(held, rows, keys=kind.keys, moment=self._moment)
        if found.new.is_empty():
            return RecordReport(unchanged=found.unchanged)
        key = PartitionKey(self._base.feed, self._base.symbol, period)
        whole = pl.concat([held, found.new]).sort(*kind.keys, "published_at", "ingested_at")
        self._fresh.append(str(layout.partition_path(kind.dataset, key) / f"{self._base.commit_id}.parquet"))
        self._added.append(
            write_bar_file(
                self._store, kind.dataset, key, whole, commit_id=self._base.commit_id, replaces=paths
            )
        )  # fmt: skip
        self._replaced += paths
        return RecordReport(found.inserted, found.unchanged, found.changed, files_written=1)
