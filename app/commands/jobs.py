"""Work that runs by itself: the worker, jobs for a range of history, and a hand on each of them."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Root, SomeSymbols
from app.console import figures, notice, print_frame, print_json, progress, say
from barlake.errors import InvalidInputError

if TYPE_CHECKING:
    from app.jobs.job import JobRecord
    from app.jobs.queue import JobQueue
    from app.operations import Operations

__all__ = ["agent_control", "application", "backfill", "worker"]

application = typer.Typer(help="Jobs that workers do.", no_args_is_help=True, rich_markup_mode=None)

_LOOK_S = 0.5
_LONGEST = 100
"""Of an error in a list; `show` prints the whole of it."""

_DAYS = re.compile(r"(\d+)\s*d?")

Ids = Annotated[list[str] | None, typer.Argument(help="Ids, as `barlake jobs list` prints them.", show_default=False)]
Prefix = Annotated[
    str | None, typer.Option("--prefix", help="All whose id begins so, such as bars/sip/SPY.", show_default=False)
]
AgentOption = Annotated[
    str | None, typer.Option("--agent", help="backfill, live, features or research.", show_default=False)
]


def worker(
    agent: Annotated[
        list[str] | None,
        typer.Option("--agent", help="backfill, live, features or research; several times for several. Default: all."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Its name. Default: one that nobody has.")] = None,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", min=1, help="Jobs of each agent that every worker does at a time from now on."),
    ] = None,
    drain: Annotated[bool, typer.Option("--drain", help="End when the queues are empty, and run no schedule.")] = False,
    end_when_stopped: Annotated[
        bool, typer.Option("--end-when-stopped", help="End, too, if its agents were stopped before it began.")
    ] = False,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", help="Serve metrics for Prometheus there, on this machine.")
    ] = None,
    root: Root = None,
) -> None:
    """Do what is in the queue until Ctrl-C or SIGTERM; a second one ends it at once. Run as many as you like.

    What is being done when it ends goes back into the queue, and every page that was stored is kept. With --drain the
    exit code is 1 if a job failed or waits for a key. When all its agents are stopped (`barlake agents stop`) it ends;
    if they were stopped before it began, it stands by until one is started.
    """
    from app.jobs.worker import Worker, WorkerReport
    from app.operations import open_operations
    from app.operations.logs import configure_logging

    with barlake.open(root) as lake:
        settings = lake.settings
    with open_operations(settings) as operations:
        log = configure_logging(settings, agent="worker", operations=operations)
        one = Worker(
            settings, operations, agents=_agents(agent or []), name=name, concurrency=concurrency, drain=drain,
            ends_when_stopped=end_when_stopped,
        )  # fmt: skip
        stop = threading.Event()
        try:
            with _signals(stop), _serving_metrics(metrics_port, root):
                report: WorkerReport = _in_thread(lambda: one.run(stop))
        finally:
            log.close()
    if drain and (report.failed or report.paused):
        notice(f"error: {report.failed} job(s) failed, {report.paused} wait for a key: `barlake jobs list` names them.")
        raise typer.Exit(1)


def _agents(names: list[str]) -> list[str]:
    from app.jobs.job import Agent

    for name in names:
        if name not in set(Agent):
            raise InvalidInputError(f"agent {name!r} is none: there are {', '.join(Agent)}.")
    return names


@contextlib.contextmanager
def _serving_metrics(port: int | None, root: str | None) -> Iterator[None]:
    if port is None:
        yield
        return
    from app.commands.operations import observing
    from app.operations.prometheus import serving_metrics

    with observing(root) as observer, serving_metrics(observer, port=port) as url:
        notice(f"metrics at {url}")
        yield


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """The first SIGTERM or Ctrl-C sets `stop`, the second ends the process."""

    def end(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_thread(work: Callable[[], Any]) -> Any:
    """What a function gives; the main thread only waits, for it is where signals arrive, at any point of its code."""
    found: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            errors.append(error)

    thread = threading.Thread(target=run, name="worker")
    thread.start()
    while thread.is_alive():
        thread.join(1.0)
    if errors:
        raise errors[0]
    return found[0]


def backfill(
    symbols: SomeSymbols,
    start: Annotated[str | None, typer.Option("--start", help="First session. Default: 30 days ago.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="First session left out. Default: tomorrow.")] = None,
    feed: Annotated[str | None, typer.Option("--feed", help="Default: ALPACA_FEED; auto means sip.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Ask again for what the lake holds, too.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the jobs are over.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Put one job for each month that lacks minute bars into the queue; workers do them, newest months first."""
    from app.jobs.queue import open_queue
    from app.use_cases.ingest import ask_for_bars

    with barlake.open(root) as lake, open_queue(lake.settings) as queue:
        ids = ask_for_bars(lake, queue, symbols, start, end, feed=feed, refetch=force)
        if not wait:
            _print_asked(queue, ids, as_json=as_json)
            _tell_if_nobody_works(lake)
            return
        _tell_if_nobody_works(lake)
        records = _waited(queue, ids, shown=not as_json)
        _publish(lake)
    _print_outcome(records, as_json=as_json)


def _publish(lake: barlake.Lake) -> None:
    from barlake.catalogue import is_current

    if not is_current(lake):
        lake.publish()


def _print_asked(queue: JobQueue, ids: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"jobs": ids})
        return
    if not ids:
        say("nothing is missing: no job is needed")
        return
    states = list(queue.states(ids).values())
    counts = ", ".join(f"{states.count(state):,} {state}" for state in dict.fromkeys(states))
    say(f"{len(ids):,} job(s): {counts}. `barlake watch` shows how far they are, `barlake jobs list` each of them")


def _tell_if_nobody_works(lake: barlake.Lake) -> None:
    from app.operations import open_operations
    from app.use_cases.agents import is_served

    with open_operations(lake.settings) as operations:
        served = is_served(operations, "backfill")
    if not served:
        notice("no worker is there to do it: start one with `barlake worker`")


def _waited(queue: JobQueue, ids: list[str], *, shown: bool) -> list[JobRecord]:
    """The jobs, once each is over or paused."""
    from app.jobs.job import JobState

    pause = threading.Event()
    with progress(shown=shown) as begin:
        advance = begin("backfill")
        while True:
            states = queue.states(ids)
            left = [state for state in states.values() if not (state.is_over or state is JobState.PAUSED)]
            advance(f"jobs, {left.count(JobState.RUNNING)} running", len(states) - len(left), len(states))
            if not left:
                return list(queue.records(ids))
            pause.wait(_LOOK_S)


def _print_outcome(records: list[JobRecord], *, as_json: bool) -> None:
    from app.jobs.job import JobState

    rows = [
        {
            "job": one.id, "state": str(one.state),
            "requests": (one.result or {}).get("requests", 0), "bars": (one.result or {}).get("inserted", 0),
            "error": one.error,
        }
        for one in records
    ]  # fmt: skip
    if as_json:
        print_json(rows)
    elif rows:
        print_frame(pl.DataFrame(rows, schema_overrides={"error": pl.String}))
    else:
        say("nothing is missing: no job was needed")
    undone = [one for one in records if one.state is not JobState.DONE]
    for one in undone[:5]:
        notice(f"error: {one.id} is {one.state}: {one.error or 'nobody does it until it is asked for again'}")
    if undone:
        raise typer.Exit(1)


# --- barlake jobs ----------------------------------------------------------------------------------


@contextlib.contextmanager
def agent_control(root: str | None) -> Iterator[tuple[Operations, JobQueue]]:
    """What `app.use_cases.agents` wants first."""
    from app.jobs.queue import open_queue
    from app.operations import open_operations

    with (
        barlake.open(root) as lake,
        open_operations(lake.settings) as operations,
        open_queue(lake.settings) as queue,
    ):
        yield operations, queue


@contextlib.contextmanager
def _queue(root: str | None) -> Iterator[JobQueue]:
    from app.jobs.queue import open_queue

    with barlake.open(root) as lake, open_queue(lake.settings) as queue:
        yield queue


@application.command("list")
def list_(
    prefix: Annotated[str, typer.Argument(help="Only ids that begin so, such as bars/sip/SPY.")] = "",
    status: Annotated[
        str | None, typer.Option("--status", help="queued, running, paused, done, failed or cancelled.")
    ] = None,
    agent: AgentOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 40,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Print jobs, the newest last, and how many there are in each state."""
    with _queue(root) as queue:
        found = queue.list(prefix=prefix, status=status, agent=agent, limit=limit, newest=True)[::-1]
        if as_json:
            print_json([vars(one) for one in found])
            return
        counts: dict[str, int] = {}
        for (_, state), count in queue.counts().items():
            counts[state] = counts.get(state, 0) + count
        paused = queue.paused_agents()
    if found:
        print_frame(pl.DataFrame([_row(one) for one in found], infer_schema_length=None), newest=True)
    say(", ".join(f"{count:,} {state}" for state, count in sorted(counts.items())) or "no job was asked for yet")
    if paused:
        say(f"paused agents: {', '.join(paused)}; `barlake jobs resume --agent {paused[0]}` lets it go on")


def _row(one: JobRecord) -> dict[str, Any]:
    return {
        "job": one.id,
        "agent": one.agent,
        "state": str(one.state),
        "worker": one.worker or "",
        "asked for": one.created_at,
        "outcome": _cut(one.error) if one.error else (str(one.result.get("status", "")) if one.result else ""),
    }


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


@application.command("show")
def show(
    job: Annotated[str, typer.Argument(help="Its id, as `barlake jobs list` prints it.")],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Print everything about one job: how far it is, what it gave, why it failed."""
    with _queue(root) as queue:
        found = queue.get(job)
    if as_json:
        print_json({**vars(found), "progress": found.progress and vars(found.progress)})
        return
    facts: dict[str, Any] = {
        "state": str(found.state), "task": found.task, "arguments": found.arguments, "agent": found.agent,
        "priority": found.priority, "worker": found.worker, "attempts": found.attempts,
        "asked for": found.created_at, "begun": found.started_at, "ended": found.finished_at,
    }  # fmt: skip
    if found.progress is not None:
        said = found.progress
        left = None if said.seconds_left is None else f"{dt.timedelta(seconds=round(said.seconds_left))}"
        facts |= {
            "progress": f"{said.done}/{said.total} {said.unit}", "rows": said.rows, "pages": said.pages,
            "next step": said.next_step, "time left": left,
        }  # fmt: skip
    figures(facts | dict(found.result or {}) | {"error": found.error}, title=found.id)


@application.command("retry")
def retry(ids: Ids = None, prefix: Prefix = None, root: Root = None) -> None:
    """Queue jobs again that failed or were cancelled."""
    _each(root, ids, prefix, "failed cancelled", lambda queue, job: queue.retry(job), "queued again")


@application.command("cancel")
def cancel(ids: Ids = None, prefix: Prefix = None, root: Root = None) -> None:
    """Have jobs not done; a running one stops within seconds and keeps the pages it stored."""
    _each(root, ids, prefix, "queued running paused", lambda queue, job: queue.cancel(job), "cancelled")


@application.command("pause")
def pause(ids: Ids = None, prefix: Prefix = None, agent: AgentOption = None, root: Root = None) -> None:
    """Set jobs aside until they are resumed, or all jobs of an agent."""
    if agent is not None:
        from app.use_cases.agents import pause_agent

        with agent_control(root) as control:
            pause_agent(*control, agent)
        say(f"agent {agent} is paused in every worker; what it was doing goes back into the queue")
        return
    _each(root, ids, prefix, "queued running", lambda queue, job: queue.pause(job), "paused")


@application.command("resume")
def resume(ids: Ids = None, prefix: Prefix = None, agent: AgentOption = None, root: Root = None) -> None:
    """Queue paused jobs again, or let an agent go on."""
    if agent is not None:
        from app.use_cases.agents import resume_agent

        with agent_control(root) as control:
            resume_agent(*control, agent)
        say(f"agent {agent} goes on")
        return
    _each(root, ids, prefix, "paused", lambda queue, job: queue.resume(job), "queued again")


def _each(
    root: str | None,
    ids: list[str] | None,
    prefix: str | None,
    states: str,
    act: Callable[[JobQueue, str], None],
    told: str,
) -> None:
    """Do something to the jobs that are named, or to those of these states whose id begins so."""
    if bool(ids) == (prefix is not None):
        raise InvalidInputError("name jobs by their ids, or all that begin alike by --prefix ('' means all).")
    with _queue(root) as queue:
        chosen = list(ids or ())
        if prefix is not None:
            chosen = [one.id for state in states.split() for one in queue.list(prefix=prefix, status=state, limit=None)]
        for job in chosen:
            act(queue, job)
    say(f"{len(chosen):,} job(s) {told}")


@application.command("prune")
def prune(
    older_than: Annotated[str, typer.Option("--older-than", help="Days since they were over, such as 30d.")] = "30d",
    root: Root = None,
) -> None:
    """Forget jobs that are over; workers do so every day. Bars are not touched."""
    found = _DAYS.fullmatch(older_than.strip())
    if found is None:
        raise InvalidInputError(f"--older-than {older_than!r} is not a number of days: give one such as 30d.")
    with _queue(root) as queue:
        pruned = queue.prune(older_than=dt.timedelta(days=int(found[1])))
    say(f"{pruned:,} job(s) forgotten")
