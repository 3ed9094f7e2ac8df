"""The stream's client, alone with a server on a socket that says what a test wants."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
from websockets.sync.server import ServerConnection, serve

from ingest_service.live.stream import BarStream, Connected, Event, Heard, Lost
from tests.ingest_service.live.conftest import PATIENCE_S

BAR = {"T": "b", "S": "SYNA", "t": "2024-07-02T14:00:00Z", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "n": 1, "vw": 1}


@contextlib.contextmanager
def listening(port: int, **options: Any) -> Iterator[queue.Queue[Event]]:
    events: queue.Queue[Event] = queue.Queue()
    url = f"ws://127.0.0.1:{port}/v2/iex"
    stream = BarStream(url, "key", "secret", ["SYNA"], events, is_expected=lambda: False, silence_s=60.0, **options)
    stream.start()
    try:
        yield events
    finally:
        stream.close()


@contextlib.contextmanager
def serving(speak: Callable[[ServerConnection], None]) -> Iterator[int]:
    with serve(speak, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)


def test_a_bar_that_comes_together_with_the_answer_to_the_subscription_is_heard() -> None:
    def speak(connection: ServerConnection) -> None:
        connection.send(msgpack.packb([{"T": "success", "msg": "connected"}]))
        connection.recv()
        connection.send(msgpack.packb([{"T": "success", "msg": "authenticated"}]))
        connection.recv()
        connection.send(msgpack.packb([{"T": "subscription", "bars": ["SYNA"]}, BAR]))
        with contextlib.suppress(Exception):
            connection.recv()

    heard = []
    with serving(speak) as port, listening(port) as events:
        while not isinstance(event := events.get(timeout=PATIENCE_S), Connected):
            assert isinstance(event, Heard)
            heard += event.messages
    assert BAR in heard


def test_a_server_that_is_away_for_a_whole_session_is_tried_to_the_end() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        # Nobody listens there: every try fails at once.
        with listening(held.getsockname()[1], backoff_s=0.0) as events:
            for _ in range(1100):
                assert isinstance(events.get(timeout=PATIENCE_S), Lost)
