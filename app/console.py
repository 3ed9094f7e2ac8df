"""What the command line prints: tables for people, JSON for machines, bars of progress on stderr."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import rich.box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

__all__ = ["MAX_ROWS", "figures", "frame_rows", "notice", "print_frame", "print_json", "progress", "say"]

_WIDE = 240
MAX_ROWS = 40
"""More rows than that are cut on a screen, and the cut is said."""

Advance = Callable[[str, int, int], None]
"""Told what is being done, how many steps are done, and how many there are."""


def say(text: str) -> None:
    """Print one line of result."""
    Console(highlight=False, soft_wrap=True).print(text, markup=False)
    sys.stdout.flush()


def notice(text: str) -> None:
    """Print one line beside the result, on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def print_json(value: Any) -> None:
    """Print one JSON value; dates and instants become ISO text."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
    sys.stdout.flush()


def frame_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON can hold them; instants are ISO text with their zone."""
    instants = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    text = frame.with_columns(pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.f%:z") for name in instants)
    rows: list[dict[str, Any]] = json.loads(text.write_json())
    return rows


def print_frame(frame: pl.DataFrame, *, title: str | None = None, as_json: bool = False, newest: bool = False) -> None:
    """Print a frame as a table, or whole as JSON.

    Parameters
    ----------
    newest
        Of a long table show the end, not the beginning.
    """
    if as_json:
        print_json(frame_rows(frame))
        return
    shown = frame.tail(MAX_ROWS) if newest else frame.head(MAX_ROWS)
    table = Table(title=title, title_justify="left", box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name, kind in shown.schema.items():
        table.add_column(name, justify="right" if kind.is_numeric() else "left", overflow="fold")
    for row in shown.iter_rows():
        table.add_row(*(_cell(value) for value in row))
    _screen().print(table)
    if frame.height > MAX_ROWS:
        which = "last" if newest else "first"
        say(f"{which} {MAX_ROWS} of {frame.height:,} rows; --json prints all of them")


def figures(facts: dict[str, Any], *, title: str) -> None:
    """Print names and their values, one a line."""
    table = Table(title=title, title_justify="left", box=rich.box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, _cell(value))
    _screen().print(table)


def _screen() -> Console:
    """Where tables go: as wide as the terminal, or as wide as they need when something else reads them."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + f"{value:%Z}".replace("UTC", "Z")
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1 else f"{value:,.4f}".rstrip("0").rstrip(".")
    return str(value)


@contextlib.contextmanager
def progress(*, shown: bool) -> Iterator[Callable[[str], Advance]]:
    """Bars of progress on stderr, for a person at a terminal; gone when the work is done.

    Yields a function that starts a bar of a given name and hands back what advances it.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[stage]}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,} {task.description}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bars:

        def start(stage: str) -> Advance:
            task = bars.add_task("", total=1, stage=stage)

            def advance(doing: str, done: int, total: int) -> None:
                bars.update(task, description=doing, completed=done, total=max(total, 1))

            return advance

        yield start
