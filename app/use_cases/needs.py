"""What needs whoever looks after a lake: each with a sentence, how grave it is, and where it is mended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.jobs.job import Agent, JobState
from app.operations.observer import Standing
from app.operations.rules import Rule, disk_fills
from barlake.keys import SYNTHETIC_FEED
from barlake.settings import Settings

__all__ = ["Gravity", "Need", "Place", "lacks_key", "needs_of"]

_LATE = dt.timedelta(days=1)
"""A feed that is further behind than that is no longer fetched by anybody."""


class Gravity(StrEnum):
    """How much it matters."""

    ERROR = "error"  # something is lost or stands still
    WARNING = "warning"  # it goes on, less well
    HINT = "hint"  # nothing is wrong


class Place(StrEnum):
    """Where it is mended."""

    JOBS = "jobs"
    AGENTS = "agents"
    LOGS = "logs"
    SETTINGS = "settings"


@dataclass(frozen=True)
class Need:
    """One thing that needs somebody."""

    gravity: Gravity
    text: str
    place: Place


def needs_of(standing: Standing, settings: Settings) -> list[Need]:
    """All of them, the gravest first; empty where nothing is to be done."""
    found = [*_broken(standing), *_alerts(standing), *_work(standing), *_old(standing), *_keys(settings)]
    return sorted(found, key=lambda one: list(Gravity).index(one.gravity))


def lacks_key(settings: Settings) -> bool:
    """Whether half of Alpaca's key, or all of it, is not set: its bars cannot be fetched then."""
    return settings.alpaca_key_id is None or settings.alpaca_secret_key is None


def _broken(standing: Standing) -> Iterator[Need]:
    for part, why in standing.problems.items():
        yield Need(Gravity.ERROR, f"The {part} cannot be read: {why}", Place.LOGS)


def _alerts(standing: Standing) -> Iterator[Need]:
    for one in standing.alerts:
        gravity = Gravity.WARNING if one.level == "warning" else Gravity.ERROR
        yield Need(gravity, one.message, Place.JOBS if one.key.startswith(Rule.JOBS) else Place.LOGS)


def _work(standing: Standing) -> Iterator[Need]:
    """Jobs that nobody does, and what a watchdog, which only a worker has, does not say while none runs."""
    told = {one.key.split("/")[0] for one in standing.alerts}
    live = {one.agent for one in standing.heartbeats if not one.is_stalled(standing.at)}
    for agent in map(str, Agent):
        count = standing.jobs.get((agent, str(JobState.QUEUED)), 0)
        if count and agent in standing.paused_agents:
            why = "which is paused"
        elif count and agent not in live:
            why = "and no worker serves it: start it"
        else:
            continue
        yield Need(Gravity.WARNING, f"{_jobs(count, 'waits', 'wait')} for agent {agent}, {why}.", Place.AGENTS)
    failed = standing.jobs.get(("", str(JobState.FAILED)), 0)
    if failed and Rule.JOBS.rstrip("/") not in told:
        yield Need(Gravity.WARNING, f"{_jobs(failed, 'has', 'have')} failed. See why, then retry.", Place.JOBS)
    held = standing.jobs.get(("", str(JobState.PAUSED)), 0)
    if held:
        yield Need(Gravity.WARNING, f"{_jobs(held, 'is', 'are')} paused, by hand or for want of a key.", Place.JOBS)
    silent = [one for one in standing.heartbeats if one.is_stalled(standing.at)]
    if silent and Rule.STALLED.rstrip("/") not in told:
        names = ", ".join(f"{one.agent} of {one.worker}" for one in silent)
        yield Need(Gravity.WARNING, f"Silent: {names}. See that the worker runs.", Place.AGENTS)
    if standing.disk_total and Rule.DISK not in told:
        for one in disk_fills(standing.disk_total, standing.disk_free, is_active=False):
            yield Need(Gravity.WARNING, one.message[0].upper() + one.message[1:], Place.LOGS)


def _jobs(count: int, one: str, many: str) -> str:
    return f"{count:,} job {one}" if count == 1 else f"{count:,} jobs {many}"


def _old(standing: Standing) -> Iterator[Need]:
    for one in standing.feeds:
        if one.lag > _LATE and one.feed != SYNTHETIC_FEED:
            text = f"Feed {one.feed} ends on {one.newest:%Y-%m-%d}. Queue its tickers to go on."
            yield Need(Gravity.HINT, text, Place.JOBS)


def _keys(settings: Settings) -> Iterator[Need]:
    if lacks_key(settings):
        text = "No key of Alpaca is set: nothing new comes from there. `barlake init` asks for one and checks it."
        yield Need(Gravity.HINT, text, Place.SETTINGS)
