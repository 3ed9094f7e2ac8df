"""One session while it is on: what the stream says and what polls answer, stored minute by minute."""

from __future__ import annotations

import datetime as dt
import logging
import queue
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from barlake.errors import CredentialsError
from ingest_service.live.desk import LiveDesk, LiveState
from ingest_service.live.hours import LiveSession, next_poll
from ingest_service.live.minutes import MinuteBatch
from ingest_service.live.polling import Polled, Poller, PollFailed, Refusal
from ingest_service.live.stream import BarStream, Connected, Heard, Lost, Refused

__all__ = ["Following", "StreamSettings"]

logger = logging.getLogger(__name__)

QUIET_S, LONGEST_BATCH_S = 0.3, 1.5
"""A batch is stored when no further bar came for that long, or that long after its first one; scaled by the clock."""

CORRECTIONS_WAIT_S = 25.0
"""Updated bars alone wait so long for the next minute's bars, and are stored with them in one go."""

SHORTEST_WAIT_S = 0.02
TAIL = dt.timedelta(seconds=40)
"""After the last minute its bars are still to come, and half a minute later their corrections."""

OVERLAP = dt.timedelta(minutes=3)
"""Polled again each time: a bar changes until half a minute after its own, or longer."""

BACKBONE = dt.timedelta(minutes=10)
"""How often bars are polled beside a stream that works."""

AGAIN_AFTER_S = 5.0
"""Before a poll that failed is made again, machine time."""

_LONGEST_NAP_S = 0.25


@dataclass(frozen=True)
class StreamSettings:
    """Where the stream is and who listens.

    Parameters
    ----------
    url
        The endpoint, with the feed.
    silence_s
        Seconds of market time without a message, while the exchange is open, that mean a dead connection.
    backoff_s
        First wait before another connection, machine time.
    """

    url: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    silence_s: float = 150.0
    backoff_s: float = 1.0


class Following:
    """Follows one session to its end.

    Parameters
    ----------
    stream
        None polls.
    has_recent
        Whether REST gives out the newest minutes of the feed on this plan; None: if the stream does.
    """

    def __init__(
        self, desk: LiveDesk, session: LiveSession, stream: StreamSettings | None, *, has_recent: bool | None
    ) -> None:
        self._desk = desk
        self._session = session
        self._settings = stream
        self._has_recent = has_recent
        self._events: queue.Queue[Any] = queue.Queue()
        self._poller = Poller(
            desk.source, desk.feed, self._events, on_receipt=lambda one: desk.lake.manifest.add_receipts([one])
        )
        self._stream: BarStream | None = None
        self._stream_stands = False
        self._is_polling = self._is_overtaken = False
        self._batch = MinuteBatch()
        self._known_as = {name: desk.known_as(name) for name in desk.names}
        self._first_at = self._last_at = 0.0
        self._polled_to = session.begin
        self._poll_at = session.begin
        self._retry_at = 0.0
        self._state = LiveState.RECONCILING

    def run(self) -> None:
        """Store bars until the session's last correction has come, or the desk is to stop.

        Raises
        ------
        CredentialsError
            If Alpaca refuses the key.
        StorageError
            If the disk is full or refuses.
        """
        self._desk.begin()
        self._say(LiveState.RECONCILING, "what was missed since the session began")
        self._poller.start()
        try:
            while not self._desk.stop.is_set() and self._desk.clock.now() < self._session.end + TAIL:
                self._poll_if_due()
                self._take_events()
                if self._flush_at() <= time.monotonic():
                    self._flush()
        finally:
            if self._stream is not None:
                self._stream.close()
            try:
                self._take_what_is_there()
                self._flush()
            finally:
                self._poller.close()

    # --- events ----------------------------------------------------------------------------------

    def _take_events(self) -> None:
        """Wait for something to happen, but not longer than anything else is due, and take all that has."""
        left = self._flush_at() - time.monotonic()
        if (until_poll := self._until_poll()) is not None:
            left = min(left, until_poll)
        try:
            event = self._events.get(timeout=min(max(left, SHORTEST_WAIT_S / 4), _LONGEST_NAP_S))
        except queue.Empty:
            return
        self._handle(event)
        self._take_what_is_there()

    def _take_what_is_there(self) -> None:
        while True:
            try:
                self._handle(self._events.get_nowait())
            except queue.Empty:
                return

    def _handle(self, event: Any) -> None:
        match event:
            case Heard(messages):
                self._hear(messages)
            case Connected():
                self._connected()
            case Lost(reason):
                self._without_stream(LiveState.CONNECTING, reason)
            case Refused(_, reason):
                self._without_stream(LiveState.POLLING, reason)
            case Polled(rows, end, is_last):
                self._desk.store(self._renamed(rows), session=self._session.session, origin="poll")
                if is_last:
                    self._polled(end)
            case PollFailed(error):
                self._failed(error)
            case Refusal(name, why):
                self._refuse(name, why)

    def _refuse(self, name: str, why: str) -> None:
        for symbol in self._desk.known_as(name):
            self._desk.refuse(symbol, why)

    def _without_stream(self, state: LiveState, reason: str) -> None:
        self._stream_stands = False
        self._say(state, reason)
        self._poll_at = next_poll(self._desk.clock.now())

    def _hear(self, messages: Sequence[Mapping[str, Any]]) -> None:
        self._desk.heard()
        now = time.monotonic()
        for message in messages:
            for symbol in self._known_as.get(str(message.get("S")), ()):
                if message.get("T") == "s":
                    self._desk.halted(symbol, str(message.get("sc")), str(message.get("rm") or message.get("sm")))
                elif self._batch.add({**message, "S": symbol}):
                    self._first_at = now if len(self._batch) == 1 else self._first_at
                    self._last_at = now

    def _renamed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows under the symbols they are kept as, from rows under the source's names."""
        pairs = [(name, symbol) for name, symbols in self._known_as.items() for symbol in symbols]
        names = pl.DataFrame(pairs, schema={"symbol": pl.String(), "kept_as": pl.String()}, orient="row")
        return rows.join(names, on="symbol").drop("symbol").rename({"kept_as": "symbol"})

    def _connected(self) -> None:
        self._stream_stands = True
        if self._has_recent is None:
            self._has_recent = True
        # What was said while nobody listened is asked for at once; a poll under way may have asked too early for it.
        self._say(LiveState.RECONCILING, "what the stream said while it was away")
        self._poll_at, self._is_overtaken = self._desk.clock.now(), self._is_polling

    def _polled(self, end: dt.datetime) -> None:
        self._is_polling = False
        self._polled_to = max(self._polled_to, end)
        if self._is_overtaken:
            self._is_overtaken = False
            return
        now = self._desk.clock.now()
        if self._stream is None and self._settings is not None:
            # The key is good, or REST would have said so: only now is the stream worth a try.
            self._connect(self._settings)
        if self._state is LiveState.RECONCILING and self._stream is None:
            self._say(LiveState.POLLING, "the stream is off")
        elif self._state is LiveState.RECONCILING and self._stream_stands:
            self._say(LiveState.STREAMING)
        streaming = self._state is LiveState.STREAMING
        self._poll_at = next_poll(now + BACKBONE if streaming else now)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, CredentialsError):
            raise error
        self._is_polling = self._is_overtaken = False
        logger.warning("a poll failed: %s", error, extra={"feed": self._desk.feed, "stage": "poll"})
        self._say(self._state, str(error))
        self._retry_at = time.monotonic() + AGAIN_AFTER_S
        if self._stream is None and self._settings is not None:
            self._connect(self._settings)

    # --- the stream ------------------------------------------------------------------------------

    def _connect(self, settings: StreamSettings) -> None:
        speed = max(self._desk.clock.speed, 1e-9)
        self._stream = BarStream(
            settings.url,
            settings.key,
            settings.secret,
            self._desk.names,
            self._events,
            is_expected=lambda: self._session.is_open(self._desk.clock.now()),
            silence_s=max(settings.silence_s / speed, 0.5),
            backoff_s=settings.backoff_s,
        )
        self._say(LiveState.CONNECTING)
        self._stream.start()

    # --- what is due -----------------------------------------------------------------------------

    def _until_poll(self) -> float | None:
        """Machine seconds until the next poll; None while one is under way."""
        if self._is_polling:
            return None
        market = (self._poll_at - self._desk.clock.now()).total_seconds() / max(self._desk.clock.speed, 1e-9)
        return max(market, self._retry_at - time.monotonic(), 0.0)

    def _poll_if_due(self) -> None:
        if self._until_poll() != 0.0:
            return
        desk = self._desk
        end = min(self._newest_end(), self._session.end)
        start = max(self._session.begin, min(self._polled_to, end) - OVERLAP)
        if start < end and desk.symbols:
            self._is_polling = True
            self._poller.ask(desk.names, start, end)
        else:
            self._polled(self._polled_to)

    def _newest_end(self) -> dt.datetime:
        """The end of the newest minute that is over and may be asked for."""
        source, feed = self._desk.source, self._desk.feed
        if self._has_recent:
            return min(source.server_now(), self._desk.clock.now()).replace(second=0, microsecond=0)
        return source.latest_allowed_end(feed)

    def _flush_at(self) -> float:
        """When the batch is to be stored, machine time."""
        if not len(self._batch):
            return float("inf")
        if not self._batch.has_bars:
            return self._first_at + self._scaled(CORRECTIONS_WAIT_S)
        if self._batch.is_full(self._known_as):
            return 0.0
        return min(self._last_at + self._scaled(QUIET_S), self._first_at + self._scaled(LONGEST_BATCH_S))

    def _scaled(self, seconds: float) -> float:
        return max(seconds / max(self._desk.clock.speed, 1e-9), SHORTEST_WAIT_S)

    def _flush(self) -> None:
        if len(self._batch):
            self._desk.store(self._batch.take(), session=self._session.session, origin="stream")

    def _say(self, state: LiveState, note: str = "") -> None:
        self._state = state
        self._desk.set(state, session=self._session.session, note=note)
