"""The service as a running server: in the foreground for `barlake serve`, in a thread for tests and notebooks."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from app.api.connections import ImpatientProtocol, ImpatientWebSocket
from app.api.house import House, open_house
from app.api.main import create_app
from app.api.processes import run_processes
from app.loopback import is_loopback
from barlake.errors import InvalidInputError
from barlake.listening import bound, in_a_thread, url_of
from barlake.settings import Settings

__all__ = ["serve", "serving"]

_PARTING_S = 10
"""How long requests that run may go on after the service is told to end."""
_RESTING_S = 60
"""How long a connection may rest between two requests."""
_MOST_CONNECTIONS = 500
"""More are answered with 503; each may hold a file or two."""
_MOST_MESSAGE_BYTES = 65_536

_OPTIONS: dict[str, Any] = {
    "http": ImpatientProtocol,
    "ws": ImpatientWebSocket,
    "ws_max_size": _MOST_MESSAGE_BYTES,
    "limit_concurrency": _MOST_CONNECTIONS,
    "log_config": None,  # whoever runs it decides where messages go
    "access_log": False,
    "server_header": False,
    "timeout_keep_alive": _RESTING_S,
    "timeout_graceful_shutdown": _PARTING_S,
}


def serve(
    settings: Settings,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    processes: int = 1,
    on_ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve a lake until SIGINT or SIGTERM; requests that run are finished first. The process logs as a worker does.

    Parameters
    ----------
    port
        0 takes a free one.
    processes
        How many answer side by side; each grants its share of what a key may ask.
    on_ready
        Gets the base URL once connections are accepted.

    Raises
    ------
    InvalidInputError
        If the address is taken or may not be had, or is reached from other machines while there is no key.
    StorageError
        If the lake or a database of it cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        house = stack.enter_context(open_house(settings))
        _require_a_key(house, host)
        with bound(host, port) as listener:
            on_ready(url_of(listener))
            if processes == 1:
                _Server(house, host, keeps_log=True).run([listener])
                return
            stack.close()  # each process opens a house of its own
            run_processes(settings, listener, processes, is_open=_is_open(settings, host), options=_OPTIONS)


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
    with open_house(settings) as house, bound(host, port) as listener:
        server = _Server(house, host)
        with in_a_thread(server, listener, name="service"):
            yield url_of(listener)


class _Server(uvicorn.Server):
    """A server that tells answers without an end to end when it shall."""

    def __init__(self, house: House, host: str, *, keeps_log: bool = False) -> None:
        self._house = house
        app = create_app(house=house, is_open=_is_open(house.settings, host), keeps_log=keeps_log)
        super().__init__(uvicorn.Config(app, **_OPTIONS))

    def handle_exit(self, sig: int, frame: object) -> None:  # noqa: ARG002 - as the base class has it
        """End in order; a second Ctrl-C ends at once. The signal is dealt with, and not raised again afterwards."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self._house.stopping.set()
        self.should_exit = True


def _is_open(settings: Settings, host: str) -> bool:
    return settings.api_open_on_loopback and is_loopback(host)


def _require_a_key(house: House, host: str) -> None:
    """Refuse to be reached from elsewhere while nobody could be let in."""
    if not is_loopback(host) and not house.operations.api_keys.is_any():
        raise InvalidInputError(
            f"host {host!r} is reached from other machines, and no key was made yet: `barlake keys create NAME` "
            "makes one; --host 127.0.0.1 serves this machine alone."
        )
