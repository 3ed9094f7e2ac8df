"""Bars while the market is open, in the foreground."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

import barlake
from app.commands.options import Root
from barlake.errors import InvalidInputError
from barlake.keys import parse_symbol

if TYPE_CHECKING:
    from ingest_service.live.agent import Beat

__all__ = ["live"]

BEAT_S = 0.5


def live(
    symbols: Annotated[
        list[str] | None, typer.Argument(help="Symbols, such as SPY QQQ. Default: the watch list.", show_default=False)
    ] = None,
    feed: Annotated[str | None, typer.Option("--feed", help="iex or sip. Default: ALPACA_LIVE_FEED.")] = None,
    root: Root = None,
) -> None:
    """Store minute bars while they come, until Ctrl-C; a session is made final when it is over.

    Bars are streamed where the plan has a stream of the feed, and polled where it has none. They are provisional until
    16 minutes after the extended hours. A worker does the same beside its queues: `barlake worker --agent live`.
    """
    from app.live import live_agent, streamed
    from ingest_service.watch_list import find_watch_list, load_watch_list

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with barlake.open(root) as lake, Live(console=Console(stderr=True), auto_refresh=False) as screen:
        if symbols:
            names = {parse_symbol(symbol): parse_symbol(symbol) for symbol in symbols}
        else:
            names = streamed(load_watch_list(find_watch_list(lake.settings, lake.root)).securities)
        if not names:
            raise InvalidInputError("the watch list names nothing that is traded at Alpaca: name symbols.")

        def show(beat: Beat) -> None:
            screen.update(Text(_line(beat), no_wrap=True, overflow="ellipsis"), refresh=True)

        agent = live_agent(
            lake, lake.settings, list(names), stop=stop, on_beat=show, beat_s=BEAT_S, names=names, feed=feed
        )
        agent.run()


def _line(beat: Beat) -> str:
    parts = [beat.state.value]
    if beat.session is not None:
        parts.append(f"session {beat.session}")
    if beat.total is not None:
        parts.append(f"{beat.done} of {beat.total} symbols")
    if beat.message_age_s is not None:
        parts.append(f"last message {beat.message_age_s:.0f} s ago")
    if beat.lag_s is not None:
        parts.append(f"{beat.lag_s:.0f} s behind the market")
    if beat.rows:
        parts.append(f"{beat.rows:,} bars")
    if beat.halted:
        parts.append(f"halted: {', '.join(beat.halted)}")
    if beat.note:
        parts.append(beat.note)
    return " | ".join(parts)
