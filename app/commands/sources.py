"""Where minute bars of stocks come from: Alpaca or another source, or Alpaca's stand-in on this machine."""

from __future__ import annotations

import datetime as dt
import functools
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Root, SomeSymbols
from app.console import notice, print_frame, print_json, progress, say
from barlake.errors import InvalidInputError
from barlake.ranges import parse_instant
from barlake.records import utc_now
from barlake.sessions import NEW_YORK
from barlake.settings import IEX_CLOUD_NOTICE, load_settings

__all__ = ["emulate", "ingest"]

_DEFAULT_DAYS = 30

_Choice = TypeVar("_Choice", bound=StrEnum)


def ingest(
    symbols: SomeSymbols,
    start: Annotated[str | None, typer.Option("--start", help="First session. Default: 30 days ago.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="First session left out. Default: tomorrow.")] = None,
    feed: Annotated[str | None, typer.Option("--feed", help="Default: ALPACA_FEED; auto means sip.")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="Whom to ask; again names one that stands in. Default: BARLAKE_MINUTE_SOURCES."),
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the minute bars of stocks that are missing, from Alpaca unless told otherwise. Again asks for nothing."""
    from app.operations.logs import kept_log
    from ingest_service.alpaca import resolve_feed
    from ingest_service.backfill import BackfillStep, backfill
    from ingest_service.sources.choice import Purpose, sources_for

    today = utc_now().astimezone(NEW_YORK).date()
    with (
        barlake.open(root) as lake,
        kept_log(lake.settings, agent="ingest"),
        progress(shown=not as_json) as begin,
    ):
        if lake.settings.iex_token is not None:
            notice(IEX_CLOUD_NOTICE)
        sources = sources_for(Purpose.MINUTE, lake.settings, names=source or ())
        usual = resolve_feed(lake.settings.alpaca_feed)
        bars_of = functools.cache(begin)

        def on_step(step: BackfillStep) -> None:
            advance = bars_of(step.symbol)
            advance(f"sessions, {step.rows:,} bars", step.sessions_done, step.sessions_total)

        report = backfill(
            lake,
            sources,
            symbols,
            start or (today - dt.timedelta(days=_DEFAULT_DAYS)).isoformat(),
            end or (today + dt.timedelta(days=1)).isoformat(),
            feed=feed or (usual if usual in sources.feeds else sources.feeds[0]),
            on_step=on_step,
        )
    rows = [
        {
            "symbol": one.symbol, "sessions": one.expected, "asked": one.sessions_asked,
            "asked_again": one.sessions_confirmed, "requests": one.requests, **vars(one.written),
            "bars_held": one.bars_held,
        }
        for one in report.symbols
    ]  # fmt: skip
    if as_json:
        facts = {"feed": report.feed, "start": report.start, "end": report.end, "sessions_not_yet": report.not_yet}
        failures = [{"symbol": name, "error": error} for name, error in report.failures]
        print_json({**facts, "symbols": rows, "failures": failures})
    else:
        print_frame(pl.DataFrame(rows), title=f"feed {report.feed}, sessions from {report.start} up to {report.end}")
        if report.not_yet:
            say(f"{report.not_yet} session(s) of the range have not ended, or not long enough ago: not asked for")
    for name, error in report.failures:
        notice(f"error: {name} was not fetched: {error}")
    unknown = [one.symbol for one in report.symbols if one.expected and not one.bars_held]
    if unknown:
        raise InvalidInputError(
            f"{' and '.join(sources.names)} gave no bars of {', '.join(unknown)} for feed {report.feed!r} in "
            f"[{report.start}, {report.end}): "
            "check the spelling; indices such as VIX or SPX are not stocks there (VIXY and SPY are)."
        )
    if report.failures:
        raise typer.Exit(1)


def emulate(
    bars: Annotated[
        Path | None, typer.Option("--bars", help="Folder of Parquet bars to serve. Default: bars made up from --seed.")
    ] = None,
    feed: Annotated[
        str | None,
        typer.Option("--feed", help="Feed a folder is served as. Default: sip; made-up bars are always synthetic."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0 takes a free one.")] = 8900,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", help="A fault to inject; may be given several times.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of made-up bars and of where faults strike.")] = 0,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", help="A made-up symbol; may be given several times.", show_default=False),
    ] = None,
    requests_per_minute: Annotated[int, typer.Option("--requests-per-minute", help="Budget of each free key.")] = 200,
    limiter: Annotated[
        str, typer.Option("--limiter", help="How a budget comes back: window (all at once) or bucket (bit by bit).")
    ] = "window",
    limit_clock: Annotated[
        str, typer.Option("--limit-clock", help="Whose minute a budget is for: market (the made-up one) or machine.")
    ] = "market",
    plan: Annotated[
        str,
        typer.Option("--plan", help="Plan of the placeholder key: basic or plus. PAPER_FREE, PAPER_PLUS have theirs."),
    ] = "basic",
    now: Annotated[
        str | None,
        typer.Option(
            "--now", help="Instant at which its clock begins, such as 2024-07-03T13:25:00Z. Default: real time."
        ),
    ] = None,
    speed: Annotated[
        float,
        typer.Option("--speed", help="Seconds of market time in one real second, such as 480; 0 stops the clock."),
    ] = 1.0,
    clock: Annotated[
        Path | None,
        typer.Option("--clock", help="File of its clock for other processes (BARLAKE_CLOCK). Default: only it has it."),
    ] = None,
    revised_share: Annotated[
        float, typer.Option("--revised-share", help="Fraction of bars that change 30 s after their minute.")
    ] = 0.0,
    actions: Annotated[
        Path | None, typer.Option("--actions", help="CSV file of corporate actions to serve.", show_default=False)
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Serve bars as Alpaca does, on this machine, with its limits and on request its faults."""
    from ingest_service.emulator import EmulatorConfig, Fault, LimitClock, LimiterKind, Plan, VirtualClock
    from ingest_service.emulator import run as serve_until_stopped

    chosen: dict[str, Any] = {"symbols": tuple(symbol)} if symbol else {}
    kept_clock = clock or load_settings(root).clock_file
    config = EmulatorConfig(
        bars=bars, feed=feed, seed=seed, faults=tuple(Fault.parse(name) for name in fault or []),
        requests_per_window=requests_per_minute, actions=actions, limiter=_one_of(LimiterKind, "limiter", limiter),
        limit_clock=_one_of(LimitClock, "limit-clock", limit_clock), plan=_one_of(Plan, "plan", plan),
        now=parse_instant(now, "now"), speed=speed, clock=kept_clock, revised_share=revised_share, **chosen,
    )  # fmt: skip
    if kept_clock is not None:  # the lake looks at it as soon as it is opened
        VirtualClock(config.now, speed=speed, file=kept_clock)
    with barlake.open(root) as lake:
        calendar = lake.calendar

    def on_ready(url: str) -> None:
        facts = {"url": url, "feed": config.served_feed, "key_id": config.key_id, "secret_key": config.secret_key}
        if as_json:
            print_json(facts)
            return
        say(f"Serving feed {config.served_feed!r} on {url}")
        # Without its feed, whoever asks as by default asks for one that is not served here.
        feed = "ALPACA_FEED=synthetic ALPACA_LIVE_FEED=synthetic " if config.served_feed == "synthetic" else ""
        notice(
            f"use it with ALPACA_DATA_URL={url} {feed}ALPACA_API_KEY_ID={config.key_id} "
            f"ALPACA_API_SECRET_KEY={config.secret_key}; Ctrl-C stops it"
        )

    serve_until_stopped(config, host, port, calendar=calendar, on_ready=on_ready)


def _one_of(kind: type[_Choice], name: str, given: str) -> _Choice:
    try:
        return kind(given.lower())
    except ValueError as error:
        raise InvalidInputError(f"{name} {given!r} is not known: use one of {', '.join(kind)}.") from error
