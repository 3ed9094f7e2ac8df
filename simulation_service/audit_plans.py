"""What an audit trades: the plans of a run on other feeds and in other terms of prices, period by period."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from barlake import Lake
from barlake.errors import NotFoundError
from barlake.keys import SYNTHETIC_FEED, Adjustment
from barlake.ranges import time_range
from simulation_service.plan import FileSource, SimulationPlan, StrategySource

__all__ = ["Group", "Signals", "Try", "groups_of", "other_feeds"]


class Signals(StrEnum):
    """Whose signals a variant trades: those of the run, or those its strategy makes of the other bars."""

    KEPT = "kept"
    MADE_AGAIN = "made again"


@dataclass(frozen=True)
class Try:
    """One plan to carry out; `is_base` where it is the run's own data, which others are held against."""

    signals: Signals
    plan: SimulationPlan
    is_base: bool = False


@dataclass(frozen=True)
class Group:
    """Plans over one period; `is_part` where it is not the whole period of the run."""

    first: dt.date
    last: dt.date
    is_part: bool
    trials: list[Try]


def groups_of(lake: Lake, plan: SimulationPlan, signals: FileSource) -> Iterator[Group]:
    """The run's own feed first, then each other one.

    Parameters
    ----------
    plan
        Of the run.
    signals
        The signals it traded.

    Raises
    ------
    NotFoundError
        If the lake holds no session of the period any more.
    """
    kept = replace(plan, source=signals)
    yield _on_own_feed(lake, plan, kept)
    for feed in other_feeds(lake, plan):
        yield _on_other_feed(lake, plan, kept, feed)


def other_feeds(lake: Lake, plan: SimulationPlan) -> list[str]:
    """Feeds with sessions of every symbol in the period of a plan; made-up bars say nothing about real ones."""
    holding = lake.manifest.feeds(plan.symbols)
    found = sorted(feed for feed, symbols in holding.items() if symbols >= set(plan.symbols) and feed != plan.feed)
    real = [feed for feed in found if SYNTHETIC_FEED not in {feed, plan.feed}]
    return [feed for feed in real if _shared_sessions(lake, plan, feed) is not None]


def _on_own_feed(lake: Lake, plan: SimulationPlan, kept: SimulationPlan) -> Group:
    first, last = _own_sessions(lake, plan)
    other = _flipped(plan)
    trials = [Try(Signals.KEPT, kept, is_base=True), Try(Signals.KEPT, replace(kept, adjustment=other))]
    if isinstance(plan.source, StrategySource):
        trials.append(Try(Signals.MADE_AGAIN, replace(plan, adjustment=other)))
    return Group(first, last, is_part=False, trials=trials)


def _on_other_feed(lake: Lake, plan: SimulationPlan, kept: SimulationPlan, feed: str) -> Group:
    """The other feed in both terms; over a part of the period, the run's own data goes before to compare with."""
    shared = _shared_sessions(lake, plan, feed)
    assert shared is not None  # noqa: S101 - only feeds that share sessions are asked for
    is_part = shared != _own_sessions(lake, plan)
    sources = [(Signals.KEPT, kept)]
    if isinstance(plan.source, StrategySource):
        sources.append((Signals.MADE_AGAIN, plan))
    if is_part:
        end = shared[1] + dt.timedelta(days=1)
        sources = [(kind, replace(one, start=shared[0], end=end)) for kind, one in sources]
    trials = [Try(kind, one, is_base=True) for kind, one in sources] if is_part else []
    for adjustment in (plan.adjustment, _flipped(plan)):
        trials += [Try(kind, replace(one, feed=feed, adjustment=adjustment)) for kind, one in sources]
    return Group(*shared, is_part=is_part, trials=trials)


def _flipped(plan: SimulationPlan) -> str:
    return (Adjustment.ALL if plan.adjustment == Adjustment.RAW else Adjustment.RAW).value


def _own_sessions(lake: Lake, plan: SimulationPlan) -> tuple[dt.date, dt.date]:
    found = _shared_sessions(lake, plan, str(plan.feed))
    if found is None:
        raise NotFoundError(
            f"feed {plan.feed!r} holds no session of {', '.join(plan.symbols)} in the run's period any more: ingest it."
        )
    return found


def _shared_sessions(lake: Lake, plan: SimulationPlan, feed: str) -> tuple[dt.date, dt.date] | None:
    """First and last session of the plan's period that its own feed and another hold of every symbol."""
    span = time_range(plan.start, plan.end, str(plan.feed))
    within = {"start": span.first_session, "end": span.end_session}
    held = [
        lake.manifest.held(feed=one, symbol=symbol, **within)["session"]
        for one in {str(plan.feed), feed}
        for symbol in plan.symbols
    ]
    if any(sessions.is_empty() for sessions in held):
        return None
    first = max(sessions.sort().to_list()[0] for sessions in held)
    last = min(sessions.sort().to_list()[-1] for sessions in held)
    return (first, last) if first <= last else None
