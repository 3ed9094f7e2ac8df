"""Splits and dividends: from files, from Alpaca, what is known, and where sources disagree."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Root, SomeSymbols, Symbols
from app.console import notice, print_frame, print_json, say
from barlake.actions import conflicts
from barlake.errors import InvalidInputError
from barlake.keys import parse_symbol

__all__ = ["application"]

application = typer.Typer(
    help="Splits and dividends: import, fetch and list them.", no_args_is_help=True, rich_markup_mode=None
)


@application.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A CSV file of corporate actions.", show_default=False)],
    source: Annotated[
        str | None, typer.Option("--source", help="Who says so, for rows that do not tell. Default: the file's name.")
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Import actions from a CSV file with symbol, ex_date, kind, ratio and cash_usd. Again changes nothing."""
    with barlake.open(root) as lake:
        report, bad = lake.import_actions(path, source=source)
    if as_json:
        print_json({**vars(report), "bad": [vars(row) for row in bad]})
    else:
        say(f"{report.inserted:,} new, {report.replaced:,} replaced, {report.unchanged:,} known already")
    for row in bad:
        notice(f"error: {path} line {row.line}: {row.reason}")
    if bad:
        raise typer.Exit(1)


@application.command("fetch")
def fetch(
    symbols: SomeSymbols,
    start: Annotated[
        str | None, typer.Option("--start", help="First date of processing. Default: the first session held, or 2000.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", help="First date of processing left out. Default: in 90 days.")
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the actions of symbols from Alpaca. What is known already changes nothing."""
    from app.operations.logs import kept_log
    from ingest_service.alpaca import AlpacaSource
    from ingest_service.alpaca_actions import fetch_actions

    window = [_date(text, name) for text, name in ((start, "--start"), (end, "--end"))]
    with barlake.open(root) as lake, kept_log(lake.settings, agent="actions"):
        done = fetch_actions(lake, AlpacaSource.from_settings(lake.settings), symbols, *window)
    rows = [{"symbol": one.symbol, "requests": one.requests, **vars(one.written)} for one in done]
    unreadable = [reason for one in done for reason in one.unreadable]
    if as_json:
        print_json({"symbols": rows, "unreadable": unreadable})
    else:
        print_frame(pl.DataFrame(rows))
    for reason in unreadable:
        notice(f"error: not kept: {reason}")
    if unreadable:
        raise typer.Exit(1)


@application.command("list")
def list_(symbols: Symbols = None, root: Root = None, as_json: AsJson = False) -> None:
    """List what every source states, and which statement counts."""
    with barlake.open(root) as lake:
        frame = lake.corporate_actions(symbols or None)
    if frame.is_empty() and not as_json:
        say("No corporate action is known: `barlake actions import` and `barlake actions fetch` bring them.")
        return
    short = ("symbol", "ex_date", "kind", "ratio", "cash_usd", "source", "counts", "known_at", "superseded_at")
    print_frame(frame if as_json else frame.select(*short), as_json=as_json, newest=True)


@application.command("conflicts")
def conflicts_(symbols: Symbols = None, root: Root = None, as_json: AsJson = False) -> None:
    """List statements with which another source disagrees, and which one counts."""
    names = [parse_symbol(name) for name in symbols or []] or None
    with barlake.open(root) as lake:
        frame = conflicts(lake.manifest.actions.statements(names))
    if frame.is_empty() and not as_json:
        say("No source disagrees with another.")
        return
    print_frame(frame, as_json=as_json, newest=True)


def _date(text: str | None, name: str) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{name} {text!r} is not a date: write it as 2024-06-10.") from error
