"""Provisional bars of many symbols in one commit: what a live minute brings, and what a poll answers.

The same merge as `PartitionWrite` makes for one symbol, made once for all of them, and the same promises: each
file is complete and durable before the one transaction that makes all of them count. Files are written side by
side, so that the disk has many of them to bring to safety at a time.

What the files hold that were written last is kept in memory. A file never changes, so what is kept of one is
what it holds.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from barlake import layout
from barlake.bar_files import taken_over, write_bar_file
from barlake.bar_sources import line_of, sources_of, told_by
from barlake.errors import BarlakeError
from barlake.group_records import counting_files, ranks_of
from barlake.keys import PartitionKey, Period
from barlake.manifest import Manifest
from barlake.partition_write import WriteReport
from barlake.partitions import SCHEMAS, as_table, collect, digests, read_files
from barlake.records import Commit, FileRecord, HeldSession, RowRank
from barlake.schemas import BAR_VALUES, BARS
from barlake.sessions import Calendar
from barlake.stores import Store

__all__ = ["GroupWrite", "HeldRows"]

WRITERS = 8
"""Files on their way to the disk at a time: what they wait for is its cache being flushed."""

_ONE_DAY = dt.timedelta(days=1)
_KEY = ["symbol", "timestamp"]
_PARTITION = ["symbol", "session"]


@dataclass
class HeldRows:
    """Rows of the files that group writes of one feed made last: path, symbol, session, then `BARS`."""

    frame: pl.DataFrame | None = None

    def of(self, store: Store, files: Sequence[FileRecord], feed: str) -> pl.DataFrame:
        """Rows of these files, each of one session, sorted by symbol and timestamp; read where they are not kept."""
        if self.frame is None:
            return _labelled(store, files, layout.BARS, feed).sort(_KEY)
        kept = self.frame.filter(pl.col("path").is_in([file.path for file in files]))
        known = set(kept["path"].unique())
        absent = [file for file in files if file.path not in known]
        return pl.concat([kept, _labelled(store, absent, layout.BARS, feed)]).sort(_KEY)

    def keep(self, rows: pl.DataFrame) -> None:
        """Keep rows that were written, in the place of what was kept of the same sessions; older sessions go."""
        if rows.is_empty():
            return
        newest = rows["session"].max()
        assert isinstance(newest, dt.date)  # noqa: S101 - narrows polars' Any
        if self.frame is not None:
            others = self.frame.filter(pl.col("session") > newest - _ONE_DAY)
            rows = pl.concat([others.join(rows, on=_PARTITION, how="anti"), rows])
        self.frame = rows


@dataclass(frozen=True)
class _Part:
    """One session of one symbol, and the half-open range of its rows."""

    symbol: str
    session: dt.date
    begin: int
    end: int

    @property
    def of(self) -> tuple[str, dt.date]:
        """Whose and which session."""
        return self.symbol, self.session


@dataclass
class _Partition:
    """What the write leaves of one session of one symbol."""

    added: list[FileRecord] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    held: list[HeldSession] = field(default_factory=list)
    ranks: dict[dt.datetime, RowRank] = field(default_factory=dict)
    is_rewritten: bool = False


class GroupWrite:
    """One attempt at a write of provisional bars of many symbols of one feed.

    Parameters
    ----------
    kept
        Rows of the last such write, and of this one when it is done.
    base
        The commit to make, with its id and moment, still without symbols and files.
    """

    def __init__(
        self,
        store: Store,
        manifest: Manifest,
        calendar: Callable[[], Calendar],
        kept: HeldRows,
        base: Commit,
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._calendar = calendar
        self._kept = kept
        self._base = base
        self._feed = base.feed
        self._fresh: list[str] = []

    def run(self, incoming: pl.DataFrame, files: dict[str, list[FileRecord]]) -> WriteReport:
        """Merge, write and commit.

        Parameters
        ----------
        incoming
            symbol, session, timestamp, `BAR_VALUES`, rank; symbol and timestamp unique.
        files
            By symbol, the bar files that count for these sessions: at most one for each, of that session alone.

        Raises
        ------
        ConflictError
            If another writer changed one of the partitions meanwhile.
        """
        wanted = set(incoming.select("symbol", "session").unique().iter_rows())
        counting = {
            (symbol, file.key.period.start): file
            for symbol, own in files.items()
            for file in own
            if (symbol, file.key.period.start) in wanted
        }
        held = self._kept.of(self._store, list(counting.values()), self._feed)
        kinds = self._kinds(incoming, held)
        partitions: dict[tuple[str, dt.date], _Partition] = {}
        try:
            written = self._write_bars(kinds, held, counting, partitions)
            self._write_revisions(kinds, held, partitions)
            self._settle_ranks(kinds, partitions)
            counts = dict(kinds.group_by("kind").len().iter_rows())
            report = WriteReport(
                inserted=counts.get("new", 0),
                unchanged=counts.get("same", 0),
                changed=counts.get("changed", 0),
                outranked=counts.get("outranked", 0),
                files_written=sum(len(one.added) for one in partitions.values()),
            )
            if partitions:
                self._manifest.commit_together(self._commits(partitions, report))
        except BaseException:
            self._discard()
            raise
        self._kept.keep(written)
        return report

    def _kinds(self, incoming: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
        """What each incoming row is beside the held ones: its columns, ingested_at, standing and kind."""
        stamped = incoming.with_columns(ingested_at=pl.lit(self._moment, dtype=pl.Datetime("us", "UTC")))
        pairs = stamped.join(held.drop("path", "session"), on=_KEY, how="left", suffix="_held", maintain_order="left")
        is_held = pl.col("ingested_at_held").is_not_null()
        known = ranks_of(self._manifest, pairs.filter(is_held).select(_KEY), feed=self._feed)
        pairs = pairs.join(known, on=_KEY, how="left", maintain_order="left")
        pairs = pairs.with_columns(pl.col("standing").fill_null(int(RowRank.FINAL)))
        is_equal = pl.all_horizontal([pl.col(name).eq_missing(pl.col(f"{name}_held")) for name in BAR_VALUES])
        kind = (
            pl.when(~is_held)
            .then(pl.lit("new"))
            .when(is_equal)
            .then(pl.lit("same"))
            .when(pl.col("standing") > pl.col("rank"))
            .then(pl.lit("outranked"))
            .otherwise(pl.lit("changed"))
        )
        return pairs.select(*stamped.columns, "standing", kind.alias("kind"))

    def _write_bars(
        self,
        kinds: pl.DataFrame,
        held: pl.DataFrame,
        counting: dict[tuple[str, dt.date], FileRecord],
        partitions: dict[tuple[str, dt.date], _Partition],
    ) -> pl.DataFrame:
        """Write the sessions that change; their rows as `HeldRows` keeps them."""
        fresh = kinds.filter(pl.col("kind").is_in(["new", "changed"]))
        touched = fresh.select("symbol", "session").unique()
        if touched.is_empty():
            return held.clear()
        standing = held.drop("path").join(touched, on=_PARTITION, how="semi").join(fresh, on=_KEY, how="anti")
        rows = pl.concat([standing, fresh.select(standing.columns)]).sort(_KEY)
        parts = _parts(rows)
        for part, found in zip(parts, _held_sessions(rows, parts, self._calendar().of(self._feed)), strict=True):
            before = counting.get(part.of)
            replaced = [before.path] if before else []
            partitions[part.of] = _Partition(removed=replaced, held=[found], is_rewritten=True)
        added = self._put_all(layout.BARS, rows, [(part, partitions[part.of].removed) for part in parts])
        paths = []
        for part, file in zip(parts, added, strict=True):
            partitions[part.of].added.append(file)
            paths.append((*part.of, file.path))
        schema = {"symbol": pl.String(), "session": pl.Date(), "path": pl.String()}
        labels = pl.DataFrame(paths, schema=schema, orient="row")
        return rows.join(labels, on=_PARTITION, maintain_order="left").select("path", *_PARTITION, *BARS.names)

    def _write_revisions(
        self, kinds: pl.DataFrame, held: pl.DataFrame, partitions: dict[tuple[str, dt.date], _Partition]
    ) -> None:
        """Keep the values that stopped being valid now, and those that never were: one file for each session.

        A bar is corrected so often during a session that a file for each time would be thousands.
        """
        columns = [*_PARTITION, *BARS.names]
        superseded = held.join(kinds.filter(kind="changed"), on=_KEY, how="semi").select(columns)
        outranked = kinds.filter(kind="outranked").select(columns)
        old = pl.concat([superseded, outranked])
        if old.is_empty():
            return
        files = self._revisions_of(old)
        known = _labelled(self._store, [file for own in files.values() for file in own], layout.REVISIONS, self._feed)
        # The same refusal is kept once.
        values = [*_KEY, *BAR_VALUES]
        new = pl.concat([superseded, outranked.join(known, on=values, how="anti", nulls_equal=True)])
        if new.is_empty():
            return
        new = new.with_columns(superseded_at=pl.lit(self._moment, dtype=pl.Datetime("us", "UTC")))
        rows = pl.concat([known.drop("path").select(new.columns), new]).join(new, on=_PARTITION, how="semi")
        rows = rows.sort(*_KEY, "superseded_at")
        jobs = []
        for part in _parts(rows):
            own = [file.path for file in files.get(part.of, [])]
            jobs.append((part, taken_over(self._store, own) if own else []))
            partitions.setdefault(part.of, _Partition()).removed.extend(own)
        for (part, _), file in zip(jobs, self._put_all(layout.REVISIONS, rows, jobs), strict=True):
            partitions[part.of].added.append(file)

    def _revisions_of(self, old: pl.DataFrame) -> dict[tuple[str, dt.date], list[FileRecord]]:
        """By symbol and session, the files of old values that count for it alone."""
        days, names = old["session"].unique().sort().to_list(), old["symbol"].unique().to_list()
        end = days[-1] + _ONE_DAY
        files = counting_files(self._manifest, layout.REVISIONS, feed=self._feed, symbols=names, start=days[0], end=end)
        found: dict[tuple[str, dt.date], list[FileRecord]] = {}
        for symbol, own in files.items():
            for file in own:
                if file.key.period == Period.of_session(file.key.period.start):
                    found.setdefault((symbol, file.key.period.start), []).append(file)
        return found

    def _settle_ranks(self, kinds: pl.DataFrame, partitions: dict[tuple[str, dt.date], _Partition]) -> None:
        raised = (pl.col("kind") == "same") & (pl.col("standing") < pl.col("rank"))
        settled = kinds.filter(pl.col("kind").is_in(["new", "changed"]) | raised)
        for symbol, session, stamp, rank in settled.select("symbol", "session", "timestamp", "rank").iter_rows():
            partitions.setdefault((symbol, session), _Partition()).ranks[stamp] = RowRank(rank)

    def _put_all(
        self, dataset: str, rows: pl.DataFrame, jobs: Sequence[tuple[_Part, Sequence[str]]]
    ) -> list[FileRecord]:
        """Write a file of each part of the rows, with what it replaces."""
        table = as_table(rows, dataset, self._feed)
        told = self._told(rows)

        def put(job: tuple[_Part, Sequence[str]]) -> FileRecord:
            part, replaces = job
            return write_bar_file(
                self._store,
                dataset,
                PartitionKey(self._feed, part.symbol, Period.of_session(part.session)),
                table.slice(part.begin, part.end - part.begin),
                commit_id=self._base.commit_id,
                replaces=replaces,
                sources=told(part),
            )

        for part, _ in jobs:
            key = PartitionKey(self._feed, part.symbol, Period.of_session(part.session))
            self._fresh.append(str(layout.partition_path(dataset, key) / f"{self._base.commit_id}.parquet"))
        # Leaving the block waits for every file, also when one fails: what is there can then be taken away.
        with ThreadPoolExecutor(WRITERS) as pool:
            return list(pool.map(put, jobs))

    def _told(self, rows: pl.DataFrame) -> Callable[[_Part], str]:
        """What the file of each part says of the sources of its rows."""
        moments, source = rows["ingested_at"].unique().sort(), self._base.source
        known = sources_of(self._manifest, self._feed, first=moments[0], last=moments[-1])
        own = pl.DataFrame([(None, self._moment, source)], schema=known.schema, orient="row")
        known = pl.concat([known, own])
        if known["source"].n_unique() == 1 and moments.is_in(known["moment"].implode()).all():
            return lambda _part: line_of(moments[0], source)  # as nearly always: not asked of every part
        return lambda part: told_by(rows["ingested_at"][part.begin : part.end].unique().sort(), known, part.symbol)

    def _commits(self, partitions: dict[tuple[str, dt.date], _Partition], report: WriteReport) -> list[Commit]:
        by_symbol: dict[str, list[tuple[dt.date, _Partition]]] = {}
        for (symbol, session), one in sorted(partitions.items(), key=lambda item: item[0]):
            by_symbol.setdefault(symbol, []).append((session, one))
        return [
            replace(
                self._base,
                symbol=symbol,
                added=[file for _, one in own for file in one.added],
                removed=[path for _, one in own for path in one.removed],
                periods=[Period.of_session(session) for session, one in own if one.is_rewritten],
                held=[held for _, one in own for held in one.held],
                ranks={stamp: rank for _, one in own for stamp, rank in one.ranks.items()},
                counts=report.counts,
            )
            for symbol, own in by_symbol.items()
        ]

    @property
    def _moment(self) -> dt.datetime:
        assert self._base.moment is not None  # noqa: S101 - `BarWriter` sets it
        return self._base.moment

    def _discard(self) -> None:
        """Delete the files of a write that did not happen; see `PartitionWrite`."""
        with contextlib.suppress(BarlakeError):
            for path in self._manifest.never_counted(self._fresh):
                self._store.delete(path)


def _parts(rows: pl.DataFrame) -> list[_Part]:
    """The sessions of rows, at least one, that are sorted by symbol and timestamp."""
    keys = rows.select(pl.struct(_PARTITION).rle_id()).to_series().to_numpy()
    begins = np.flatnonzero(np.diff(keys.astype(np.int64), prepend=-1)).tolist()
    ends = [*begins[1:], rows.height]
    firsts = rows.select(_PARTITION)[begins].iter_rows()
    return [_Part(symbol, day, begin, end) for (symbol, day), begin, end in zip(firsts, begins, ends, strict=True)]


def _held_sessions(rows: pl.DataFrame, parts: Sequence[_Part], calendar: Calendar) -> list[HeldSession]:
    """What each part holds, as `partition_write.held_sessions` says it of one symbol."""
    edges = calendar.frame.filter(pl.col("session").is_in(rows["session"].unique().implode()))
    within = pl.col("timestamp").is_between(pl.col("open"), pl.col("close"), closed="left").fill_null(value=False)
    edges = edges.select("session", "open", "close")
    is_regular = rows.select("session", "timestamp").join(edges, on="session", how="left", maintain_order="left")
    begins = [part.begin for part in parts]
    regular = np.add.reduceat(is_regular.select(within).to_series().to_numpy().astype(np.int64), begins).tolist()
    firsts = rows["timestamp"].gather(begins).to_list()
    lasts = rows["timestamp"].gather([part.end - 1 for part in parts]).to_list()
    hashes = digests(rows, [(part.begin, part.end) for part in parts])
    return [
        HeldSession(part.session, part.end - part.begin, *facts)
        for part, *facts in zip(parts, regular, firsts, lasts, hashes, strict=True)
    ]


def _labelled(store: Store, files: Sequence[FileRecord], dataset: str, feed: str) -> pl.DataFrame:
    """Rows of files of one session each, in their order: path, symbol, session, then the columns of the dataset."""
    # Rows come in the order of the paths.
    paths = [file.path for file in files]
    rows = collect(read_files(store, paths, dataset=dataset, feed=feed).select(SCHEMAS[dataset].names))
    times = pl.Series([file.rows for file in files], dtype=pl.Int64())
    labels = {
        "path": pl.Series(paths, dtype=pl.String()),
        "symbol": pl.Series([file.key.symbol for file in files], dtype=pl.String()),
        "session": pl.Series([file.key.period.start for file in files], dtype=pl.Date()),
    }
    place = pl.Series(np.repeat(np.arange(len(files)), times.to_numpy()))
    return pl.concat([pl.DataFrame(labels)[place], rows], how="horizontal")
