"""The emulator as a running server: in a thread for tests and the demo, or in the foreground."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator

import uvicorn

from barlake.errors import InvalidInputError, SourceError
from barlake.sessions import Calendar
from ingest_service.emulator.application import create_app
from ingest_service.emulator.config import EmulatorConfig

__all__ = ["run", "serve"]

_START_SECONDS = 30.0


@contextlib.contextmanager
def serve(
    config: EmulatorConfig, host: str = "127.0.0.1", port: int = 0, *, calendar: Calendar | None = None
) -> Iterator[str]:
    """Base URL of an emulator that runs in a thread until the block ends.

    Parameters
    ----------
    config
        What to serve.
    host, port
        Where; port 0 takes a free one.
    calendar
        See `create_app`.

    Raises
    ------
    InvalidInputError
        If the address is taken or the bars cannot be served.
    """
    server = _server(config, calendar)
    with _bound(host, port) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), name="emulator", daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


def run(
    config: EmulatorConfig,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    on_ready: Callable[[str], None],
    calendar: Calendar | None = None,
) -> None:
    """Serve until interrupted; `on_ready` gets the base URL once requests are accepted.

    Raises
    ------
    InvalidInputError
        If the address is taken or the bars cannot be served.
    KeyboardInterrupt
        After an interrupt, when open requests have ended.
    """
    server = _server(config, calendar)
    with _bound(host, port) as listener:
        on_ready(_url(listener))
        server.run([listener])


def _server(config: EmulatorConfig, calendar: Calendar | None) -> uvicorn.Server:
    settings = uvicorn.Config(
        create_app(config, calendar=calendar),
        lifespan="off",
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # the machine that tests is the one that is tested
        log_config=None,  # whoever runs the emulator decides where its messages go
        log_level="warning",
        access_log=False,
        date_header=False,  # the emulator's own clock writes it
        server_header=False,
        timeout_keep_alive=75,  # a client may pause between pages
        timeout_graceful_shutdown=1,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_not_a_drop)
    return uvicorn.Server(settings)


def _is_not_a_drop(record: logging.LogRecord) -> bool:
    """Whether a message is worth showing: an incomplete answer is here the purpose of a fault."""
    return record.getMessage() != "ASGI callable returned without completing response."


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket: connections queue up from here on, before the server runs."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
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
            raise SourceError("the emulator did not start: run it in the foreground to see why.")
        time.sleep(0.01)
