"""From bars to features, and the whole loop as a demo."""

from __future__ import annotations

from typing import Annotated

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Feed, Root, Symbols
from app.console import print_frame, print_json, progress
from barlake.keys import Adjustment, SessionFilter

__all__ = ["demo", "features"]


def demo(root: Root = None, as_json: AsJson = False) -> None:
    """Run the whole loop on made-up bars: no key, no server. A second run adds nothing."""
    from app.demo import print_demo, run_demo

    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        report = run_demo(lake, start)
    if as_json:
        print_json(report.as_dict())
    else:
        print_demo(report)


def features(
    symbols: Symbols = None,
    feed: Feed = None,
    session: Annotated[
        str, typer.Option("--session", help="Hours to use: regular or all.")
    ] = SessionFilter.REGULAR.value,
    set_name: Annotated[
        str,
        typer.Option("--set", help="Feature set: core, full, one of a package, or a file of yours: my_features.py."),
    ] = "core",
    adjustment: Annotated[
        str,
        typer.Option("--adjustment", help="Of prices: raw, split, dividend or all; as of the first session held."),
    ] = Adjustment.RAW.value,
    context: Annotated[
        str | None,
        typer.Option("--context", help="Other symbol that features look at, or none. Default: the set's own."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Symbols at a time. Default: BARLAKE_WORKERS, or one for each core.")
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Build features over the whole history of symbols. What is up to date is left alone."""
    from feature_service.build import build_features

    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        report = build_features(
            lake,
            symbols or [],
            feed=feed,
            session=session,
            set_name=set_name,
            adjustment=adjustment,
            context=context,
            workers=workers,
            progress=start("features"),
        )
    if as_json:
        print_json(report.as_dict())
    else:
        print_frame(pl.DataFrame(report.as_dict()["symbols"]))
