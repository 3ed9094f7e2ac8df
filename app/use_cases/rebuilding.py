"""Asking for features: tables that are missing, or whose bars have changed, become jobs in the queue."""

from __future__ import annotations

from collections.abc import Sequence

from app.jobs.planning import plan_features
from app.jobs.queue import JobQueue
from barlake.lake import Lake

__all__ = ["queue_features"]


def queue_features(
    lake: Lake, queue: JobQueue, symbol: str, sets: Sequence[str] = ("core",), *, feed: str | None = None
) -> list[str]:
    """Ids of the jobs that build the tables of a symbol that are not current; none where all of them are.

    Parameters
    ----------
    sets
        Names of feature sets.
    feed
        None takes `sip` before `iex` before the only other feed that holds the symbol.

    Raises
    ------
    NotFoundError
        If the lake has no bars of the symbol, or there is no such set.
    InvalidInputError
        If the symbol or feed is none, or a set's declaration is wrong.
    """
    due = plan_features(lake, sets, [symbol], feed=lake.feed_of([symbol], feed))
    return queue.put_all([one.job for one in due], force=True)
