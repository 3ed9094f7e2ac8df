"""Streamlit, started as the house wants it: on this machine only, quiet, without reports to anybody."""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.loopback import is_loopback
from app.operations import open_operations
from barlake.errors import InvalidInputError
from barlake.settings import load_settings

__all__ = ["free_port", "run_dashboard"]

_FOLDER = Path(__file__).parent
_NEEDED = ("streamlit", "plotly", "xlsxwriter")
_OWN_NAMES = ["127.0.0.1", "localhost", "::1"]


def run_dashboard(root: str | None, *, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the dashboard until Ctrl-C or SIGTERM.

    Parameters
    ----------
    root
        The lake; None takes what the settings say.
    port
        0 takes a free one.
    tell
        Told the address before the first page can be asked for.

    Raises
    ------
    InvalidInputError
        If the libraries of the dashboard are not installed, the port is taken, or other machines could come in and
        there is no key to let anybody in by.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidInputError(
            f'the dashboard needs {", ".join(missing)}: pip install "barlake[dashboard]", then run this again.'
        )
    from streamlit.runtime.pages_manager import PagesManager  # noqa: PLC0415 - a second of import, and no part of the core
    from streamlit.web import bootstrap  # noqa: PLC0415 - as above

    if root is not None:
        # Each page reads the settings anew, as every command does.
        os.environ["BARLAKE_ROOT"] = root
    _require_a_key(host)
    port = free_port(host, port)
    options = _options(host, port)
    bootstrap.load_config_options(options)
    # Else a first look at a page's own address would run its file alone, past the frame, its menu and its key.
    PagesManager.uses_pages_directory = False
    # Whoever looks first shall not wait for what the pages import.
    for page in sorted((_FOLDER / "pages").glob("[a-z]*.py")):
        importlib.import_module(f"app.dashboard.pages.{page.stem}")
    tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    bootstrap.run(str(_FOLDER / "home.py"), False, [], options)


def _require_a_key(host: str) -> None:
    if is_loopback(host):
        return
    with open_operations(load_settings()) as operations:
        if not operations.api_keys.is_any():
            raise InvalidInputError(
                f"--host {host} is reached from other machines, and no key was made yet: `barlake keys create NAME "
                "--role operator` makes one; --host 127.0.0.1 serves this machine alone."
            )


def free_port(host: str, port: int) -> int:
    """The port if it can be listened on, or for 0 one that can.

    Raises
    ------
    InvalidInputError
        If it is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InvalidInputError(
                f"--host {host} --port {port} cannot be listened on: {error.strerror or error}. "
                "Name another port, or 0 for any that is free."
            ) from error
        found: int = probe.getsockname()[1]
        return found


def _options(host: str, port: int) -> dict[str, Any]:
    """Streamlit's options; those of a file of one's own count less."""
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        # A page of elsewhere must not reach a dashboard that has no key by a name of its own.
        "server.allowedHosts": _OWN_NAMES if is_loopback(host) else [],
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "type",
        "client.showErrorLinks": False,
        "logger.hideWelcomeMessage": True,
        "logger.level": "error",
        "runner.magicEnabled": False,
        "theme.base": str(_FOLDER / "theme.toml"),
    }
