"""Every worker holds the rules of alerts against the state of things; the database lets one of them speak."""

from __future__ import annotations

from app.jobs.loops import LoopContext, loop
from app.operations.watchdog import check, watched_securities
from barlake.lake import open_lake

__all__ = ["watch"]

LOOK_S = 5.0


@loop("watchdog")
def watch(context: LoopContext) -> None:
    """Look every few seconds until the worker ends."""
    with open_lake(settings=context.settings) as lake:
        while not context.stop.wait(LOOK_S):
            check(context.operations, lake, context.queue, context.clock, watched_securities(lake))
