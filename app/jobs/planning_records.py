"""What is due of daily bars, news and macro values, from what the lake was asked for. Nothing is asked here.

Arguments of the tasks planned here, all JSON, dates as ISO text:

- `daily`: securities (one), start.
- `news`: securities (all that have news), start.
- `macro`: series (one).

A security is its symbol, category and names by source.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from app.jobs.job import Agent, Job
from barlake.lake import Lake
from barlake.layout import DAILY, MACRO, NEWS
from ingest_service.asked_spans import AskedSpans, first_open_date
from ingest_service.watch_list import Security, WatchList

__all__ = ["NEWS_HISTORY", "Want", "daily_jobs", "macro_jobs", "news_jobs"]

NEWS_HISTORY = dt.timedelta(days=30)
"""How far back news are fetched the first time."""

Want = tuple[Job, str, str | None]
"""A job, why it is due, and its symbol."""


def daily_jobs(lake: Lake, watch_list: WatchList, securities: Sequence[Security], today: dt.date) -> list[Want]:
    """One job for each security that a source of daily bars has, and of which a finished session was not asked for."""
    if "daily" not in watch_list.records:
        return []
    sources = lake.settings.sources.order.daily_sources
    over = first_open_date(lake, DAILY)
    asked = AskedSpans(lake, DAILY)
    found: list[Want] = []
    for one in securities:
        if one.category == "crypto" or all(one.name_at(name) is None for name in sources):
            continue
        start, span = one.first_session(today), asked.of(sources[0], one.symbol)
        if start < over and (span is None or span[1] < over or span[0] > start):
            arguments = {"securities": _spelt([one]), "start": start.isoformat()}
            key = f"daily/{sources[0]}/{one.symbol}/{over.year}"
            found.append((Job(key, "daily", arguments, Agent.BACKFILL), "daily bars are missing", one.symbol))
    return found


def news_jobs(lake: Lake, watch_list: WatchList, securities: Sequence[Security], today: dt.date) -> list[Want]:
    """One job for the news about all securities, once a day."""
    if "news" not in watch_list.records:
        return []
    source = lake.settings.sources.order.news_sources[0]
    asked = AskedSpans(lake, NEWS)
    wanted = [one for one in securities if one.category != "indices" or one.name_at(source) is not None]
    missing = [one for one in wanted if (span := asked.of(source, one.symbol)) is None or span[1] < today]
    if not missing:
        return []
    start = (today - NEWS_HISTORY).isoformat()
    arguments = {"securities": _spelt(wanted), "start": start}
    job = Job(f"news/{source}/{today}", "news", arguments, Agent.BACKFILL)
    return [(job, f"news of {len(missing)} securities are missing", None)]


def macro_jobs(lake: Lake, watch_list: WatchList, today: dt.date) -> list[Want]:
    """One job for each series, once a day."""
    source = lake.settings.sources.order.macro_sources[0]
    asked = AskedSpans(lake, MACRO)
    return [
        (
            Job(f"macro/{source}/{name}", "macro", {"series": [name]}, Agent.BACKFILL),
            "releases may be missing",
            name,
        )
        for name in watch_list.macro
        if (span := asked.of(source, name)) is None or span[1] < today
    ]


def _spelt(securities: Sequence[Security]) -> list[dict[str, Any]]:
    return [{"symbol": one.symbol, "category": one.category, "names": dict(one.names)} for one in securities]
