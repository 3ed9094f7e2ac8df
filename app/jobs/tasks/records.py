"""Daily bars, news and macro values: a job asks for what is missing of a security, of all news, of a series."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from app.jobs.context import JobContext
from app.jobs.registry import task
from ingest_service.record_fetching import Fetched, FetchStep, fetch_daily, fetch_macro, fetch_news
from ingest_service.sources.choice import Purpose, sources_for
from ingest_service.sources.failover import Failover
from ingest_service.watch_list import Security

__all__ = ["daily", "macro", "news"]

Spelt = Sequence[Mapping[str, Any]]
"""Securities as JSON: symbol, category, and names by source."""


@task("daily", agent="backfill")
def daily(context: JobContext, *, securities: Spelt, start: str, end: str | None = None) -> dict[str, Any]:
    """Daily bars of the sessions in [start, end) that are missing, and the newest again."""
    sources, symbols = _sources(context, Purpose.DAILY, securities)
    return _facts(fetch_daily(context.lake, sources, symbols, *_window(start, end), on_step=_progress(context)))


@task("news", agent="backfill")
def news(context: JobContext, *, securities: Spelt, start: str, end: str | None = None) -> dict[str, Any]:
    """Articles published or revised on [start, end) that are missing, and the newest again."""
    sources, symbols = _sources(context, Purpose.NEWS, securities)
    return _facts(fetch_news(context.lake, sources, symbols, *_window(start, end), on_step=_progress(context)))


@task("macro", agent="backfill")
def macro(context: JobContext, *, series: Sequence[str]) -> dict[str, Any]:
    """Every release of macro series that is missing, and the newest again."""
    sources, _ = _sources(context, Purpose.MACRO, ())
    return _facts(fetch_macro(context.lake, sources, series, on_step=_progress(context)))


def _sources(context: JobContext, purpose: Purpose, securities: Spelt) -> tuple[Failover, list[str]]:
    """The sources of the settings, made once for a worker's place, for they remember who failed; and the symbols."""
    sources = context.keep(purpose.value, lambda: sources_for(purpose, context.settings, stop=context.stop))
    known = [Security(one["symbol"], one["category"], names=one["names"]) for one in securities]
    sources.get_to_know(known)
    return sources, [one.symbol for one in known]


def _progress(context: JobContext) -> Any:
    def on_step(step: FetchStep) -> None:
        context.progress(step.done, step.total, unit="symbols", rows=step.rows, next_step=f"after {step.symbol}")

    return on_step


def _window(start: str, end: str | None) -> tuple[dt.date, dt.date | None]:
    return dt.date.fromisoformat(start), None if end is None else dt.date.fromisoformat(end)


def _facts(done: Sequence[Fetched]) -> dict[str, Any]:
    refused = {one.symbol: one.failure for one in done if one.failure is not None}
    counts = {
        name: sum(getattr(one.written, name) for one in done)
        for name in ("inserted", "changed", "unchanged", "quarantined")
    }
    requests = sum(one.requests for one in done)
    status = "partial" if refused else "done" if requests else "nothing"
    sources = sorted({name for one in done for name in one.sources})
    return {"status": status, "requests": requests, **counts, "sources": sources, "refused": refused}
