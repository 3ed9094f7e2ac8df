"""Asking for bars: what a symbol lacks in a range of sessions becomes jobs in the queue."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from app.jobs.backfilling import backfill_jobs
from app.jobs.queue import JobQueue
from barlake.clock import clock_of
from barlake.lake import Lake
from barlake.ranges import Boundary
from barlake.sessions import NEW_YORK

__all__ = ["DEFAULT_DAYS", "ask_for_bars"]

DEFAULT_DAYS = 30
"""So far back is asked for where nobody says how far."""


def ask_for_bars(
    lake: Lake,
    queue: JobQueue,
    symbols: Sequence[str],
    start: Boundary = None,
    end: Boundary = None,
    *,
    feed: str | None = None,
    refetch: bool = False,
) -> list[str]:
    """Ids of the jobs that bring what is missing, newest months first; none where nothing is.

    Asking twice does it once: what is queued or running keeps its id.

    Parameters
    ----------
    start, end
        Sessions [start, end), New York dates. None: from 30 days ago, and up to tomorrow.
    feed
        None takes `ALPACA_FEED`; `auto` means sip.
    refetch
        Ask again for what the lake holds, too.

    Raises
    ------
    InvalidInputError
        If the range is reversed, or a symbol or feed is none.
    """
    from ingest_service.alpaca import resolve_feed  # noqa: PLC0415 - the client library is a second of import

    now = clock_of(lake.settings).now()
    today = now.astimezone(NEW_YORK).date()
    jobs = backfill_jobs(
        lake,
        symbols,
        today - dt.timedelta(days=DEFAULT_DAYS) if start is None else start,
        today + dt.timedelta(days=1) if end is None else end,
        feed=feed or resolve_feed(lake.settings.alpaca_feed),
        now=now,
        refetch=refetch,
    )
    return list(dict.fromkeys(queue.put_all(jobs, force=True)))
