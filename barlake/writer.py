"""Bars in: check the rows, then attempt the write until no other writer was first.

Two writers on one partition both succeed: the second finds at its commit that the files it merged from
were replaced, merges again from the new ones and commits that.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import polars as pl

from barlake.errors import ConflictError, InvalidInputError
from barlake.group_records import counting_files
from barlake.group_write import GroupWrite, HeldRows
from barlake.held_already import held_already
from barlake.keys import Period, PeriodLength, is_always_open, parse_feed, parse_symbol
from barlake.layout import BARS
from barlake.manifest import Manifest
from barlake.partition_write import PartitionWrite, WriteReport
from barlake.partitions import schema_of
from barlake.quality import QUARANTINE_COLUMNS, check_rows, check_symbols
from barlake.records import Answer, AnswerStatus, Commit, Cursor, FileRecord, RowRank, new_commit_id, utc_now
from barlake.schemas import BAR_VALUES, empty_rows
from barlake.sessions import NEW_YORK, Calendar, session_dates, session_of
from barlake.stores import Store

__all__ = ["BarWriter", "Progress"]

IMPORT_SOURCE = "import"
MAX_CONFLICTS = 20
_STAMP = pl.Datetime("us", "UTC")
_TYPES = {
    "timestamp": _STAMP,
    **dict.fromkeys(("open", "high", "low", "close", "vwap"), pl.Float64()),
    **dict.fromkeys(("volume", "trade_count"), pl.Int64()),
}


@dataclass(frozen=True)
class Progress:
    """What a source's answer means beyond its rows; committed together with them."""

    cursor: Cursor | None = None
    cursor_done: str | None = None
    answers: Sequence[Answer] = ()


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
        store: Store,
        manifest: Manifest,
        calendar: Callable[[], Calendar],
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._store = store
        self._manifest = manifest
        self._calendar = calendar
        self._now = now
        self._kept: dict[str, HeldRows] = {}

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
        rank: RowRank = RowRank.FINAL,
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
        rank
            How much these rows are worth. A bar is replaced by an equal or a higher rank only; what a
            lower one says instead is counted in `outranked` and kept among the revisions.

        Raises
        ------
        InvalidInputError
            If a column is missing, or the timestamp has no time zone.
        ConflictError
            If other writers were first too often in a row.
        StorageError
            If the disk is full or refuses.
        """
        progress, feed, symbol = progress or Progress(), parse_feed(feed), parse_symbol(symbol)
        typed = _typed(frame, feed)
        known = held_already(typed, self._manifest, feed=feed, symbol=symbol)
        is_known = session_dates(typed["timestamp"], feed).is_in(known.implode())
        check = check_rows(typed.filter(~is_known))
        bad = check.bad if refused is None else pl.concat([check.bad, refused.select(QUARANTINE_COLUMNS)])
        incoming = check.good.with_columns(session_of(pl.col("timestamp"), feed).alias("session"))
        answers = progress.answers
        if source == IMPORT_SOURCE:
            days = pl.concat([incoming["session"], known]).unique().sort().to_list()
            answers = [Answer(day, AnswerStatus.IMPORTED, 0) for day in days]
        base = Commit("", source, feed, symbol, quarantined=bad, origin=origin,
                      answers=answers, cursor=progress.cursor, cursor_done=progress.cursor_done)  # fmt: skip
        report = self._commit(base, incoming, longest=longest, rank=rank)
        unchanged = report.unchanged + int(is_known.sum())
        return replace(report, unchanged=unchanged, quarantined=bad.height, duplicates=check.duplicates)

    def write_many(
        self, frame: pl.DataFrame, *, feed: str, source: str, origin: str = "", rank: RowRank = RowRank.BAR
    ) -> WriteReport:
        """Merge provisional bars of many symbols in one commit, as `write` would one symbol after the other.

        Rows of a period that is closed, or that a coarser file covers, are written symbol by symbol.

        Parameters
        ----------
        frame
            What `write` takes, and symbol; rank where rows differ in it (as numbers of `RowRank`).
        rank
            What a row is worth that does not say.

        Raises
        ------
        InvalidInputError
            If a column is missing, the timestamp has no time zone, or a rank is final.
        ConflictError
            If other writers were first too often in a row.
        StorageError
            If the disk is full or refuses.
        """
        feed = parse_feed(feed)
        good, bad, duplicates = check_symbols(_typed_many(frame, feed, rank))
        good = good.with_columns(session_of(pl.col("timestamp"), feed).alias("session"))
        report = WriteReport(quarantined=sum(rows.height for rows in bad.values()), duplicates=duplicates)
        odd = self._odd_symbols(good, feed) | set(bad)
        for symbol in sorted(odd):
            base = Commit("", source, feed, symbol, origin=origin, quarantined=bad.get(symbol))
            own = good.filter(symbol=symbol)
            for worth in sorted({int(rank), *own["rank"]}):
                rows = own.filter(rank=worth).drop("symbol", "rank")
                report += self._commit(base, rows, longest=PeriodLength.MONTH, rank=RowRank(worth))
        rows = good.filter(~pl.col("symbol").is_in(sorted(odd)))
        return report if rows.is_empty() else report + self._commit_many(Commit("", source, feed, ""), rows)

    def _odd_symbols(self, rows: pl.DataFrame, feed: str) -> set[str]:
        """Symbols whose rows do not all go into files of a session of their own."""
        if rows.is_empty():
            return set()
        today = self._now().astimezone(NEW_YORK).date()
        days = rows["session"].unique().to_list()
        closed = [day for day in days if Period.of(day, PeriodLength.MONTH).end <= today]
        odd = set(rows.filter(pl.col("session").is_in(closed))["symbol"])
        for symbol, files in self._counting(rows, feed).items():
            odd.update(symbol for file in files if file.key.period != Period.of_session(file.key.period.start))
        return odd

    def _counting(self, rows: pl.DataFrame, feed: str) -> dict[str, list[FileRecord]]:
        days, names = rows["session"].unique().sort().to_list(), rows["symbol"].unique().to_list()
        end = days[-1] + dt.timedelta(days=1)
        return counting_files(self._manifest, BARS, feed=feed, symbols=names, start=days[0], end=end)

    def _commit_many(self, base: Commit, rows: pl.DataFrame) -> WriteReport:
        kept = self._kept.setdefault(base.feed, HeldRows())

        def attempt() -> WriteReport:
            moment = self._manifest.next_moment(base.feed, None, self._now())
            named = replace(base, commit_id=new_commit_id(moment), moment=moment)
            write = GroupWrite(self._store, self._manifest, self._calendar, kept, named)
            return write.run(rows, self._counting(rows, base.feed))

        return _until_first(attempt)

    def finalise(
        self, sessions: Collection[dt.date], *, feed: str, symbol: str, source: str, progress: Progress | None = None
    ) -> WriteReport:
        """End the provisional time of sessions whose last, full answer was stored.

        A bar that is still provisional was not in that answer: it moves to the revisions as `removed`.
        """
        progress = progress or Progress()
        base = Commit("", source, parse_feed(feed), parse_symbol(symbol), answers=progress.answers,
                      cursor=progress.cursor, cursor_done=progress.cursor_done)  # fmt: skip
        left = self._manifest.provisional(feed=base.feed, symbol=base.symbol).filter(
            session_of(pl.col("timestamp"), base.feed).is_in(list(sessions))
        )
        nothing = _typed(empty_rows(schema_of(BARS, base.feed)), base.feed).with_columns(
            session_of(pl.col("timestamp"), base.feed).alias("session")
        )
        return self._commit(base, nothing, longest=PeriodLength.MONTH, rank=RowRank.FINAL, removed=left["timestamp"])

    def _commit(
        self,
        base: Commit,
        incoming: pl.DataFrame,
        *,
        longest: PeriodLength,
        rank: RowRank,
        removed: pl.Series | None = None,
    ) -> WriteReport:
        if incoming.is_empty() and (removed is None or removed.is_empty()) and _says_nothing(base):
            return WriteReport()

        def attempt() -> WriteReport:
            moment = self._manifest.next_moment(base.feed, base.symbol, self._now())
            named = replace(base, commit_id=new_commit_id(moment), moment=moment)
            write = PartitionWrite(self._store, self._manifest, self._calendar, named, rank=rank)
            return write.run(incoming, removed=removed, longest=longest)

        return _until_first(attempt)


def _until_first(attempt: Callable[[], WriteReport]) -> WriteReport:
    """Make attempts until no other writer was first."""
    for number in range(MAX_CONFLICTS):
        try:
            return attempt()
        except ConflictError:
            if number == MAX_CONFLICTS - 1:
                raise
            time.sleep(random.uniform(0, 0.02 * 2 ** min(number, 6)))  # noqa: S311 - jitter, no secret
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _says_nothing(commit: Commit) -> bool:
    """Whether a commit without bars would change nothing."""
    has_bad = commit.quarantined is not None and not commit.quarantined.is_empty()
    return not (has_bad or commit.answers or commit.cursor or commit.cursor_done)


def _typed_many(frame: pl.DataFrame, feed: str, rank: RowRank) -> pl.DataFrame:
    """The columns of bars of many symbols in their types: symbol, rank, then those of one."""
    if "symbol" not in frame.columns:
        raise InvalidInputError("bars of many symbols lack the column symbol, which says whose bar a row is.")
    worth = (
        frame["rank"].cast(pl.Int64()) if "rank" in frame.columns else pl.repeat(int(rank), frame.height, eager=True)
    )
    names = frame["symbol"].unique().to_list()
    spelled = pl.col("symbol").replace_strict(names, [parse_symbol(name) for name in names], return_dtype=pl.String())
    typed = _typed(frame, feed).with_columns(frame.select(spelled).to_series(), worth.cast(pl.Int64()).alias("rank"))
    wrong = typed.filter(~pl.col("rank").is_between(RowRank.BAR, RowRank.REST))
    if not wrong.is_empty():
        raise InvalidInputError(
            f"rank {wrong.item(0, 'rank')} of {wrong.item(0, 'symbol')} is not provisional: give {int(RowRank.BAR)} to "
            f"{int(RowRank.REST)} here, and write final bars symbol by symbol."
        )
    return typed


def _typed(frame: pl.DataFrame, feed: str) -> pl.DataFrame:
    """The columns of a bar of a feed in their types; what was optional and is missing becomes null."""
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
        typed = frame.select(*[_value(name, frame.schema[name], feed) for name in ("timestamp", *BAR_VALUES)], *extra)
    except pl.exceptions.PolarsError as error:
        raise InvalidInputError(
            f"bars have a column that is not numbers: {str(error).splitlines()[0]}. Give prices as floats, "
            "volume and trade_count as integers."
        ) from error
    return typed.with_columns(pl.col("vwap").fill_nan(None))


def _value(name: str, kind: pl.DataType, feed: str) -> pl.Expr:
    """A column in its type; a count that is no whole number becomes null, for the rules to see.

    Coins are traded in parts: where a market never closes, volume is a number that need not be whole.
    """
    value, wanted = pl.col(name), _TYPES[name]
    if name == "volume" and is_always_open(feed):
        coins = value.cast(pl.Float64)
        return pl.when(coins.is_finite()).then(coins).alias(name)
    if wanted.is_integer() and kind.is_float():
        return pl.when(value == value.round()).then(value).cast(wanted, strict=False).alias(name)
    return value.cast(wanted)
