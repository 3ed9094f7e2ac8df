"""Minute bars of history: one job fills what a month of one symbol lacks; one tidies up when all are done."""

from __future__ import annotations

import datetime as dt
from typing import Any

from app.jobs.context import JobContext
from app.jobs.registry import task
from barlake.coverage import finished_sessions
from barlake.inspection import check_symbol
from ingest_service.backfill import BackfillStep, Publisher, SymbolReport, fill_sessions
from ingest_service.live.finalise import is_final
from ingest_service.sources.choice import purpose_of, sources_for
from ingest_service.sources.failover import Failover
from ingest_service.watch_list import Security

__all__ = ["RESERVE_SHARE", "bars", "session", "tidy"]

RESERVE_SHARE = 0.05
"""Share of the requests that history leaves to the present, which may need some at any moment."""


@task("bars", agent="backfill", account="alpaca")
def bars(
    context: JobContext, *, feed: str, symbol: str, start: str, end: str, name: str | None = None, refetch: bool = False
) -> dict[str, Any]:
    """Finished sessions in [start, end) of one symbol: those that are missing, or with `refetch` all of them."""
    calendar = context.lake.calendar.of(feed)
    asked = calendar.in_range(dt.date.fromisoformat(start), dt.date.fromisoformat(end))
    expected = finished_sessions(asked, context.clock.now())

    def on_step(step: BackfillStep) -> None:
        left = step.sessions_total - step.sessions_done
        context.progress(
            step.sessions_done, step.sessions_total, unit="sessions", rows=step.rows, pages=step.pages,
            next_step=f"{left} sessions of {symbol} from {start}" if left else "what looks incomplete",
        )  # fmt: skip

    sources = _sources(context, feed)
    if name is not None:
        # Only the primary is known to have it under that name, and rows say so where it may be something else.
        sources.get_to_know([Security(symbol, "indices", names={sources.names[0]: name})])
    publisher = context.share("publisher", Publisher)
    report = fill_sessions(
        context.lake, sources, symbol, expected, feed=feed, refetch_as=context.job_id if refetch else None,
        on_step=on_step, on_page=lambda: publisher.keep_fresh(context.lake),
    )  # fmt: skip
    return {"status": "done" if report.requests else "nothing", **_facts(report)}


@task("session", agent="backfill", account="alpaca")
def session(
    context: JobContext, *, feed: str, symbol: str, session: str, name: str | None = None, again: bool = True
) -> dict[str, Any]:
    """One finished session of one symbol, asked for whole: final afterwards.

    Without `again`, one that has become final since it was planned is left alone: the live agent was first.
    """
    day = dt.date.fromisoformat(session)
    if not again and is_final(context.lake, symbol, day, feed):
        return {"status": "nothing"}
    after = (day + dt.timedelta(days=1)).isoformat()
    return bars(context, feed=feed, symbol=symbol, start=session, end=after, name=name, refetch=True)


@task("tidy", agent="backfill")
def tidy(context: JobContext) -> dict[str, Any]:
    """What is done once after many jobs that wrote: closed months merged, bars checked, the catalogue published."""
    lake = context.lake
    merged = lake.rollup()
    pairs = list(lake.symbols().select("feed", "symbol").iter_rows())
    checked = 0
    for number, (feed, symbol) in enumerate(pairs):
        if context.stop.is_set():
            break
        context.progress(number, len(pairs), unit="symbols", next_step=f"check {symbol}")
        checked += check_symbol(lake, feed, symbol)
    lake.publish()
    lake.vacuum()
    return {
        "status": "done",
        "files_before": merged.files_before,
        "files_after": merged.files_after,
        "sessions_checked": checked,
    }


def _facts(report: SymbolReport) -> dict[str, Any]:
    return {
        "sessions": report.expected, "asked": report.sessions_asked, "asked_again": report.sessions_confirmed,
        "requests": report.requests, **vars(report.written), "bars_held": report.bars_held,
    }  # fmt: skip


def _sources(context: JobContext, feed: str) -> Failover:
    """The sources of the settings over connections of this run's place, paced together with all of this process."""
    purpose = purpose_of(feed)

    def make() -> Failover:
        sources = sources_for(purpose, context.settings, stop=context.stop)
        sources.leave_to_others(RESERVE_SHARE)
        return sources

    return context.keep(purpose.value, make)
