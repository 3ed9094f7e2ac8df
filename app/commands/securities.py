"""The watch list: begin one, check it, show it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from app.commands.options import AsJson, Root
from app.console import notice, print_frame, print_json, say
from barlake.clock import clock_of
from barlake.errors import ConflictError, InvalidInputError
from barlake.settings import load_settings
from barlake.stores import folder_of

__all__ = ["application"]

application = typer.Typer(help="The watch list: which securities are kept complete.", no_args_is_help=True)

_EXAMPLE_HISTORY = dt.timedelta(days=90)
_File = Annotated[
    Path | None, typer.Option("--file", help="The file. Default: BARLAKE_SECURITIES, ./securities.yaml, or the lake's.")
]


@application.command("init")
def init(
    file: Annotated[Path, typer.Option("--file", help="The file to write.")] = Path("securities.yaml"),
    as_json: AsJson = False,
) -> None:
    """Write a watch list of three symbols to start from; a file that is there stays as it is."""
    from ingest_service.securities_file import EXAMPLE

    start = clock_of(load_settings()).now().date() - _EXAMPLE_HISTORY
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(EXAMPLE.format(start=start))
    except FileExistsError as error:
        raise ConflictError(
            f"{file} is there already and stays as it is: edit it, or name another by --file."
        ) from error
    if as_json:
        print_json({"file": str(file)})
    else:
        say(f"{file} lists SPY, QQQ and AAPL from {start}: edit it, then `barlake securities check`.")


@application.command("check")
def check(file: _File = None, root: Root = None, as_json: AsJson = False) -> None:
    """Read the watch list and say what it amounts to; a fault ends with exit code 1 and its line."""
    from feature_service.sets import find_feature_set

    watch_list = _load(file, root)
    for name in watch_list.features:
        find_feature_set(name)
    enabled = [one for one in watch_list.securities if one.enabled]
    counted = {name: sum(one.category == name for one in enabled) for name in watch_list.categories}
    facts = {
        "file": str(watch_list.path),
        "securities": len(watch_list.securities),
        "enabled": len(enabled),
        "categories": counted,
        "features": list(watch_list.features),
        "records": list(watch_list.records),
        "macro": list(watch_list.macro),
        "warnings": list(watch_list.warnings),
    }
    if as_json:
        print_json(facts)
        return
    counts = ", ".join(f"{count} {name}" for name, count in counted.items())
    say(f"{watch_list.path} is fine: {len(enabled)} securities are kept complete ({counts})")
    for warning in watch_list.warnings:
        notice(warning)


@application.command("list")
def list_(
    file: _File = None,
    categories: Annotated[
        list[str] | None, typer.Option("--categories", help="Such as etfs; may be given several times.")
    ] = None,
    ready_made: Annotated[bool, typer.Option("--ready-made", help="Show the lists that come with Barlake.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show the watch list, or the lists that `include` may name."""
    from ingest_service.securities_file import read_ready_made, ready_made_lists

    if ready_made:
        lists = [read_ready_made(name) for name in ready_made_lists()]
        rows = [
            {"list": one.name, "securities": len(one.securities), "as_of": one.as_of, "about": one.about}
            for one in lists
        ]
        print_frame(pl.DataFrame(rows), title="lists as of their dates: memberships change", as_json=as_json)
        return
    watch_list = _load(file, root)
    chosen = set(categories or watch_list.categories)
    if unknown := chosen - set(watch_list.categories):
        raise InvalidInputError(f"no category {', '.join(sorted(unknown))} in {watch_list.path}.")
    rows = [
        {
            "symbol": one.symbol,
            "category": one.category,
            "enabled": one.enabled,
            "start": None if one.start is None else one.start.isoformat(),
            "names": ", ".join(f"{source}: {name}" for source, name in one.names.items()),
            "from": one.included or f"line {one.line}",
        }
        for one in watch_list.securities
        if one.category in chosen
    ]
    schema: dict[str, Any] = dict.fromkeys(("symbol", "category", "enabled", "start", "names", "from"), pl.String())
    frame = pl.DataFrame(rows, schema=schema | {"enabled": pl.Boolean()})
    print_frame(frame, title=str(watch_list.path), as_json=as_json)


def _load(file: Path | None, root: str | None) -> Any:
    from ingest_service.watch_list import find_watch_list, load_watch_list

    settings = load_settings(root)
    return load_watch_list(file or find_watch_list(settings, folder_of(settings)))
