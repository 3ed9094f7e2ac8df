"""One command that brings the lake up to date: for cron, Airflow, Kubernetes and hands."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Root
from app.console import notice, print_frame, print_json, progress, say
from barlake.errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from app.jobs.planning import Part, Plan
    from app.updating import UpdateReport

__all__ = ["names_of", "parts_of", "update"]

_Names = list[str] | None


def update(
    categories: Annotated[
        _Names, typer.Option("--categories", help="Only these, such as etfs; several times, or with commas.")
    ] = None,
    only: Annotated[_Names, typer.Option("--only", help="Only these symbols, such as SPY,QQQ.")] = None,
    skip: Annotated[_Names, typer.Option("--skip", help="Not these symbols.")] = None,
    do: Annotated[
        _Names,
        typer.Option(
            "--do",
            help="Only bars, sessions, recheck, actions, calendar, daily, news, macro or features. Default: all.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="The watch list. Default: as BARLAKE_SECURITIES says.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is due, and do nothing.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every step to stderr.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Do what is due for the watch list: bars, finals, the last two sessions again, actions, calendar, features.

    Exit code 0: all is done, or nothing was due. 1: nothing could be done. 3: some of it is done, and the table says
    for which symbols it is not; the same command again does the rest.
    """
    from ingest_service.watch_list import find_watch_list, load_watch_list

    with barlake.open(root) as lake:
        watched = load_watch_list(file or find_watch_list(lake.settings, lake.root))
        chosen = watched.select(categories=names_of(categories), only=names_of(only), skip=names_of(skip))
        parts = parts_of(names_of(do))
        if dry_run:
            _show_plan(lake, watched, chosen, parts, as_json=as_json)
            return
        for warning in watched.warnings:
            notice(f"warning: {warning}")
        with _ending_gently() as stop:
            report = _run(lake, watched, chosen, parts, stop, verbose=verbose, shown=not as_json)
    _show(report, as_json=as_json)
    if report.was_stopped:
        raise typer.Exit(130)
    if report.exit_code:
        raise typer.Exit(int(report.exit_code))


def _run(
    lake: Any, watched: Any, chosen: Any, parts: list[Part], stop: threading.Event, *, verbose: bool, shown: bool
) -> UpdateReport:
    from app.operations import open_operations
    from app.operations.logs import configure_logging
    from app.updating import only_one_update, update_lake

    settings = lake.settings.model_copy(update={"log_level": "info"}) if verbose else lake.settings
    with (
        only_one_update(lake),
        open_operations(settings) as operations,
        contextlib.closing(configure_logging(settings, agent="update", operations=operations, for_person=True)),
        progress(shown=shown and not verbose) as begin,
    ):
        advance = begin("update")
        return update_lake(
            lake, operations, watched, chosen, parts=parts, stop=stop,
            on_job=lambda due, done, total: advance(f"jobs, {due.job.key}", done, total),
        )  # fmt: skip


def names_of(given: _Names) -> list[str]:
    """Names that were given one by one or with commas between."""
    return [name.strip() for text in given or () for name in text.split(",") if name.strip()]


def parts_of(names: list[str]) -> list[Part]:
    """The kinds of work of these names; all of them where there is none."""
    from app.jobs.planning import Part

    known = [str(one) for one in Part]
    for name in names:
        if name not in known:
            raise InvalidInputError(f"work {name!r} is not one of {', '.join(known)}.{did_you_mean(name, known)}")
    return [Part(name) for name in names] or list(Part)


def _show_plan(lake: Any, watched: Any, chosen: Any, parts: list[Part], *, as_json: bool) -> None:
    from app.jobs.planning import plan
    from barlake.clock import clock_of

    found: Plan = plan(lake, watched, clock_of(lake.settings).now(), securities=chosen, parts=parts)
    rows = [{"symbol": one.symbol or "", "job": one.job.key, "why": one.why} for one in found.due]
    notes = [{"symbol": one.symbol, "note": one.text} for one in found.notes]
    if as_json:
        print_json({"feed": found.feed, "due": rows, "notes": notes})
        return
    if rows:
        print_frame(pl.DataFrame(rows), title=f"due at {found.now:%Y-%m-%d %H:%M} UTC, feed {found.feed}")
    else:
        say("nothing is due")
    for note in notes:
        notice(f"{note['symbol']}: {note['note']}")


def _show(report: UpdateReport, *, as_json: bool) -> None:
    rows = [
        {
            "symbol": one.symbol, "status": one.status, "jobs_done": one.done, "jobs_failed": one.failed,
            "not_begun": one.skipped, "bars_held": one.bars, "why": one.why,
        }
        for one in report.symbols.values()
    ]  # fmt: skip
    notes = [{"symbol": one.symbol, "note": one.text} for one in report.notes]
    if as_json:
        print_json({"feed": report.feed, "exit_code": int(report.exit_code), "symbols": rows, "notes": notes})
        return
    if not any(row["jobs_done"] or row["why"] for row in rows):
        say("nothing was due")
    else:
        print_frame(pl.DataFrame(rows), title=f"feed {report.feed}")
    for note in notes:
        notice(f"{note['symbol']}: {note['note']}")


@contextlib.contextmanager
def _ending_gently() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C, or a request to end, sets; the second Ctrl-C ends at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        logging.getLogger(__name__).warning("ending after this step; once more ends at once")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
