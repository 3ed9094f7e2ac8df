"""Alpaca's stream of minute bars: one connection, made again whenever it breaks or falls silent.

The only module that speaks the stream. `websockets` carries it, not alpaca-py's `StockDataStream`, which hides the
moment of a reconnect and answers a refused key by trying for ever (docs/decisions/0023-the-live-path.md).

A thread of its own reads and puts what it hears into a queue; it never waits for whoever takes from there, so the
server does not find its client slow. Facts: https://docs.alpaca.markets/docs/real-time-stock-pricing-data.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgpack
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from barlake.settings import ALPACA_STREAM_URL, Settings

__all__ = ["BarStream", "Connected", "Event", "Heard", "Lost", "Refused", "greet", "stream_url"]

logger = logging.getLogger(__name__)

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 30.0
_LOOK_S = 0.2
_HELLO_S = 10.0
_LONGEST_QUOTE = 200
_LARGEST_FRAME = 16 * 2**20

LASTING = {
    402: "the stream refuses the key that REST takes",
    405: "the plan's stream has fewer symbols than were asked for",
    408: "the account has no stream",
    409: "the plan has no stream of this feed",
    410: "the feed has no stream of bars",
    411: "the key may not use the stream",
}
"""Refusals that come again however often one tries, and what they mean; after any other one tries again."""


@dataclass(frozen=True)
class Connected:
    """The subscription stands: every bar from here on is heard until the connection is lost."""


@dataclass(frozen=True)
class Heard:
    """Messages of one frame, `t` as RFC 3339 text."""

    messages: list[dict[str, Any]]


@dataclass(frozen=True)
class Lost:
    """The connection broke, was refused for now, or fell silent; it is made again."""

    reason: str


@dataclass(frozen=True)
class Refused:
    """The stream says no, and will not be asked again."""

    code: int
    reason: str


Event = Connected | Heard | Lost | Refused


class _LostError(Exception):
    """The connection is over; the text says why."""


class _RefusedError(Exception):
    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


class BarStream:
    """Bars, updated bars and trading statuses of some symbols, as events in a queue.

    Parameters
    ----------
    url
        The endpoint, with the feed.
    key, secret
        What Alpaca knows the caller by.
    events
        Gets an `Event` for everything that happens.
    is_expected
        Whether data should be coming now: a silent connection is given up only then.
    silence_s
        Seconds of machine time without a message after which a connection is given up.
    backoff_s
        First wait before another connection, doubled up to 30 s.
    """

    def __init__(
        self,
        url: str,
        key: str,
        secret: str,
        symbols: Sequence[str],
        events: queue.Queue[Event],
        *,
        is_expected: Callable[[], bool],
        silence_s: float,
        backoff_s: float = FIRST_BACKOFF_S,
    ) -> None:
        self._url = url
        self._credentials = {"key": key, "secret": secret}
        self._symbols = list(symbols)
        self._events = events
        self._is_expected = is_expected
        self._silence_s = silence_s
        self._backoff_s = backoff_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bar-stream", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def close(self) -> None:
        """End the connection and wait for that."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * _HELLO_S)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._converse()
            except _RefusedError as error:
                if error.code in LASTING:
                    reason = f"{LASTING[error.code]} (error {error.code}: {error})"
                    logger.warning("the stream is given up: %s", reason, extra={"stage": "stream"})
                    self._events.put(Refused(error.code, reason))
                    return
                reason = f"error {error.code}: {error}"
            except _LostError as error:
                reason = str(error)
            except (WebSocketException, OSError, TimeoutError, EOFError) as error:
                reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            else:
                return
            # A connection that lasted was a good one: the next trouble is another.
            failures = 0 if time.monotonic() - began > LONGEST_BACKOFF_S else failures
            wait = min(self._backoff_s * 2.0 ** min(failures, 10), LONGEST_BACKOFF_S) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            failures += 1
            logger.info("the stream is lost: %s; again in %.1f s", reason, wait, extra={"stage": "stream"})
            self._events.put(Lost(reason))
            self._stop.wait(wait)

    def _converse(self) -> None:
        with connect(
            self._url,
            additional_headers={"Content-Type": "application/msgpack"},
            open_timeout=_HELLO_S,
            close_timeout=1,
            max_size=_LARGEST_FRAME,
            max_queue=None,
        ) as connection:
            self._await(connection, "connected")
            self._say(connection, {"action": "auth", **self._credentials})
            self._await(connection, "authenticated")
            wanted = {"bars": self._symbols, "updatedBars": self._symbols, "statuses": self._symbols}
            self._say(connection, {"action": "subscribe", **wanted})
            self._await(connection, "subscription")
            self._events.put(Connected())
            logger.info("the stream has %d symbols", len(self._symbols), extra={"stage": "stream"})
            self._listen(connection)

    def _listen(self, connection: ClientConnection) -> None:
        last = time.monotonic()
        while not self._stop.is_set():
            messages = self._hear(connection, _LOOK_S)
            now = time.monotonic()
            if messages is None and self._is_expected():
                if now - last > self._silence_s:
                    raise _LostError(f"silent for {now - last:.0f} s while the market was open")
                continue
            last = now
            if messages:
                self._events.put(Heard(messages))

    def _await(self, connection: ClientConnection, word: str) -> None:
        """Read until the server says a word; what it says beside that, such as a bar, is passed on."""
        deadline = time.monotonic() + _HELLO_S
        while (left := deadline - time.monotonic()) > 0:
            messages = self._hear(connection, min(left, _LOOK_S)) or []
            if messages:
                self._events.put(Heard(messages))
            if any(word in {message.get("msg"), message.get("T")} for message in messages):
                return
            if self._stop.is_set():
                raise _LostError("stopped")
        raise _LostError(f"the server did not say {word!r} within {_HELLO_S:.0f} s")

    def _hear(self, connection: ClientConnection, timeout_s: float) -> list[dict[str, Any]] | None:
        """Messages of the next frame, none of a frame that makes no sense; None when no frame came."""
        try:
            frame = connection.recv(timeout=timeout_s)
        except TimeoutError:
            return None
        messages = _decode(frame)
        if messages is None:
            logger.warning("a frame of the stream cannot be read: %r", frame[:80], extra={"stage": "stream"})
            return []
        for message in messages:
            if message.get("T") == "error":
                code = message.get("code")
                raise _RefusedError(code if isinstance(code, int) else 0, str(message.get("msg", "")))
        return messages

    def _say(self, connection: ClientConnection, words: dict[str, Any]) -> None:
        packed: bytes = msgpack.packb(words)
        connection.send(packed)


def _decode(frame: bytes | str) -> list[dict[str, Any]] | None:
    """Messages of a frame, msgpack or JSON; None if it is neither."""
    try:
        said = msgpack.unpackb(frame, timestamp=3) if isinstance(frame, bytes) else json.loads(frame)
    except (ValueError, msgpack.UnpackException, RecursionError):
        return None
    messages = said if isinstance(said, list) else [said]
    return [_plain(message) for message in messages if isinstance(message, dict)]


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    """A message as REST would write it."""
    stamp = message.get("t")
    if isinstance(stamp, dt.datetime):
        return message | {"t": stamp.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")}
    return message


def stream_url(settings: Settings, feed: str) -> str:
    """Endpoint of a feed's stream: the one set, the one beside a stand-in for Alpaca's data API, or Alpaca's own."""
    own, data_url = settings.alpaca_stream_url, settings.alpaca_data_url
    if own is not None:
        return own if urlsplit(own).path.strip("/") else f"{own}/v2/{feed}"
    if data_url is None or (urlsplit(data_url).hostname or "").endswith(".alpaca.markets"):
        return f"{ALPACA_STREAM_URL}/v2/{feed}"
    return f"ws{data_url.removeprefix('http')}/v2/{feed}"


def greet(url: str, *, timeout_s: float = 10.0) -> str | None:
    """Why the stream does not greet who connects; None when it does.

    No key is sent: a second connection of one key would end the first.
    """
    try:
        with connect(url, open_timeout=timeout_s, close_timeout=1) as connection:
            messages = _decode(connection.recv(timeout=timeout_s)) or []
    except (OSError, WebSocketException) as error:
        return f"{type(error).__name__}: {error}"[:_LONGEST_QUOTE]
    greets = any(message.get("msg") == "connected" for message in messages)
    return None if greets else f"it says {str(messages)[:_LONGEST_QUOTE]}"
