"""The live agent of a worker: the securities of the watch list, up to the minute while the exchange is open."""

from __future__ import annotations

import logging
import threading
import time

from app.jobs.loops import LoopContext, loop
from app.live import beat_details, live_agent, streamed
from app.operations.heartbeats import STARTING
from barlake.errors import BarlakeError, StorageError
from barlake.lake import Lake, open_lake
from ingest_service.live.agent import Beat, LiveState
from ingest_service.watch_list import find_watch_list, load_watch_list

__all__ = ["live"]

logger = logging.getLogger(__name__)

LOOK_S, NAP_S = 5.0, 0.2
"""How often the watch list is looked at, and whether the worker ends."""


IDLE, STANDING_BY = "idle", "standing by"
_RESTING = {IDLE, STANDING_BY, STARTING, LiveState.STOPPED.value}


@loop("live", agent="live")
def live(context: LoopContext) -> None:
    """Follow what is on the watch list until the worker ends; a change of the list begins it anew."""
    with open_lake(settings=context.settings) as lake:
        while not context.stop.is_set():
            names, why = _watched(context, lake)
            other = _other(context)
            if names and other is None:
                _follow(context, lake, names)
            else:
                # The account has one connection, and two who ask would ask for everything twice.
                rests, why = (IDLE, why) if other is None else (STANDING_BY, f"{other} follows the market")
                context.beat(rests, next_step=why)
                context.stop.wait(min(LOOK_S, context.period_s))


def _follow(context: LoopContext, lake: Lake, names: dict[str, str]) -> None:
    """Run an agent until the worker ends or the watch list names others."""
    stop = threading.Event()

    def on_beat(beat: Beat) -> None:
        context.beat(
            beat.state.value, done=beat.done, total=beat.total, next_step=beat.note or None, details=beat_details(beat)
        )

    def look() -> None:
        looked = time.monotonic()
        while not stop.wait(NAP_S):
            if context.stop.is_set():
                stop.set()
            elif time.monotonic() - looked > LOOK_S:
                looked = time.monotonic()
                if (why := _why_to_end(context, lake, names)) is not None:
                    logger.info("%s", why, extra={"stage": "live"})
                    stop.set()

    beat_s = context.period_s / 2
    agent = live_agent(lake, context.settings, list(names), stop=stop, on_beat=on_beat, beat_s=beat_s, names=names)
    watcher = threading.Thread(target=look, name="live-watch-list", daemon=True)
    watcher.start()
    try:
        agent.run()
    finally:
        stop.set()
        watcher.join()


def _why_to_end(context: LoopContext, lake: Lake, names: dict[str, str]) -> str | None:
    """Why these symbols are not to be followed any longer; None where they are."""
    try:
        other = _other(context)
    except StorageError as error:
        # Whoever looks must go on looking: nobody else tells the agent when the worker ends.
        logger.warning("whether another follows the market is not known: %s", error, extra={"stage": "live"})
        other = None
    if other is not None and other < context.worker.name:
        return f"{other} follows the market too: it goes on alone"
    # A list that cannot be read for the moment names nobody: what is followed goes on.
    is_same = (_watched(context, lake)[0] or names) == names
    return None if is_same else "the watch list names others now"


def _other(context: LoopContext) -> str | None:
    """Another worker that follows the market now; the first by name of several."""
    now = context.operations.heartbeats.now()
    return min(
        (
            one.worker
            for one in context.operations.heartbeats.all()
            if one.agent == context.name and one.worker != context.worker.name
            if one.state not in _RESTING and not one.is_stalled(now)
        ),
        default=None,
    )


def _watched(context: LoopContext, lake: Lake) -> tuple[dict[str, str], str]:
    """Alpaca's names of what is to be followed, by symbol; and why there is nothing."""
    try:
        watch_list = load_watch_list(find_watch_list(context.settings, lake.root))
    except BarlakeError as error:
        return {}, str(error)
    return streamed(watch_list.securities), "the watch list has nothing that is traded at Alpaca"
