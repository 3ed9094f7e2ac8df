"""A lake at one look: what is here, how fresh it is, what needs somebody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from app.jobs.job import JobState
from app.operations.observer import FeedStanding, MarketHours, Observer
from app.use_cases.needs import Need, needs_of
from barlake.keys import ArtifactKind

__all__ = ["Overview", "overview"]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """What one look shows.

    Parameters
    ----------
    at, market_now
        Machine and market time of the look, UTC.
    bars, symbols
        Over all feeds; a symbol that two feeds hold counts once.
    models, runs
        How many are kept.
    jobs
        How many by state, over all agents.
    workers
        Names of those whose heart beats.
    needs
        The gravest first.
    """

    name: str
    at: dt.datetime
    market_now: dt.datetime
    market: MarketHours
    last_commit: dt.datetime | None
    feeds: Sequence[FeedStanding]
    symbols: int
    bars: int
    models: int
    runs: int
    jobs: dict[str, int]
    workers: Sequence[str]
    needs: Sequence[Need]

    @property
    def is_empty(self) -> bool:
        """Whether there is no bar."""
        return self.bars == 0

    @property
    def busy(self) -> int:
        """Jobs that run or wait."""
        return self.jobs.get(JobState.RUNNING, 0) + self.jobs.get(JobState.QUEUED, 0)


def overview(observer: Observer) -> Overview:
    """The lake as it is now; cheap enough to be asked every other second."""
    standing, lake = observer.look(), observer.lake
    made = lake.artifacts.counts()
    jobs: dict[str, int] = {}
    for (_agent, state), count in standing.jobs.items():
        jobs[state] = jobs.get(state, 0) + count
    return Overview(
        name=lake.store.name,
        at=standing.at,
        market_now=standing.market_now,
        market=standing.market,
        last_commit=standing.last_commit,
        feeds=standing.feeds,
        symbols=len(set().union(*lake.manifest.feeds().values())),
        bars=sum(one.bars for one in standing.feeds),
        models=made[ArtifactKind.MODEL],
        runs=made[ArtifactKind.RUN],
        jobs=jobs,
        workers=sorted({one.worker for one in standing.heartbeats if not one.is_stalled(standing.at)}),
        needs=needs_of(standing, lake.settings),
    )
