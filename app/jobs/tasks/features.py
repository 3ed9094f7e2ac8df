"""Feature tables: made again where their bars have changed, once those have come to rest."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from app.jobs.context import JobContext
from app.jobs.loops import LoopContext, loop
from app.jobs.planning import plan_features
from app.jobs.registry import task
from barlake.errors import BarlakeError
from barlake.lake import Lake, open_lake
from feature_service.build import build_features
from ingest_service.alpaca import resolve_feed
from ingest_service.watch_list import find_watch_list, load_watch_list

__all__ = ["Rest", "features", "watch_bars"]

logger = logging.getLogger(__name__)

QUIET = dt.timedelta(seconds=30)
"""Without a commit for so long, market time, the bars are at rest, and their features are built."""

LONGEST_UNREST = dt.timedelta(minutes=15)
"""Where commits never end, as while the market is open, features are built that often all the same."""

NAP_S = 1.0


@task("features", agent="features")
def features(context: JobContext, *, set_name: str, symbol: str, feed: str) -> dict[str, Any]:
    """One table of one symbol, from the bars there are now; a table that is current is left as it is."""
    context.progress(0, 1, unit="tables", next_step=f"{set_name} of {symbol}")
    (built,) = build_features(context.lake, [symbol], feed=feed, set_name=set_name).symbols
    context.progress(1, 1, unit="tables", rows=built.rows)
    status = "done" if built.files_written else "nothing"
    return {"status": status, "version": built.version, "rows": built.rows, "files_written": built.files_written}


@dataclass
class Rest:
    """Tells when bars that keep coming are to be built from."""

    newest: dt.datetime | None = None
    unrest_since: dt.datetime | None = None

    def is_over(self, newest: dt.datetime | None, now: dt.datetime) -> bool:
        """Whether to build now.

        Parameters
        ----------
        newest
            The lake's last commit.
        """
        if newest is not None and newest != self.newest:
            self.newest = newest
            self.unrest_since = self.unrest_since or now
        if self.newest is None or self.unrest_since is None:
            return False
        if now - self.newest < QUIET and now - self.unrest_since < LONGEST_UNREST:
            return False
        self.unrest_since = None
        return True


@loop("features-watch", agent="features")
def watch_bars(context: LoopContext) -> None:
    """Put a job for each stale table into the queue whenever new bars have come to rest."""
    rest = Rest()
    with open_lake(settings=context.settings) as lake:
        while not context.stop.is_set():
            state = "waiting"
            if rest.is_over(lake.manifest.last_commit_at(), context.clock.now()):
                state = f"{_put_stale(context, lake)} tables were stale"
            context.beat(state)
            context.stop.wait(NAP_S)


def _put_stale(context: LoopContext, lake: Lake) -> int:
    """How many tables are to be built anew."""
    try:
        watched = load_watch_list(find_watch_list(context.settings, lake.root))
    except BarlakeError:
        return 0  # whoever plans says so
    symbols = [one.symbol for one in watched.securities if one.enabled]
    due = plan_features(lake, watched.features, symbols, feed=resolve_feed(context.settings.alpaca_feed))
    context.queue.put_all([one.job for one in due], force=True)
    if due:
        logger.info("%d feature tables are stale", len(due), extra={"stage": "plan"})
    return len(due)
