"""The service over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.options import Root
from app.console import notice
from barlake.settings import load_settings

__all__ = ["serve"]


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any but this machine's own needs keys.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Port; 0 takes a free one.")] = 8000,
    processes: Annotated[
        int, typer.Option("--processes", min=1, max=64, help="How many answer side by side, each on a core.")
    ] = 1,
    root: Root = None,
) -> None:
    """Serve the lake over HTTP until Ctrl-C: bars, features, jobs, models, runs, for programs of any language."""
    from app.api import server

    server.serve(
        load_settings(root), host, port, processes=processes,
        on_ready=lambda url: notice(f"Serving {url}; Ctrl-C stops it"),
    )  # fmt: skip
