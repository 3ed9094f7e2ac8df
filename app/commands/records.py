"""Daily bars, news and macro values: what is held of them, as it stands or stood."""

from __future__ import annotations

from typing import Annotated

import typer

import barlake
from app.commands.options import AsJson, AsOf, End, Root, SomeSymbols, Start, Symbols
from app.console import print_frame

__all__ = ["daily", "macro", "news"]

KnownBy = Annotated[
    str | None, typer.Option("--known-by", help="As could be known at an instant, such as 2024-01-02T21:00:00Z.")
]
Source = Annotated[str | None, typer.Option("--source", help="Whose rows, such as yahoo. Default: all.")]
DailySource = Annotated[
    str | None, typer.Option("--source", help="Whose bars, or all. Default: for each session the preferred source.")
]


def daily(
    symbols: SomeSymbols,
    start: Start = None,
    end: End = None,
    source: DailySource = None,
    known_by: KnownBy = None,
    as_of: AsOf = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show daily bars as sources state them; `barlake bars --timeframe 1Day` makes them of minute bars."""
    with barlake.open(root) as lake:
        frame = lake.daily(symbols, start, end, source=source, as_of=as_of, known_by=known_by)
    print_frame(frame if as_json else frame.drop("ingested_at"), as_json=as_json, newest=True)


def news(
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    source: Source = None,
    known_by: KnownBy = None,
    as_of: AsOf = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show articles, of some symbols or all; --json has their text."""
    with barlake.open(root) as lake:
        frame = lake.news(symbols or None, start, end, source=source, as_of=as_of, known_by=known_by)
    short = frame.select("source", "created_at", "symbols", "headline")
    print_frame(frame if as_json else short, as_json=as_json, newest=True)


def macro(
    series: Annotated[list[str], typer.Argument(help="Series, such as GDP CPIAUCSL.", show_default=False)],
    start: Start = None,
    end: End = None,
    source: Source = None,
    known_by: KnownBy = None,
    as_of: AsOf = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show values of macro series, by the date they are about, with their release."""
    with barlake.open(root) as lake:
        frame = lake.macro(series, start, end, source=source, as_of=as_of, known_by=known_by)
    print_frame(frame if as_json else frame.drop("ingested_at"), as_json=as_json, newest=True)
