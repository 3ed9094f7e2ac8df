"""A server of HTTP on a socket of this machine: bound before it runs, in a thread where somebody waits beside it."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Protocol

from barlake.errors import InvalidInputError, StorageError

__all__ = ["Server", "bound", "in_a_thread", "url_of"]

_START_SECONDS = 30.0


class Server(Protocol):
    """What is asked of a server, such as uvicorn's."""

    started: bool

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal as its being told to end."""


def bound(host: str, port: int) -> socket.socket:
    """A listening socket: connections queue up from here on, before the server runs.

    Parameters
    ----------
    port
        0 takes a free one.

    Raises
    ------
    InvalidInputError
        If the address is taken or may not be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
        # Connections inherit it. Without it the body of a short answer waits 40 ms for the headers to be acknowledged:
        # asyncio sets it only on sockets that were made with their protocol by number.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener  # noqa: TRY300 - all of it may be refused
    except (OSError, OverflowError) as error:
        raise InvalidInputError(
            f"port {port} on host {host!r} cannot be served from: {error}. Name a free port, or 0 for any."
        ) from error


def url_of(listener: socket.socket) -> str:
    """The base URL of what answers on a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def in_a_thread(server: Server, listener: socket.socket, *, name: str) -> Iterator[None]:
    """Have a server run in a thread until the block ends; it is told so as by a signal, which it never gets there.

    Raises
    ------
    StorageError
        If it does not start.
    """
    thread = threading.Thread(target=server.run, args=([listener],), name=name, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise StorageError(f"the {name} did not start; what it logged says why.")
            time.sleep(0.01)
        yield
    finally:
        server.handle_exit(signal.SIGTERM, None)
        thread.join()
