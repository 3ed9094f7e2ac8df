"""What bars once were, whether two lakes hold the same, and how their files are laid out."""

from __future__ import annotations

from typing import Annotated

import typer

import barlake
from app.commands.options import AsJson, AsOf, End, Feed, Root, SomeSymbols, Start, Symbols
from app.console import figures, frame_rows, print_frame, print_json, progress, say
from barlake.errors import NotFoundError
from barlake.lake import Lake
from barlake.layout import DATABASE_FILE, MANIFEST_FILE
from barlake.ranges import parse_instant
from barlake.settings import load_settings
from barlake.snapshots import lake_root, session_differences
from barlake.stores import folder_of, store_of

__all__ = ["diff", "revisions", "rollup", "snapshot"]


def revisions(
    symbols: SomeSymbols,
    start: Start = None,
    end: End = None,
    feed: Feed = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """List every value that a bar once had or was refused, beside the one that counts."""
    with barlake.open(root) as lake:
        print_frame(lake.revisions(symbols, start, end, feed=feed), as_json=as_json, newest=True)


def rollup(symbols: Symbols = None, feed: Feed = None, root: Root = None, as_json: AsJson = False) -> None:
    """Make one file of each closed month and year. Bars, hashes and open readers are not touched."""
    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        advance = start("rollup")
        report = lake.rollup(
            symbols or None,
            feed=feed,
            on_step=lambda step, done, total: advance(f"{step.key.symbol} {step.key.period.label}", done, total),
        )
    if as_json:
        print_json(vars(report))
    else:
        figures({name.replace("_", " "): value for name, value in vars(report).items()}, title="rollup")


def snapshot(
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    feed: Feed = None,
    as_of: AsOf = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show one hash over all sessions held, and the moment to read them by again: equal hashes are equal bars."""
    with barlake.open(root) as lake:
        found = lake.snapshot(symbols or None, start, end, feed=feed, as_of=as_of)
    if as_json:
        print_json({"moment": found.moment.isoformat(), **found.as_dict()})
    else:
        figures(
            {"root hash": found.root_hash, "moment": found.moment.isoformat(), "feed": found.feed}, title="snapshot"
        )


def diff(
    lake_a: Annotated[str, typer.Argument(help="Folder of a lake, or s3://bucket/prefix.", show_default=False)],
    lake_b: Annotated[str, typer.Argument(help="The same of another.", show_default=False)],
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """List the sessions that two lakes do not hold alike, from hashes alone. Exit code 1 if there are any."""
    moment = parse_instant(as_of, "as_of")
    with _open(lake_a) as one, _open(lake_b) as other:
        held = one.held(moment), other.held(moment)
    roots = lake_root(held[0]), lake_root(held[1])
    found = session_differences(*held)
    if as_json:
        print_json({"root_a": roots[0], "root_b": roots[1], "equal": found.is_empty(), "sessions": frame_rows(found)})
    elif found.is_empty():
        say(f"equal: root {roots[0]}")
    else:
        print_frame(found, title=f"{found.height:,} sessions differ")
    if not found.is_empty():
        raise typer.Exit(1)


def _open(place: str) -> Lake:
    """The lake in a place, in whichever kind of database its manifest is."""
    settings = load_settings(place)
    if (folder_of(settings) / MANIFEST_FILE).is_file():
        settings = settings.model_copy(update={"database_url": None})
    elif not store_of(settings).exists(str(DATABASE_FILE)):
        raise NotFoundError(f"{place} is no lake: it has no {MANIFEST_FILE}. Name what was given to --root.")
    return barlake.open(settings=settings)
