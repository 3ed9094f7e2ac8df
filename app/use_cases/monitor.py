"""What changed between two looks at a lake and those who work on it, as events; nothing is read here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from app.jobs.job import JobRecord
from app.operations.heartbeats import Heartbeat
from barlake.freshness import SymbolHeld
from barlake.keys import parse_member

__all__ = ["GONE", "Change", "NewBars", "Picture", "Topic", "Trouble", "changes", "parse_topics"]

GONE = "gone"
"""State of an agent whose worker has ended in order: it is not among the heartbeats any more."""


class Topic(StrEnum):
    """What one may listen to."""

    JOB = "job"
    HEARTBEAT = "heartbeat"
    COVERAGE = "coverage"
    BARS = "bars"


@dataclass(frozen=True)
class NewBars:
    """Bars that came since the look before.

    Parameters
    ----------
    count
        How many more there are; 0 when corrections alone moved the newest bar.
    newest
        Opening instant of the newest bar now held, UTC.
    """

    feed: str
    symbol: str
    count: int
    newest: dt.datetime


@dataclass(frozen=True)
class Trouble:
    """A part that cannot be looked at, and why; None once it can again."""

    part: str
    text: str | None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One look.

    Parameters
    ----------
    at
        Machine time, UTC.
    jobs
        By id: those that run, and those that changed last.
    heartbeats
        By worker and agent.
    coverage
        By feed and symbol.
    problems
        Parts that could not be looked at, each with a sentence; of them the look before still stands.
    is_torn
        Whether more may have changed since the look before than this one tells.
    """

    at: dt.datetime
    jobs: Mapping[str, JobRecord]
    heartbeats: Mapping[tuple[str, str], Heartbeat]
    coverage: Mapping[tuple[str, str], SymbolHeld]
    problems: Mapping[str, str]
    is_torn: bool = False


@dataclass(frozen=True)
class Change:
    """One event; a trouble has no topic, for it concerns everybody."""

    topic: Topic | None
    what: JobRecord | Heartbeat | SymbolHeld | NewBars | Trouble


def parse_topics(text: str | None) -> frozenset[Topic]:
    """Topics of a list with commas; all of them when it is empty.

    Raises
    ------
    InvalidInputError
        If one is none.

    Examples
    --------
    >>> sorted(parse_topics("bars, job"))
    [<Topic.BARS: 'bars'>, <Topic.JOB: 'job'>]
    """
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    return frozenset(parse_member(Topic, "topic", name) for name in names) or frozenset(Topic)


def changes(before: Picture, after: Picture) -> list[Change]:
    """What a listener who knows one look must hear to know the next: troubles, jobs, heartbeats, coverage, bars.

    A job that is only no longer among those that changed last is not told.
    """
    return [
        *(Change(None, one) for one in _troubles(before.problems, after.problems)),
        *(Change(Topic.JOB, job) for key, job in after.jobs.items() if before.jobs.get(key) != job),
        *(Change(Topic.HEARTBEAT, beat) for beat in _beats(before.heartbeats, after.heartbeats)),
        *_bars(before.coverage, after.coverage),
    ]


def _troubles(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Trouble]:
    yield from (Trouble(part, text) for part, text in after.items() if before.get(part) != text)
    yield from (Trouble(part, None) for part in before if part not in after)


def _beats(
    before: Mapping[tuple[str, str], Heartbeat], after: Mapping[tuple[str, str], Heartbeat]
) -> Iterator[Heartbeat]:
    yield from (beat for key, beat in after.items() if before.get(key) != beat)
    yield from (replace(beat, state=GONE) for key, beat in before.items() if key not in after)


def _bars(
    before: Mapping[tuple[str, str], SymbolHeld], after: Mapping[tuple[str, str], SymbolHeld]
) -> Iterator[Change]:
    for key, held in after.items():
        known = before.get(key)
        if known == held:
            continue
        yield Change(Topic.COVERAGE, held)
        count = held.bars - (known.bars if known else 0)
        if count > 0 or (known is not None and held.newest > known.newest):
            yield Change(Topic.BARS, NewBars(held.feed, held.symbol, max(count, 0), held.newest))
