"""Options that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

from barlake.keys import Adjustment, SessionFilter, Timeframe

__all__ = [
    "AdjustmentOption",
    "AsJson",
    "AsOf",
    "End",
    "Feed",
    "Root",
    "SessionOption",
    "SomeSymbols",
    "Start",
    "Symbols",
    "TimeframeOption",
]

Root = Annotated[
    str | None,
    typer.Option("--root", help="The lake: a folder, or s3://bucket/prefix. Default: BARLAKE_ROOT, or ./data."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Feed = Annotated[str | None, typer.Option("--feed", help="Default: sip, then iex, then the only other feed.")]
Start = Annotated[str | None, typer.Option("--start", help="First session, such as 2024-01-02, or an instant.")]
End = Annotated[str | None, typer.Option("--end", help="First session, or instant, that is left out.")]
Symbols = Annotated[
    list[str] | None, typer.Argument(help="Symbols, such as SPY QQQ. Default: all.", show_default=False)
]
SomeSymbols = Annotated[list[str], typer.Argument(help="Symbols, such as SPY QQQ.", show_default=False)]
TimeframeOption = Annotated[str, typer.Option("--timeframe", help=f"{', '.join(Timeframe)}; longer ones are derived.")]
SessionOption = Annotated[str, typer.Option("--session", help=f"Hours: {', '.join(SessionFilter)}.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="As the lake was at an instant, such as 2024-01-02T21:00:00Z.")
]
AdjustmentOption = Annotated[str, typer.Option("--adjustment", help=f"Terms of prices: {', '.join(Adjustment)}.")]
