"""The lake's files where they lie, as a table of another system."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import barlake
from app.commands.options import AsJson, Root
from app.console import print_json, say
from barlake.errors import InvalidInputError
from barlake.keys import is_always_open
from barlake.records import FileRecord

__all__ = ["application"]

application = typer.Typer(
    help="Open the bar files, where they lie, to Delta and DuckLake.", no_args_is_help=True, rich_markup_mode=None
)


def _of_shares(lake: barlake.Lake) -> list[FileRecord]:
    """Files that fit one table: volumes of coins are fractions, those of shares whole numbers."""
    return [file for file in lake.manifest.files() if not is_always_open(file.key.feed)]


@application.command("delta")
def delta(root: Root = None, as_json: AsJson = False) -> None:
    """Make or bring up to date a Delta table of the files that count, in the lake's folder. Copies nothing."""
    from barlake.delta_log import register_delta

    with barlake.open(root) as lake:
        report = register_delta(lake.store, _of_shares(lake))
        folder = lake.store.name
    if as_json:
        print_json({"table": folder, **vars(report)})
    else:
        say(
            f"Delta table {folder}: version {report.version}, {report.files:,} files "
            f"({report.added:,} added, {report.removed:,} removed)"
        )


@application.command("ducklake")
def ducklake(
    catalogue: Annotated[
        Path, typer.Argument(help="The .ducklake file the script shall make; none may be there.", show_default=False)
    ],
    root: Root = None,
) -> None:
    """Print a SQL script that makes a DuckLake catalogue of the files that count: pipe it into `duckdb`."""
    from barlake.ducklake import ducklake_script

    if catalogue.exists():
        raise InvalidInputError(f"{catalogue} exists already: delete it first, it holds no bars, or name another.")
    with barlake.open(root) as lake:
        sys.stdout.write(ducklake_script(lake.store, _of_shares(lake), catalogue=catalogue.absolute()))
