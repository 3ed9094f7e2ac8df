"""Pages in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.options import Root
from app.console import say

__all__ = ["dashboard"]


def dashboard(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on. Any but this machine's own asks visitors for a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8501,
    root: Root = None,
) -> None:
    """Show the lake in a browser until Ctrl-C: what is here, what is being done, bars, models, simulations, logs."""
    from app.dashboard.run import run_dashboard

    run_dashboard(root, host=host, port=port, tell=lambda url: say(f"Dashboard at {url}; Ctrl-C stops it"))
