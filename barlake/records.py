"""What the manifest keeps: frozen records of files, sessions, answers, page tokens and whole commits."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import polars as pl

from barlake.keys import PartitionKey, Period
from barlake.layout import BARS

__all__ = [
    "Answer",
    "AnswerStatus",
    "Commit",
    "Cursor",
    "FileRecord",
    "FileView",
    "HeldSession",
    "RowRank",
    "new_commit_id",
    "utc_now",
]


class AnswerStatus(StrEnum):
    """What a source said about one session, once its last page was seen."""

    COMPLETE = "complete"  # rows came
    SPARSE = "sparse"  # asked again because minutes are missing, and the same rows came
    EMPTY = "empty"  # no row came
    IMPORTED = "imported"  # rows came from a file; no source was asked


class RowRank(IntEnum):
    """How much a source's word on a bar is worth: a lower rank never replaces a higher one."""

    BAR = 1  # streamed right after the minute
    UPDATED_BAR = 2  # streamed again half a minute later
    REST = 3  # asked for while the session was still on
    FINAL = 4  # asked for after the session's close, or imported


@dataclass(frozen=True)
class FileRecord:
    """One file that counts, or counted; `path` is relative to the lake's root."""

    path: str
    dataset: str
    key: PartitionKey
    rows: int
    bytes: int
    first_timestamp: dt.datetime
    last_timestamp: dt.datetime


@dataclass(frozen=True)
class FileView:
    """Files of one symbol at one look: those with its bars, and those with values that bars once had.

    Parameters
    ----------
    late
        Moments of commits that happened after the instant asked for though their moment is before it.
    """

    bars: tuple[str, ...]
    revisions: tuple[str, ...]
    late: tuple[dt.datetime, ...]


@dataclass(frozen=True)
class HeldSession:
    """What the lake holds of one session of one symbol."""

    session: dt.date
    rows: int
    regular_rows: int
    first_timestamp: dt.datetime
    last_timestamp: dt.datetime
    content_hash: str


@dataclass(frozen=True)
class Answer:
    """That a source answered for one session, how, and how often it was asked."""

    session: dt.date
    status: AnswerStatus
    attempts: int = 1


@dataclass(frozen=True)
class Cursor:
    """How far an unfinished request has come; `page_token` None means the first page."""

    key: str
    page_token: str | None
    pages: int
    rows: int


@dataclass(frozen=True)
class Commit:
    """All changes of one write; they happen together or not at all.

    Parameters
    ----------
    moment
        `ingested_at` of the rows it brings, and `superseded_at` of those it replaces.
    removed
        Paths this commit replaces. If one of them no longer counts, another writer was first.
    emptied
        Sessions of which it leaves no bar.
    periods
        Periods the write covers: no file other than the removed ones may count in them.
    ranks
        Timestamps whose rank this write settles; `FINAL` takes a row out of the provisional ones.
    cursor_done
        Key of a request that is finished and needs no page token any more.
    forgotten
        Sessions the lake no longer holds, and what was said about them, so that they are asked for again.
    counts
        What became of its rows, for the log; of a write of several symbols, the first one's counts are all of it.
    dataset
        What is written: minute bars with their old values, or daily bars, news or macro values.
    """

    commit_id: str
    source: str
    feed: str
    symbol: str
    added: Sequence[FileRecord] = ()
    removed: Sequence[str] = ()
    held: Sequence[HeldSession] = ()
    emptied: Sequence[dt.date] = ()
    answers: Sequence[Answer] = ()
    cursor: Cursor | None = None
    cursor_done: str | None = None
    quarantined: pl.DataFrame | None = None
    origin: str = ""
    periods: Sequence[Period] = ()
    moment: dt.datetime | None = None
    ranks: Mapping[dt.datetime, RowRank] = field(default_factory=dict)
    forgotten: Sequence[dt.date] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    dataset: str = BARS


def new_commit_id(now: dt.datetime) -> str:
    """Name of a commit: its instant to the microsecond and a random tail, so names sort by time."""
    return f"{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}"


def utc_now() -> dt.datetime:
    """The present instant, UTC."""
    return dt.datetime.now(tz=dt.UTC)
