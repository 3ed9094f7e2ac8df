"""The service as a running server: in the foreground for `barlake serve`, in a thread for tests and notebooks."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import uvicorn

from app.api.connections import ImpatientProtocol, ImpatientWebSocket
from app.api.house import House, open_house
from app.api.main import create_app
from app.loopback import is_loopback
from barlake.errors import InvalidInputError, StorageError
from barlake.settings import Settings

__all__ = ["serve", "serving"]

_START_SECONDS = 30.0
_PARTING_S = 10
"""How long requests that run may go on after the service is told to end."""
_RESTING_S = 60
"""How long a connection may rest between two requests."""
_MOST_CONNECTIONS = 500
"""More are answered with 503; each may hold a file or two."""
_MOST_MESSAGE_BYTES = 65_536


def serve(
    settings: Settings,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    on_ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve a lake until SIGINT or SIGTERM; requests that run are finished first. The process logs as a worker does.

    Parameters
    ----------
    port
        0 takes a free one.
    on_ready
        Gets the base URL once connections are accepted.

    Raises
    ------
    InvalidInputError
        If the address is taken or may not be had, or is reached from other machines while there is no key.
    StorageError
        If the lake or a database of it cannot be opened.
    """
    with open_house(settings) as house:
        _require_a_key(house, host)
        with _bound(host, port) as listener:
            on_ready(_url(listener))
            _Server(house, host, keeps_log=True).run([listener])


@contextlib.contextmanager
def serving(settings: Settings, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Base URL of a service that runs in a thread until the block ends.

    Raises
    ------
    InvalidInputError
        If the address is taken or may not be had.
    StorageError
        If the lake or a database of it cannot be opened.
    """
    with open_house(settings) as house, _bound(host, port) as listener:
        server = _Server(house, host)
        thread = threading.Thread(target=server.run, args=([listener],), name="api", daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield _url(listener)
        finally:
            server.end()
            thread.join()


class _Server(uvicorn.Server):
    """A server that tells answers without an end to end when it shall."""

    def __init__(self, house: House, host: str, *, keeps_log: bool = False) -> None:
        self._house = house
        is_open = house.settings.api_open_on_loopback and is_loopback(host)
        super().__init__(
            uvicorn.Config(
                create_app(house=house, is_open=is_open, keeps_log=keeps_log),
                http=ImpatientProtocol,
                ws=ImpatientWebSocket,
                ws_max_size=_MOST_MESSAGE_BYTES,
                limit_concurrency=_MOST_CONNECTIONS,
                log_config=None,  # whoever runs it decides where messages go
                access_log=False,
                server_header=False,
                timeout_keep_alive=_RESTING_S,
                timeout_graceful_shutdown=_PARTING_S,
            )
        )

    def handle_exit(self, sig: int, frame: object) -> None:  # noqa: ARG002 - as the base class has it
        """End in order; a second Ctrl-C ends at once. The signal is dealt with, and not raised again afterwards."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.end()

    def end(self) -> None:
        """End in order."""
        self._house.stopping.set()
        self.should_exit = True


def _require_a_key(house: House, host: str) -> None:
    """Refuse to be reached from elsewhere while nobody could be let in."""
    if not is_loopback(host) and not house.operations.api_keys.is_any():
        raise InvalidInputError(
            f"host {host!r} is reached from other machines, and no key was made yet: `barlake keys create NAME` "
            "makes one; --host 127.0.0.1 serves this machine alone."
        )


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket: connections queue up from here on, before the server runs."""
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


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise StorageError("the service did not start; what it logged says why.")
        time.sleep(0.01)
