"""What happens, how fast, what is wrong: the log, metrics, alerts."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer
from rich.console import Console, RenderableType
from rich.text import Text

import barlake
from app.commands.options import AsJson, Root
from app.console import notice, print_frame, print_json, say
from app.operations.durations import since_instant
from barlake.clock import clock_of
from barlake.errors import BarlakeError

if TYPE_CHECKING:
    from app.operations import Operations
    from app.operations.log_records import LogRecord
    from app.operations.observer import Observer

__all__ = ["alerts", "logs", "metrics", "observing", "watch"]

metrics = typer.Typer(help="Metrics for Prometheus.", no_args_is_help=True, rich_markup_mode=None)
alerts = typer.Typer(help="What somebody should know.", no_args_is_help=True, rich_markup_mode=None)

_LOOK_S = 0.5
_WIDE = 160
_COLOURS = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}


@contextlib.contextmanager
def observing(root: str | None, *, slow_s: float = 2.0) -> Iterator[Observer]:
    """Who looks at a lake and its databases; one that cannot be opened is said and left out."""
    from app.jobs.queue import open_queue
    from app.operations import open_operations
    from app.operations.observer import Observer

    with contextlib.ExitStack() as stack:
        lake = stack.enter_context(barlake.open(root))
        unopened: dict[str, str] = {}
        operations = queue = None
        try:
            operations = stack.enter_context(open_operations(lake.settings))
        except BarlakeError as error:
            unopened["operations"] = str(error)
        try:
            queue = stack.enter_context(open_queue(lake.settings))
        except BarlakeError as error:
            unopened["queue"] = str(error)
        for why in unopened.values():
            notice(f"warning: {why}")
        yield Observer(lake, operations, queue, clock_of(lake.settings), slow_s=slow_s, unopened=unopened)


def watch(
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and end.")] = False,
) -> None:
    """Show agents, queue, progress, lag, limits, alerts and errors, live until Ctrl-C. Works while nothing runs."""
    from rich.live import Live

    from app.operations import watch_view

    with observing(root) as observer:
        name, clock = observer.lake.store.name, observer.clock
        if as_json:
            print_json(watch_view.as_json(observer.look()))
            return
        console = Console(highlight=False)
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = _WIDE

        def picture() -> RenderableType:
            return watch_view.picture(observer.look(), name=name, speed=clock.speed, width=console.width)

        if once or not console.is_terminal:
            console.print(picture())
            return
        with (
            contextlib.suppress(KeyboardInterrupt),
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            while True:
                live.update(picture(), refresh=True)
                time.sleep(_LOOK_S)


def logs(
    agent: Annotated[str | None, typer.Option("--agent", help="Only of this agent.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only about this symbol.")] = None,
    level: Annotated[str | None, typer.Option("--level", help="Only of this level and above, such as warning.")] = None,
    job: Annotated[
        str | None, typer.Option("--job", help="Only of this job, or of those below it: bars/sip/SPY.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Only from here on: 15m, 2h, 1d, or an instant with its zone.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print what agents have logged: every request, every commit, and what went wrong."""
    from app.operations import open_operations

    start = None if since is None else since_instant(since, dt.datetime.now(dt.UTC), name="--since")
    words: dict[str, Any] = {"agent": agent, "symbol": symbol and symbol.upper(), "level": level, "job": job}
    with barlake.open(root) as lake, open_operations(lake.settings) as operations:
        found = operations.logs.tail(**words, since=start, limit=limit)
        _print_records(found, as_json=as_json)
        if not found and not follow:
            notice("no record fits" + ("" if any(words.values()) or since else ": nothing has been logged yet"))
        if follow:
            with contextlib.suppress(KeyboardInterrupt):
                _follow(operations, words, found[-1].record_id if found else None, as_json=as_json)


def _follow(operations: Operations, words: dict[str, Any], last: int | None, *, as_json: bool) -> None:
    if last is None:
        newest = operations.logs.tail(limit=1)
        last = newest[-1].record_id if newest else 0
    while True:
        time.sleep(_LOOK_S)
        found = operations.logs.tail(**words, since_id=last, limit=1000)
        _print_records(found, as_json=as_json)
        last = found[-1].record_id if found else last


def _print_records(found: list[LogRecord], *, as_json: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for one in found:
        if as_json:
            facts = {"timestamp": one.logged_at.isoformat(), **vars(one)}
            facts.pop("logged_at")
            print(json.dumps({**facts, "fields": dict(one.fields)}, default=str), flush=True)  # noqa: T201 - one line each
            continue
        console.print(_line(one))


def _line(one: LogRecord) -> Text:
    text = Text(f"{one.logged_at:%Y-%m-%d %H:%M:%S} ", style="dim")
    text.append(f"{one.level.lower():<8}", style=_COLOURS.get(one.level, "default"))
    text.append(f"{one.agent or '':<9} {one.symbol or '':<6} ", style="cyan")
    text.append(one.message, style="default")
    facts = {name: held for name, held in one.fields.items() if name not in {"logger", "exception"}}
    text.append("".join(f" {name}={held}" for name, held in facts.items()), style="dim")
    if trace := one.fields.get("exception"):
        text.append(f"\n{trace}", style="dim")
    return text


@metrics.command("serve")
def metrics_serve(
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0 takes a free one.")] = 9464,
    host: Annotated[str, typer.Option("--host", help="Address to listen on: this machine alone, or 0.0.0.0.")] = (
        "127.0.0.1"
    ),
    root: Root = None,
) -> None:
    """Serve the lake's metrics for Prometheus until Ctrl-C; all of them are read from the databases when it asks."""
    from app.operations.prometheus import serving_metrics
    from app.operations.telemetry import exporting_metrics

    with observing(root, slow_s=0.0) as observer, serving_metrics(observer, port=port, host=host) as url:
        say(f"Metrics at {url}; Ctrl-C stops it")
        with (
            exporting_metrics(observer.lake.settings, observer, agent="metrics"),
            contextlib.suppress(KeyboardInterrupt),
        ):
            while True:  # an endless wait would not notice a Ctrl-C that another thread met
                time.sleep(_LOOK_S)


@alerts.command("list")
def alerts_list(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Print the alerts that are active."""
    from app.operations import open_operations

    with barlake.open(root) as lake, open_operations(lake.settings) as operations:
        _print_alerts(operations, every=every, as_json=as_json)


@alerts.command("check")
def alerts_check(root: Root = None, as_json: AsJson = False) -> None:
    """Hold the rules against the state of things, tell who is to be told, and print what is active; exit 1 if any is.

    Running workers do so every few seconds; this is for cron, when no worker may be running.
    """
    from app.jobs.queue import open_queue
    from app.operations import open_operations
    from app.operations.logs import configure_logging
    from app.operations.watchdog import check, watched_securities

    with (
        barlake.open(root) as lake,
        open_operations(lake.settings) as operations,
        open_queue(lake.settings) as queue,
    ):
        configure_logging(lake.settings, agent="watchdog", operations=operations, for_person=True)
        check(operations, lake, queue, clock_of(lake.settings), watched_securities(lake))
        _print_alerts(operations, every=False, as_json=as_json)
        if operations.alerts.active():
            raise typer.Exit(1)


def _print_alerts(operations: Operations, *, every: bool, as_json: bool) -> None:
    found = operations.alerts.history(limit=1000)[::-1] if every else operations.alerts.active()
    if as_json:
        print_json([vars(one) for one in found])
    elif found:
        columns = ("fired_at", "cleared_at", "level", "key", "message")
        schema = {"fired_at": pl.Datetime("us", "UTC"), "cleared_at": pl.Datetime("us", "UTC")}
        rows = [{name: getattr(one, name) for name in columns} for one in found]
        print_frame(pl.DataFrame(rows, schema_overrides=schema), newest=True)
    else:
        say("no alert is active")
