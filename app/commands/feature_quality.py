"""What features are worth before a model sees them: nulls, drift, copies, and pages that show them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Feed, Root, Symbols
from app.console import frame_rows, print_frame, print_json, progress, say
from barlake.errors import InvalidInputError

if TYPE_CHECKING:
    from feature_service.quality.symbols import MeasuredSymbol

__all__ = ["feature_quality"]

_SHOWN = ("feature", "later_nulls", "psi", "ks", "cluster", "nearest", "nearest_correlation", "importance", "findings")


def feature_quality(
    symbols: Symbols = None,
    set_name: Annotated[str, typer.Option("--set", help="Feature set.")] = "core",
    feed: Feed = None,
    periods: Annotated[int, typer.Option("--periods", help="Groups of sessions to compare.")] = 4,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="The page, for one symbol. Default: reports/features-<set>-<feed>-<symbol>.html."),
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Measure built features: nulls, drift between periods, copies, importance; write a page for each symbol."""
    from feature_service.quality.page import page_path, write_page
    from feature_service.quality.symbols import measure_symbols

    if html is not None and html.suffix != ".html":
        raise InvalidInputError(f"--html {html} is not a .html file: name one.")
    if html is not None and len(set(symbols or [])) != 1:
        raise InvalidInputError(f"--html {html} is one page: name one symbol with it.")
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        made: list[dict[str, Any]] = []

        def keep(measured: MeasuredSymbol) -> None:
            path = html or page_path(lake.root, measured)
            write_page(path, measured, made_at=lake.now())
            made.append(_as_json(measured, path))

        measure_symbols(
            lake, symbols or [], set_name=set_name, feed=feed, periods=periods, finished=keep, progress=begin("quality")
        )
    if as_json:
        print_json(made)
    else:
        _show(made)


def _show(made: list[dict[str, Any]]) -> None:
    for one in made[:3]:
        frame = pl.DataFrame(one["features"], infer_schema_length=None).select(_SHOWN)
        print_frame(frame, title=f"{one['symbol']}, features {one['feature_set']} v={one['version']}, {one['feed']}")
        say(f"page: {one['page']}")
    if len(made) > 3:  # noqa: PLR2004 - the three shown above
        say(f"and {len(made) - 3} more beside them")


def _as_json(measured: MeasuredSymbol, path: Path) -> dict[str, Any]:
    quality = measured.quality
    return {
        "feature_set": measured.key.name,
        "version": measured.key.version,
        "feed": measured.feed,
        "symbol": measured.symbol,
        "page": str(path),
        "features": frame_rows(quality.features),
        "drift": frame_rows(quality.drift),
        "nulls": frame_rows(quality.nulls),
    }
