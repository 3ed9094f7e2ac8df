"""What is in the lake: files in, bars out, what is here and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

import barlake
from app.commands.options import (
    AdjustmentOption,
    AsJson,
    AsOf,
    End,
    Feed,
    Root,
    SessionOption,
    SomeSymbols,
    Start,
    Symbols,
    TimeframeOption,
)
from app.console import notice, print_frame, print_json, progress, say
from barlake.keys import Adjustment, SessionFilter, Timeframe

__all__ = ["bars", "coverage", "gaps", "import_", "sql", "symbols"]


def import_(
    path: Annotated[Path, typer.Argument(help="A Parquet or CSV file, or a folder of them.", show_default=False)],
    feed: Annotated[
        str, typer.Option("--feed", help="Name of the feed the bars belong to, such as sip.", show_default=False)
    ],
    symbol: Annotated[str | None, typer.Option("--symbol", help="For files without a symbol column.")] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="Zone of timestamps that carry none.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Import minute bars from files. Importing the same file again changes nothing."""
    from app.operations.logs import kept_log

    with (
        barlake.open(root) as lake,
        kept_log(lake.settings, agent="import"),
        progress(shown=not as_json) as start,
    ):
        advance = start("import")
        report = lake.import_bars(
            path,
            feed=feed,
            symbol=symbol,
            timezone=timezone,
            on_file=lambda file, done, total: advance(file.name, done, total),
        )
    rows = [{"file": str(one.path), "symbol": one.symbol, **vars(one.report)} for one in report.imported]
    if as_json:
        failures = [{"file": str(file), "error": error} for file, error in report.failures]
        print_json({"imported": rows, "total": vars(report.total), "failures": failures})
    else:
        print_frame(pl.DataFrame(rows))
        if report.total.quarantined:
            say(f'{report.total.quarantined:,} rows are no bars: `barlake sql "select * from quarantine"` says why')
    for file, error in report.failures:
        notice(f"error: not imported: {error if str(file) in error else f'{file}: {error}'}")
    if report.failures:
        raise typer.Exit(1)


def bars(
    symbols: SomeSymbols,
    start: Start = None,
    end: End = None,
    timeframe: TimeframeOption = Timeframe.MINUTE.value,
    session: SessionOption = SessionFilter.ALL.value,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the newest so many of each symbol.")] = None,
    as_of: AsOf = None,
    adjustment: AdjustmentOption = Adjustment.RAW.value,
    feed: Feed = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show bars; `barlake export` writes them elsewhere."""
    with barlake.open(root) as lake:
        frame = lake.bars(
            symbols, start, end, timeframe=timeframe, session=session, feed=feed, as_of=as_of, adjustment=adjustment
        )
    if limit is not None:
        frame = frame.filter(pl.int_range(pl.len(), 0, -1).over("symbol") <= limit)
    print_frame(frame if as_json else frame.drop("ingested_at", strict=False), as_json=as_json, newest=True)


def symbols(feed: Feed = None, as_of: AsOf = None, root: Root = None, as_json: AsJson = False) -> None:
    """List what the lake holds: feeds, symbols, sessions, bars."""
    with barlake.open(root) as lake:
        frame = lake.symbols(feed, as_of=as_of)
    if frame.is_empty() and as_of is None and not as_json:
        say("The lake is empty: `barlake import` and `barlake ingest` fill it, `barlake demo` with made-up bars.")
        return
    print_frame(frame, as_json=as_json)


def coverage(
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    feed: Feed = None,
    as_of: AsOf = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """List every session held, with the bars that are there and those that are expected."""
    with barlake.open(root) as lake:
        frame = lake.coverage(symbols or None, start, end, feed=feed, as_of=as_of)
    print_frame(frame if as_json else frame.drop("content_hash"), as_json=as_json, newest=True)


def gaps(
    symbols: Symbols = None,
    start: Start = None,
    end: End = None,
    feed: Feed = None,
    as_of: AsOf = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """List sessions with absent regular minutes, why they are absent, and the evidence."""
    with barlake.open(root) as lake:
        print_frame(lake.gaps(symbols or None, start, end, feed=feed, as_of=as_of), as_json=as_json)


def sql(
    query: Annotated[str, typer.Argument(help='One SQL query, such as "select * from symbols".', show_default=False)],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Run one SQL query on the published catalogue."""
    with barlake.open(root) as lake:
        print_frame(lake.sql(query), as_json=as_json)
