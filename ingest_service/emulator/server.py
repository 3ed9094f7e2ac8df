"""The emulator as a running server: in a thread for tests and the demo, or in the foreground."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

import uvicorn

from barlake.listening import bound, in_a_thread, url_of
from barlake.sessions import Calendar
from ingest_service.emulator.application import create_app
from ingest_service.emulator.config import EmulatorConfig

__all__ = ["run", "serve"]


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
    with bound(host, port) as listener, in_a_thread(server, listener, name="emulator"):
        yield url_of(listener)


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
    with bound(host, port) as listener:
        on_ready(url_of(listener))
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
