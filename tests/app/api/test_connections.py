"""Clients that send or read too slowly, and those who send what is no HTTP: they hold nothing, others are served."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.api import connections
from app.api.connections import ImpatientProtocol, ImpatientWebSocket
from app.api.envelope import Envelope

SHORT_S = 1.0
"""Long enough that a busy machine does not take it for the server."""


async def at_once(request: Request) -> Response:
    await request.body()
    return PlainTextResponse("done")


async def endless(_: Request) -> Response:
    return StreamingResponse(iter(lambda: b"x" * 65_536, b""))


ENDED = threading.Event()


async def endless_messages(found: WebSocket) -> None:
    await found.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await found.send_bytes(b"x" * 65_536)
    ENDED.set()


APP = Starlette(
    routes=[
        Route("/", at_once, methods=["GET", "POST"]),
        Route("/endless", endless),
        WebSocketRoute("/messages", endless_messages),
    ]
)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server whose patience is short."""
    monkeypatch.setattr(connections, "REQUEST_S", SHORT_S)
    monkeypatch.setattr(connections, "READING_S", SHORT_S)
    monkeypatch.setattr("app.api.envelope.BODY_S", SHORT_S)
    listener = socket.create_server(("127.0.0.1", 0))
    app = Envelope(APP, observe=lambda *_: None)
    config = uvicorn.Config(
        app, http=ImpatientProtocol, ws=ImpatientWebSocket, lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


@contextlib.contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as found:
        yield found


def rest_of(found: socket.socket) -> bytes:
    """All that comes until the server ends the connection, however it does that."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := found.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


def up_to(found: socket.socket, end: bytes) -> bytes:
    """All that comes up to some words, which may come in several parts."""
    whole = b""
    while not whole.endswith(end):
        part = found.recv(4096)
        assert part, whole
        whole += part
    return whole


def is_served(port: int) -> bool:
    with connection(port) as found:
        found.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return b"200 OK" in rest_of(found)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_request_that_never_comes_to_an_end_is_waited_for_a_while_only(port: int, sent: bytes) -> None:
    with connection(port) as found:
        began = time.monotonic()
        found.sendall(sent)
        assert rest_of(found) == b""
        assert time.monotonic() - began < 20 * SHORT_S
    assert is_served(port)


def test_letters_that_trickle_in_do_not_begin_the_wait_anew(port: int) -> None:
    with connection(port) as found:
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 20 * SHORT_S:
                found.sendall(b"G")
                time.sleep(SHORT_S / 10)
        assert time.monotonic() - began < 20 * SHORT_S
    assert is_served(port)


def test_a_second_request_on_the_same_connection_has_the_same_time(port: int) -> None:
    with connection(port) as found:
        found.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in up_to(found, b"done")
        time.sleep(2 * SHORT_S)  # a connection at rest is not a request on its way
        found.sendall(b"GET / HT")
        time.sleep(SHORT_S / 4)
        found.sendall(b"TP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in up_to(found, b"done")
        found.sendall(b"GET")
        assert b"200" not in rest_of(found)


def test_a_body_that_trickles_in_is_refused(port: int) -> None:
    with connection(port) as found:
        found.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 20 * SHORT_S:
                found.sendall(b"x")
                time.sleep(SHORT_S / 10)
        assert time.monotonic() - began < 20 * SHORT_S
        assert b"200 OK" not in rest_of(found)
    assert is_served(port)


@pytest.mark.slow
def test_an_answer_that_nobody_reads_is_ended(port: int) -> None:
    with connection(port) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        found.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(4 * SHORT_S)
        rest_of(found)  # ends: the server gave up, or this would never return
    assert is_served(port)


@pytest.mark.slow
def test_messages_that_nobody_reads_are_ended(port: int) -> None:
    with connection(port) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        found.sendall(
            b"GET /messages HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert ENDED.wait(20)
        rest_of(found)  # ends: the connection is closed, not only the answer
    assert is_served(port)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS handshake
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_and_others_are_served(port: int, sent: bytes) -> None:
    with connection(port) as found:
        with contextlib.suppress(OSError):
            found.sendall(sent)
        answer = rest_of(found)
        assert not answer or int(answer.split()[1]) < 500
        assert b"Traceback" not in answer
    assert is_served(port)
