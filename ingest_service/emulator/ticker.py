"""What the stream says of its own accord, at the instants at which Alpaca says it.

A bar comes when its minute has ended, its revised version half a minute later, the day so far with every bar; a halt
when it happens. Instants are those of the emulator's clock: when that is set, what lies between is not made up for.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from barlake.sessions import NEW_YORK
from ingest_service.emulator.resampled import DailyBars
from ingest_service.emulator.revisions import CORRECTION_US
from ingest_service.emulator.source import MINUTE_US, BarSource
from ingest_service.emulator.special import HALT_END, HALT_START
from ingest_service.emulator.stream import DELAYED, NEWS, TEST, Connection, StreamHub
from ingest_service.emulator.stream_words import Message, bar_message

if TYPE_CHECKING:
    from ingest_service.emulator.state import EmulatorState

__all__ = ["Ticker"]

_LONGEST_NAP_S = 0.05
_DELAY_US = 15 * MINUTE_US
_LEAP_US = 5 * MINUTE_US
_LEAP_S = 10.0


class Ticker:
    """Tells every connection what happens, as long as there is one.

    Parameters
    ----------
    state
        What the emulator remembers.
    hub
        Who is connected.
    """

    def __init__(self, state: EmulatorState, hub: StreamHub) -> None:
        self._state = state
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self._position = 0

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._task is None or self._task.done():
            self._position = self._last_instant()
            self._task = asyncio.ensure_future(self._run())

    def clock_was_set(self) -> None:
        """Look at the clock at once: a leap is seen as one also if it is followed by another."""
        if self._task is not None and not self._task.done():
            self._catch_up(_LEAP_US)

    async def _run(self) -> None:
        while self._hub.connections:
            clock = self._state.clock
            following = self._catch_up(_LEAP_US + int(_LEAP_S * clock.speed * 1e6))
            left_s = following / 1e6 - clock.seconds()
            nap = left_s / clock.speed if clock.speed else _LONGEST_NAP_S
            await asyncio.sleep(min(max(nap, 0.0), _LONGEST_NAP_S))

    def _catch_up(self, leap_us: int) -> int:
        """Tell everything that is due; the next instant at which something is."""
        now_us = int(self._state.clock.seconds() * 1e6)
        if not self._position <= now_us < self._position + leap_us:
            self._position = self._last_instant()
        while self._position + CORRECTION_US <= now_us:
            self._position += CORRECTION_US
            self._tell(self._position)
        return self._position + CORRECTION_US

    def _last_instant(self) -> int:
        return int(self._state.clock.seconds() * 1e6) // CORRECTION_US * CORRECTION_US

    def _tell(self, instant_us: int) -> None:
        now = dt.datetime.fromtimestamp(instant_us / 1e6, dt.UTC)
        for connection in list(self._hub.connections):
            messages = list(self._messages(connection, instant_us))
            size = self._state.config.stream_batch
            for begin in range(0, len(messages), size) if messages else (0,):
                delivery = self._state.stream_faults.disturb(messages[begin : begin + size], now)
                for fault in delivery.faults:
                    connection.note("WS", {}, fault=fault)
                if delivery.messages or delivery.closes or delivery.error is not None:
                    connection.deliver(delivery)

    def _messages(self, connection: Connection, instant_us: int) -> Iterator[Message]:
        if connection.endpoint == NEWS:
            yield from self._news(connection, instant_us)
            return
        at_us = instant_us - (_DELAY_US if connection.endpoint == DELAYED else 0)
        at = dt.datetime.fromtimestamp(at_us / 1e6, dt.UTC)
        views = self._state.views
        source = views.test(at) if connection.endpoint == TEST else views.minutes(at)
        if at_us % MINUTE_US:
            yield from self._updated(connection, source, at_us)
            return
        yield from _bars("b", connection.wants("bars"), source, at_us - MINUTE_US)
        yield from self._daily(connection, source, at_us)
        yield from self._halts(connection, at)

    def _updated(self, connection: Connection, source: BarSource, at_us: int) -> Iterator[Message]:
        changed = self._state.revisions.changed_at(connection.wants("updatedBars"), at_us)
        yield from _bars("u", changed, source, at_us - MINUTE_US - CORRECTION_US)

    def _daily(self, connection: Connection, source: BarSource, at_us: int) -> Iterator[Message]:
        symbols = connection.wants("dailyBars")
        hours = self._state.views.session_at(at_us) if symbols else None
        if hours is not None and hours.open_us < at_us <= hours.close_us:
            yield from _bars("d", symbols, DailyBars(source, [hours]), hours.label_us)

    def _halts(self, connection: Connection, at: dt.datetime) -> Iterator[Message]:
        wall = at.astimezone(NEW_YORK).time()
        wanted = connection.channels["statuses"] & {"HALT", "*"}
        if "HALT" not in connection.known or not wanted or wall not in {HALT_START, HALT_END}:
            return
        if self._state.views.session_at(int(at.timestamp() * 1e6)) is None:
            return
        codes = (
            ("H", "Trading Halt", "T1", "Halt News Pending")
            if wall == HALT_START
            else ("T", "Trading Resumption", "", "")
        )
        yield {"T": "s", "S": "HALT", **dict(zip(("sc", "sm", "rc", "rm"), codes, strict=True)), "t": at, "z": "C"}

    def _news(self, connection: Connection, instant_us: int) -> Iterator[Message]:
        until = dt.datetime.fromtimestamp(instant_us / 1e6, dt.UTC)
        asked = connection.channels["news"]
        after = until - dt.timedelta(microseconds=CORRECTION_US)
        for article in self._state.news.changed_between(after, until, now=until):
            if "*" in asked or asked & set(article["symbols"]):
                stamps = {name: dt.datetime.fromisoformat(article[name]) for name in ("created_at", "updated_at")}
                yield {"T": "n", **{name: value for name, value in article.items() if name != "images"}, **stamps}


def _bars(kind: str, symbols: Sequence[str], source: BarSource, stamp_us: int) -> Iterator[Message]:
    for symbol in symbols:
        rows = source.rows(symbol, stamp_us, stamp_us, limit=1)
        if rows.height:
            yield bar_message(kind, symbol, rows)
