"""Give up sessions that are older than wanted: a commit takes them out, the vacuum frees their bytes.

A file that lies wholly before the cut stops counting. One that reaches across it is replaced by a file with
the rest. Old values of the same sessions go too, and so does what sources said about them: to `as_of`, to an
audit and to `gaps` those sessions were never here, and an ingest that is told to start there fetches them
again. Within the grace of the vacuum a rebuild of a lost manifest brings them back, for it sees their files.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import polars as pl

from barlake import layout
from barlake.bar_files import taken_over, write_bar_file
from barlake.bar_sources import who_delivered
from barlake.errors import ConflictError, InvalidInputError
from barlake.keys import PartitionKey
from barlake.manifest import Manifest
from barlake.partitions import collect, read_files
from barlake.records import Commit, FileRecord, new_commit_id
from barlake.sessions import session_bounds
from barlake.stores import Store

__all__ = ["Expiry", "parse_cut", "plan_retention", "retain"]

SOURCE = "retention"
_ATTEMPTS = 5
_AGE = re.compile(r"(\d{1,4})\s*(d|w|m|y)")


@dataclass(frozen=True)
class Expiry:
    """What of one symbol is older than the cut: sessions and bars, and the files they lie in."""

    feed: str
    symbol: str
    sessions: tuple[dt.date, ...]
    bars: int
    files: tuple[FileRecord, ...]


def parse_cut(text: str, *, today: dt.date) -> dt.date:
    """First session date that stays: a date, or an age in days, weeks, months or years.

    Examples
    --------
    >>> parse_cut("2y", today=dt.date(2024, 2, 29)).isoformat()
    '2022-02-28'
    >>> parse_cut("18m", today=dt.date(2024, 3, 31)).isoformat()
    '2022-09-30'
    """
    try:
        cut = dt.date.fromisoformat(text.strip())
    except ValueError:
        cut = _back(text.strip().lower(), today)
    if cut > today:
        raise InvalidInputError(
            f"{text!r} is the date {cut}, after today: everything would be older. Name an earlier one."
        )
    return cut


def _back(text: str, today: dt.date) -> dt.date:
    age = _AGE.fullmatch(text)
    if age is None or int(age[1]) == 0:
        raise InvalidInputError(f"age {text!r} is not known: use a date such as 2020-01-01, or 90d, 8w, 18m or 5y.")
    number, unit = int(age[1]), age[2]
    try:
        if unit in "dw":
            return today - dt.timedelta(days=number * (7 if unit == "w" else 1))
        months = today.year * 12 + today.month - 1 - number * (12 if unit == "y" else 1)
        first = dt.date(months // 12, months % 12 + 1, 1)
    except (OverflowError, ValueError) as error:
        raise InvalidInputError(f"age {text!r} reaches before the calendar: name a shorter one.") from error
    last = (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
    return min(first + dt.timedelta(days=today.day - 1), last)


def plan_retention(
    manifest: Manifest, cut: dt.date, *, feed: str | None = None, symbols: Iterable[str] | None = None
) -> list[Expiry]:
    """What is older than `cut`, the first session date that stays, by feed and symbol."""
    wanted = None if symbols is None else set(symbols)
    files = [file for data in layout.BAR_DATASETS for file in manifest.files(dataset=data, feed=feed, end=cut)]
    held = manifest.held(feed=feed, end=cut)

    def pair(file: FileRecord) -> tuple[str, str]:
        return file.key.feed, file.key.symbol

    plan = []
    for (name, symbol), group in groupby(sorted(files, key=pair), key=pair):
        if wanted is None or symbol in wanted:
            own = held.filter((pl.col("feed") == name) & (pl.col("symbol") == symbol))
            old = [file for file in group if own.height or file.key.period.end <= cut]
            if old:
                plan.append(Expiry(name, symbol, tuple(own["session"]), int(own["rows"].sum()), tuple(old)))
    return plan


def retain(
    store: Store,
    manifest: Manifest,
    cut: dt.date,
    *,
    now: Callable[[], dt.datetime],
    feed: str | None = None,
    symbols: Iterable[str] | None = None,
    on_symbol: Callable[[str, int, int], None] = lambda _symbol, _done, _total: None,
) -> list[Expiry]:
    """Take everything older than `cut` out of the lake, one commit per symbol; hands back what went.

    Raises
    ------
    ConflictError
        If other writers were first too often in a row.
    StorageError
        If the disk is full or refuses; symbols before that one are done.
    """
    plan = plan_retention(manifest, cut, feed=feed, symbols=symbols)
    gone: list[Expiry] = []
    for done, expiry in enumerate(plan):
        on_symbol(expiry.symbol, done, len(plan))
        gone += _expire(store, manifest, expiry, cut, now)
    return gone


def _expire(
    store: Store, manifest: Manifest, expiry: Expiry, cut: dt.date, now: Callable[[], dt.datetime]
) -> Sequence[Expiry]:
    for attempt in range(_ATTEMPTS):
        added: list[FileRecord] = []
        commit_id = new_commit_id(manifest.next_moment(expiry.feed, expiry.symbol, now()))
        for (dataset, key), group in groupby(sorted(expiry.files, key=_place), key=_place):
            files = list(group)
            rest = pl.concat([_rest(store, file, cut) for file in files]).sort("timestamp")
            if rest.height:
                replaced = [file.path for file in files]
                if dataset == layout.REVISIONS:
                    replaced = taken_over(store, replaced)
                sources = who_delivered(manifest, key, rest["ingested_at"])
                added.append(
                    write_bar_file(store, dataset, key, rest, commit_id=commit_id, replaces=replaced, sources=sources)
                )
        try:
            manifest.commit(
                Commit(
                    commit_id, SOURCE, expiry.feed, expiry.symbol,
                    added=added, removed=[file.path for file in expiry.files], forgotten=expiry.sessions,
                )
            )  # fmt: skip
        except ConflictError:
            for one in added:
                store.delete(one.path)
            if attempt == _ATTEMPTS - 1:
                raise
            again = plan_retention(manifest, cut, feed=expiry.feed, symbols=[expiry.symbol])
            if not again:
                return []
            expiry = again[0]
        else:
            return [expiry]
    raise AssertionError  # pragma: no cover - the loop returns or raises


def _place(file: FileRecord) -> tuple[str, PartitionKey]:
    return file.dataset, file.key


def _rest(store: Store, file: FileRecord, cut: dt.date) -> pl.DataFrame:
    """Rows of a file that stay."""
    rows = read_files(store, [file.path])
    if file.key.period.end <= cut:
        return collect(rows.limit(0))
    start, _ = session_bounds(cut, file.key.period.end, file.key.feed)
    return collect(rows.filter(pl.col("timestamp") >= start))
