"""What is absent, what looks wrong, and pages that show both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, End, Root, Start, Symbols
from app.console import frame_rows, print_frame, print_json, progress, say
from barlake.errors import InvalidInputError
from barlake.keys import parse_symbol

if TYPE_CHECKING:
    from barlake.quality_report import QualityReport

__all__ = ["quality"]


def quality(
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="The page, for one symbol. Default: reports/quality-<feed>-<symbol>.html."),
    ] = None,
    feed: Annotated[str | None, typer.Option("--feed", help="Default: every feed that holds the symbol.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Check bars, say what is absent and why, write a page for each symbol."""
    from barlake.quality_report import make_report, report_path

    if html is not None and html.suffix != ".html":
        raise InvalidInputError(f"--html {html} is not a .html file: name one.")
    with barlake.open(root) as lake, progress(shown=not as_json) as begin:
        lake.quality(symbols or None, start, end, feed=feed)
        names = {parse_symbol(name) for name in symbols or []}
        pairs = lake.symbols(feed).filter(pl.lit(not names) | pl.col("symbol").is_in(names)).select("feed", "symbol")
        if html is not None and pairs.height != 1:
            raise InvalidInputError(
                f"--html {html} is one page, and {pairs.height} are asked for: name --feed and one symbol."
            )
        advance = begin("pages")
        made: list[tuple[QualityReport, Path]] = []
        for feed_name, symbol in pairs.rows():
            report = make_report(lake, symbol, start, end, feed=feed_name)
            path = html or report_path(lake.root, feed_name, symbol)
            report.write(path)
            made.append((report, path))
            advance(symbol, len(made), pairs.height)
    if as_json:
        print_json([_as_json(report, path) for report, path in made])
    elif made:
        _show(made)
    else:
        say("The lake is empty: `barlake import` and `barlake ingest` fill it, `barlake demo` with made-up bars.")


def _show(made: list[tuple[QualityReport, Path]]) -> None:
    print_frame(_stacked(made, "absent"), title="absent regular minutes, by class")
    checks = _stacked(made, "checks")
    if checks.is_empty():
        say("the checks found nothing")
    else:
        print_frame(checks, title="what the checks found")
    for _, path in made[:3]:
        say(f"page: {path}")
    if len(made) > 3:  # noqa: PLR2004 - the three shown above
        say(f"and {len(made) - 3} more beside them")


def _stacked(made: list[tuple[QualityReport, Path]], which: str) -> pl.DataFrame:
    frames = []
    for report, _ in made:
        frame = report.absent if which == "absent" else report.checks
        own = (pl.lit(report.feed).alias("feed"), pl.lit(report.symbol).alias("symbol"))
        frames.append(frame.select(*own, pl.all()))
    return pl.concat(frames)


def _as_json(report: QualityReport, path: Path) -> dict[str, Any]:
    return {
        "feed": report.feed,
        "symbol": report.symbol,
        "page": str(path),
        **report.facts,
        "absent": frame_rows(report.absent),
        "checks": frame_rows(report.checks),
        "findings": frame_rows(report.findings),
    }
