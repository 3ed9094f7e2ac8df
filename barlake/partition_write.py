"""One attempt at a write: choose the partitions, merge into each, write the files, commit once.

Nothing of an attempt that fails remains; whoever made it may make another from what counts then.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import polars as pl

from barlake import layout
from barlake.bar_files import write_bar_file
from barlake.bar_sources import who_delivered
from barlake.errors import BarlakeError
from barlake.keys import PartitionKey, Period, PeriodLength
from barlake.manifest import Manifest
from barlake.partitions import Merge, collect, content_hashes, merge, read_files
from barlake.records import Commit, FileRecord, HeldSession, RowRank
from barlake.schemas import BAR_VALUES
from barlake.sessions import NEW_YORK, Calendar, session_dates
from barlake.stores import Store

__all__ = ["PartitionWrite", "WriteReport", "choose_periods"]


@dataclass(frozen=True)
class WriteReport:
    """What one write did. Counts are rows, except `files_written`."""

    inserted: int = 0
    unchanged: int = 0
    changed: int = 0
    outranked: int = 0
    removed: int = 0
    quarantined: int = 0
    duplicates: int = 0
    files_written: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Rows by what became of them, where there are any."""
        return {name: count for name, count in vars(self).items() if count and name != "files_written"}

    def __add__(self, other: WriteReport) -> WriteReport:
        return WriteReport(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


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
    chosen: list[Period] = []
    for session in sorted(set(sessions)):
        if chosen and chosen[-1].start <= session < chosen[-1].end:
            continue  # every session of a period chooses the same one
        lengths = list(PeriodLength)[: list(PeriodLength).index(longest) + 1]
        closed = [period for period in (Period.of(session, length) for length in lengths) if period.end <= today]
        best = closed[-1] if closed else Period.of_session(session)
        coarser = [period for period in counting if period.covers(best)]
        chosen.append(max(coarser, key=lambda period: period.end - period.start) if coarser else best)
    return chosen


@dataclass(frozen=True)
class _Written:
    """One target period after its merge, with its new files; `rewrites` says whether its bars changed."""

    period: Period
    merge: Merge
    removed: pl.DataFrame
    replaced: list[str]
    added: list[FileRecord]
    rewrites: bool


class PartitionWrite:
    """One attempt of `BarWriter`.

    Parameters
    ----------
    base
        The commit to make, with its id and moment, still without files.
    rank
        What the incoming rows are worth.
    """

    def __init__(
        self, store: Store, manifest: Manifest, calendar: Callable[[], Calendar], base: Commit, *, rank: RowRank
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._calendar = calendar
        self._base = base
        self._rank = rank
        self._fresh: list[str] = []  # paths of new files, known before they are written
        self._ranks = manifest.provisional(feed=base.feed, symbol=base.symbol)

    def run(self, incoming: pl.DataFrame, *, removed: pl.Series | None, longest: PeriodLength) -> WriteReport:
        """Merge rows in, take bars out, and commit.

        Parameters
        ----------
        incoming
            timestamp, `BAR_VALUES`, session; timestamps unique.
        removed
            Timestamps of held bars that go.

        Raises
        ------
        ConflictError
            If another writer changed one of the partitions meanwhile.
        """
        gone = pl.Series("timestamp", [], pl.Datetime("us", "UTC")) if removed is None else removed
        gone_days = session_dates(gone, self._base.feed).alias("session")
        touched = pl.concat([incoming["session"], gone_days]).unique().sort()
        try:
            written = [
                self._write_partition(period, incoming, gone, counting)
                for period, counting in self._targets(touched.to_list(), longest)
            ]
            report = _report(written)
            self._manifest.commit(replace(self._as_commit(written, touched), counts=report.counts))
        except BaseException:
            self._discard()
            raise
        return report

    def _discard(self) -> None:
        """Delete the files of a write that did not happen.

        An interrupt or a lost connection may fall between the commit and its return, so the manifest is asked.
        If it does not answer, the files stay: the vacuum knows which of them count.
        """
        with contextlib.suppress(BarlakeError):
            for path in self._manifest.never_counted(self._fresh):
                self._store.delete(path)

    def _targets(self, sessions: list[dt.date], longest: PeriodLength) -> list[tuple[Period, list[FileRecord]]]:
        """Each period to write, with the files that count in it now."""
        if not sessions:
            return []
        counting = self._manifest.files(
            feed=self._base.feed,
            symbol=self._base.symbol,
            start=Period.of_year(min(sessions)).start,
            end=Period.of_year(max(sessions)).end,
        )
        today = self._moment.astimezone(NEW_YORK).date()
        periods = choose_periods(sessions, [file.key.period for file in counting], longest=longest, today=today)
        return [(period, [file for file in counting if period.covers(file.key.period)]) for period in periods]

    def _write_partition(
        self, period: Period, incoming: pl.DataFrame, gone: pl.Series, counting: list[FileRecord]
    ) -> _Written:
        key = PartitionKey(self._base.feed, self._base.symbol, period)
        rows = incoming.filter(pl.col("session").is_between(period.start, period.end, closed="left")).drop("session")
        held = collect(read_files(self._store, [file.path for file in counting], feed=key.feed))
        merged = merge(held, rows, ingested_at=self._moment, protected=self._protected(held))
        leaving = merged.rows["timestamp"].is_in(gone.implode())
        removed, kept = merged.rows.filter(leaving), merged.rows
        if not removed.is_empty():
            kept = merged.rows.filter(~leaving)
            merged = replace(merged, rows=kept)
        rewrites = not (merged.is_noop and removed.is_empty())
        replaced = [file.path for file in counting] if rewrites else []
        added = []
        if rewrites and not kept.is_empty():
            added.append(self._write_file(layout.BARS, key, kept, replaces=replaced))
        # Where no bar is left, the old values say what they took the place of.
        added.extend(self._write_revisions(key, merged, removed, replaces=replaced if kept.is_empty() else []))
        return _Written(period, merged, removed, replaced, added, rewrites)

    def _protected(self, held: pl.DataFrame) -> pl.Series | None:
        """Held bars that these rows may not replace: those of a higher rank."""
        if self._rank is RowRank.FINAL:
            return None
        open_to_us = self._ranks.filter(pl.col("rank") <= int(self._rank))
        return held.join(open_to_us, on="timestamp", how="anti")["timestamp"]

    def _write_revisions(
        self, key: PartitionKey, merged: Merge, removed: pl.DataFrame, *, replaces: list[str]
    ) -> list[FileRecord]:
        """Keep the values that stopped being valid now, and those that never were."""
        outranked = self._not_yet_kept(key, merged.outranked)
        old = pl.concat([merged.superseded, removed, outranked]).sort("timestamp")
        if old.is_empty():
            return []
        until = pl.lit(self._moment, dtype=pl.Datetime("us", "UTC"))
        return [self._write_file(layout.REVISIONS, key, old.with_columns(superseded_at=until), replaces=replaces)]

    def _not_yet_kept(self, key: PartitionKey, outranked: pl.DataFrame) -> pl.DataFrame:
        """Outranked rows that no revision holds yet: the same refusal is kept once."""
        if outranked.is_empty():
            return outranked
        kept = self._manifest.files(
            dataset=layout.REVISIONS,
            feed=key.feed,
            symbol=key.symbol,
            start=key.period.start,
            end=key.period.end,
        )
        if not kept:
            return outranked
        known = collect(read_files(self._store, [file.path for file in kept]))
        return outranked.join(known, on=["timestamp", *BAR_VALUES], how="anti", nulls_equal=True)

    def _write_file(self, dataset: str, key: PartitionKey, rows: pl.DataFrame, *, replaces: list[str]) -> FileRecord:
        self._fresh.append(str(layout.partition_path(dataset, key) / f"{self._base.commit_id}.parquet"))
        own = self._moment, self._base.source
        sources = who_delivered(self._manifest, key, rows["ingested_at"], own)
        commit_id = self._base.commit_id
        return write_bar_file(self._store, dataset, key, rows, commit_id=commit_id, replaces=replaces, sources=sources)

    def _as_commit(self, written: list[_Written], touched: pl.Series) -> Commit:
        rewritten = [one for one in written if one.rewrites]
        held: list[HeldSession] = []
        emptied: list[dt.date] = []
        for one in rewritten:
            days = touched.filter(touched.is_between(one.period.start, one.period.end, closed="left"))
            touching = session_dates(one.merge.rows["timestamp"], self._base.feed).is_in(days.implode())
            rows = one.merge.rows if touching.all() else one.merge.rows.filter(touching)
            holding = held_sessions(rows, self._calendar(), self._base.feed)
            held.extend(holding)
            emptied.extend(set(days.to_list()) - {session.session for session in holding})
        return replace(
            self._base,
            added=[file for one in written for file in one.added],
            removed=[path for one in rewritten for path in one.replaced],
            periods=[one.period for one in rewritten],
            held=held,
            emptied=emptied,
            ranks=self._settled_ranks(written),
        )

    def _settled_ranks(self, written: list[_Written]) -> dict[dt.datetime, RowRank]:
        """Rank of each bar whose standing this write changes."""
        if self._rank is RowRank.FINAL:
            known = self._ranks["timestamp"].implode()
            settled = [one.merge.settled.filter(one.merge.settled.is_in(known)) for one in written]
            taken_out = [one.removed["timestamp"] for one in written]
            return {stamp: RowRank.FINAL for part in (*settled, *taken_out) for stamp in part.to_list()}
        ranks: dict[dt.datetime, RowRank] = {}
        standing = dict(self._ranks.iter_rows())
        for one in written:
            fresh = set(one.merge.rows.filter(pl.col("ingested_at") == self._moment)["timestamp"].to_list())
            for stamp in one.merge.settled.to_list():
                if stamp in fresh or standing.get(stamp, RowRank.FINAL) < self._rank:
                    ranks[stamp] = self._rank
        return ranks

    @property
    def _moment(self) -> dt.datetime:
        assert self._base.moment is not None  # noqa: S101 - `BarWriter` sets it
        return self._base.moment


def _report(written: Sequence[_Written]) -> WriteReport:
    return WriteReport(
        inserted=sum(one.merge.inserted for one in written),
        unchanged=sum(one.merge.unchanged for one in written),
        changed=sum(one.merge.changed for one in written),
        outranked=sum(one.merge.outranked.height for one in written),
        removed=sum(one.removed.height for one in written),
        files_written=sum(len(one.added) for one in written),
    )


def held_sessions(rows: pl.DataFrame, calendar: Calendar, feed: str) -> list[HeldSession]:
    """What bars of a feed hold, session by session; regular rows open in [open, close) of a session of its calendar."""
    found = content_hashes(rows, feed).join(
        calendar.of(feed).frame.select("session", "open", "close"), on="session", how="left", maintain_order="left"
    )
    # Opens and closes are looked up among the stamps: no row is compared with its session's.
    stamps = rows["timestamp"].sort()
    before_open, before_close = (stamps.search_sorted(found[edge], "left") for edge in ("open", "close"))
    regular = (before_close - before_open).cast(pl.Int64)
    regular = pl.select(pl.when(found["open"].is_not_null()).then(regular).otherwise(0)).to_series()
    columns = found.select("session", "rows", regular.alias("regular"), "first", "last", "content_hash")
    return [HeldSession(*row) for row in columns.iter_rows()]
