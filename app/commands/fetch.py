"""Daily bars, news, macro values and coins from whichever source has them: what is missing, and the newest again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Root, SomeSymbols
from app.console import notice, print_frame, print_json, progress
from barlake.errors import CredentialsError, InvalidInputError, NotFoundError
from barlake.lake import Lake
from barlake.sessions import NEW_YORK
from barlake.settings import load_settings

if TYPE_CHECKING:
    from ingest_service.record_fetching import Fetched, FetchStep
    from ingest_service.sources.choice import Purpose
    from ingest_service.sources.failover import Failover

__all__ = ["application"]

application = typer.Typer(
    help="Fetch daily bars, news, macro values and coins: what is missing, and the newest again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Source = Annotated[
    list[str] | None,
    typer.Option("--source", help="Whom to ask, such as alpaca; again names one that stands in. Default: settings."),
]
First = Annotated[str | None, typer.Option("--start", help="First date. Default: a year ago.")]
Beyond = Annotated[str | None, typer.Option("--end", help="First date left out. Default: tomorrow.")]

_YEAR, _MONTH = dt.timedelta(days=365), dt.timedelta(days=30)


@application.command("daily")
def daily(
    symbols: SomeSymbols,
    source: Source = None,
    start: First = None,
    end: Beyond = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fetch daily bars. Each source's are kept as it states them, under its name."""
    from app.operations.logs import kept_log
    from ingest_service.record_fetching import fetch_daily
    from ingest_service.sources.choice import Purpose

    with barlake.open(root) as lake, kept_log(lake.settings, agent="fetch"):
        window = _date(start, "--start") or _today(lake) - _YEAR, _date(end, "--end")
        sources = _sources(lake, Purpose.DAILY, source, symbols)
        _tell(lambda on_step: fetch_daily(lake, sources, symbols, *window, on_step=on_step), as_json=as_json)


@application.command("news")
def news(
    symbols: Annotated[
        list[str] | None, typer.Argument(help="Symbols, such as SPY QQQ. Default: all news.", show_default=False)
    ] = None,
    source: Source = None,
    start: Annotated[str | None, typer.Option("--start", help="First date. Default: 30 days ago.")] = None,
    end: Beyond = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fetch articles with their revisions, about some symbols or about anything."""
    from app.operations.logs import kept_log
    from ingest_service.record_fetching import fetch_news
    from ingest_service.sources.choice import Purpose

    with barlake.open(root) as lake, kept_log(lake.settings, agent="fetch"):
        window = _date(start, "--start") or _today(lake) - _MONTH, _date(end, "--end")
        sources = _sources(lake, Purpose.NEWS, source, symbols or ())
        _tell(lambda on_step: fetch_news(lake, sources, symbols or (), *window, on_step=on_step), as_json=as_json)


@application.command("macro")
def macro(
    series: Annotated[list[str], typer.Argument(help="Series of FRED, such as GDP CPIAUCSL.", show_default=False)],
    source: Source = None,
    start: Annotated[str | None, typer.Option("--start", help="First date of release. Default: all.")] = None,
    end: Beyond = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fetch macro series: every value as it was released, with its revisions."""
    from app.operations.logs import kept_log
    from ingest_service.record_fetching import fetch_macro
    from ingest_service.sources.choice import Purpose

    with barlake.open(root) as lake, kept_log(lake.settings, agent="fetch"):
        window = _date(start, "--start"), _date(end, "--end")
        sources = _sources(lake, Purpose.MACRO, source, series)
        _tell(lambda on_step: fetch_macro(lake, sources, series, *window, on_step=on_step), as_json=as_json)


@application.command("crypto")
def crypto(
    pairs: Annotated[list[str], typer.Argument(help="Pairs, such as BTC/USDT.", show_default=False)],
    source: Source = None,
    start: Annotated[str | None, typer.Option("--start", help="First UTC date. Default: 30 days ago.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="First UTC date left out. Default: tomorrow.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the minute bars of pairs of coins that are missing. Their feed is that of the source asked first."""
    from app.operations.logs import kept_log
    from ingest_service.backfill import BackfillStep, backfill
    from ingest_service.sources.choice import Purpose

    with (
        barlake.open(root) as lake,
        kept_log(lake.settings, agent="fetch"),
        progress(shown=not as_json) as begin,
    ):
        today = lake.now().date()
        first = _date(start, "--start") or today - _MONTH
        beyond = _date(end, "--end") or today + dt.timedelta(days=1)
        sources = _sources(lake, Purpose.CRYPTO, source, pairs)
        advance = begin("fetch")

        def on_step(step: BackfillStep) -> None:
            advance(f"{step.symbol}, {step.rows:,} bars", step.sessions_done, step.sessions_total)

        report = backfill(
            lake, sources, pairs, first.isoformat(), beyond.isoformat(), feed=sources.feeds[0], on_step=on_step
        )
    rows = [
        {
            "symbol": one.symbol, "feed": report.feed, "dates": one.expected, "asked": one.sessions_asked,
            "requests": one.requests, "new_bars": one.written.inserted, "changed": one.written.changed,
            "quarantined": one.written.quarantined, "bars_held": one.bars_held,
        }
        for one in report.symbols
    ]  # fmt: skip
    _print(rows, report.failures, as_json=as_json)


@application.command("sources")
def list_sources(root: Root = None, as_json: AsJson = False) -> None:
    """List the sources there are, what each gives, and what those lack that cannot be used."""
    from ingest_service.sources.registry import source_named, sources

    rows: list[dict[str, Any]] = []
    settings = load_settings(root)
    for name in sources():
        row = {"source": name, "gives": "", "feeds": "", "adjusted": "", "lacks": ""}
        try:
            offered = source_named(name, settings).capabilities
        except (CredentialsError, InvalidInputError) as error:
            row["lacks"] = str(error)
        else:
            row["gives"] = ", ".join(sorted(offered.offers))
            row["feeds"] = ", ".join(offered.feeds)
            row["adjusted"] = ", ".join(f"{kind}: {how}" for kind, how in offered.adjusted.items())
        rows.append(row)
    print_frame(pl.DataFrame(rows), as_json=as_json)


def _tell(fetch: Callable[[Callable[[FetchStep], None]], list[Fetched]], *, as_json: bool) -> None:
    """Run a fetch with its progress, and print what came of it; exit code 1 if a symbol was refused."""
    with progress(shown=not as_json) as begin:
        advance = begin("fetch")
        done = fetch(lambda step: advance(f"{step.symbol}, {step.rows:,} rows", step.done, step.total))
    rows = [
        {
            "symbol": one.symbol, "source": ", ".join(one.sources), "requests": one.requests,
            "new": one.written.inserted, "changed": one.written.changed, "known": one.written.unchanged,
            "quarantined": one.written.quarantined,
        }
        for one in done
        if one.failure is None
    ]  # fmt: skip
    _print(rows, [(one.symbol, one.failure) for one in done if one.failure is not None], as_json=as_json)


def _print(rows: list[dict[str, Any]], failures: Sequence[tuple[str, str]], *, as_json: bool) -> None:
    if as_json:
        print_json({"fetched": rows, "failures": [{"symbol": name, "why": why} for name, why in failures]})
    elif rows:
        print_frame(pl.DataFrame(rows))
    for name, why in failures:
        notice(f"error: {name}: {why}")
    if failures:
        raise typer.Exit(1)


def _sources(lake: Lake, purpose: Purpose, names: Sequence[str] | None, symbols: Iterable[str]) -> Failover:
    """The sources asked for, which call the symbols what the watch list says, where there is one."""
    from ingest_service.sources.choice import sources_for
    from ingest_service.watch_list import find_watch_list, load_watch_list

    try:
        listed = load_watch_list(find_watch_list(lake.settings, lake.root))
    except NotFoundError:
        listed = None
    wanted = [listed.get(symbol.strip().upper()) for symbol in symbols] if listed else []
    securities = [one for one in wanted if one is not None]
    return sources_for(purpose, lake.settings, names=names or (), securities=securities)


def _today(lake: Lake) -> dt.date:
    return lake.now().astimezone(NEW_YORK).date()


def _date(text: str | None, name: str) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{name} {text!r} is not a date: write it as 2024-06-10.") from error
