"""The agents: what each does and is wanted to do, and a hand on it."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

from app.commands.jobs import agent_control
from app.commands.options import AsJson, Root
from app.console import notice, print_frame, print_json, say

if TYPE_CHECKING:
    from app.use_cases.agents import AgentStanding

__all__ = ["application"]

application = typer.Typer(
    help="The agents that do the work: look at them, start, pause and stop them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_LOOK_S = 0.3

Name = Annotated[str, typer.Argument(help="backfill, live, features or research.", show_default=False)]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to stay for it at most.")]


@application.command("list")
def list_(root: Root = None, as_json: AsJson = False) -> None:
    """Print what is wanted of each agent, and what each of its workers does."""
    from app.use_cases.agents import agent_standings

    with agent_control(root) as control:
        found = agent_standings(*control)
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
        return
    rows = [row for one in found for row in _rows(one)]
    print_frame(pl.DataFrame(rows, infer_schema_length=None))


@application.command("start")
def start(name: Name, wait: Wait = 60.0, root: Root = None, as_json: AsJson = False) -> None:
    """Let an agent run; where no worker serves it, begin one on this machine, which stays when this command ends.

    None is begun where BARLAKE_STARTS_WORKERS is off. What a worker prints that was begun so is in the lake's folder
    operations/workers.
    """
    from app.operations.heartbeats import STARTING
    from app.use_cases.agents import agent_standing, start_agent

    with agent_control(root) as control:
        found = start_agent(*control, name)
        until = time.monotonic() + wait
        while found.state == STARTING and time.monotonic() < until:
            time.sleep(_LOOK_S)
            found = agent_standing(*control, name)
    _tell(found, as_json=as_json)
    if not found.is_served:
        why = f"the one that was begun has ended: {found.log} says why" if found.log else "none was to be begun here"
        notice(f"error: no worker serves {name!r} ({why}). Begin one by hand: barlake worker --agent {name}")
        raise typer.Exit(1)


@application.command("pause")
def pause(name: Name, root: Root = None, as_json: AsJson = False) -> None:
    """Let an agent rest: its workers stay, and what they were doing for it goes back into the queue."""
    from app.use_cases.agents import pause_agent

    with agent_control(root) as control:
        _tell(pause_agent(*control, name), as_json=as_json)


@application.command("stop")
def stop(name: Name, wait: Wait = 0.0, root: Root = None, as_json: AsJson = False) -> None:
    """Let an agent rest, and end the workers that serve no other; what they were doing goes back into the queue."""
    from app.use_cases.agents import agent_standing, stop_agent

    with agent_control(root) as control:
        found = stop_agent(*control, name)
        until = time.monotonic() + wait
        while found.workers and time.monotonic() < until:
            time.sleep(_LOOK_S)
            found = agent_standing(*control, name)
    _tell(found, as_json=as_json)


def _tell(found: AgentStanding, *, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    workers = ", ".join(f"{one.worker} {one.state}" for one in found.workers) or "none"
    say(f"agent {found.name} is to be {found.desired}; workers: {workers}; {found.queued:,} job(s) wait")


def _rows(one: AgentStanding) -> list[dict[str, Any]]:
    facts = {"agent": one.name, "wanted": str(one.desired), "queued": one.queued, "running": one.running}
    if not one.workers:
        return [{**facts, "worker": "", "state": one.state, "doing": "", "next step": "", "beat": None}]
    return [
        {
            **facts, "worker": worker.worker, "state": worker.state, "doing": worker.job or worker.symbol or "",
            "next step": worker.next_step or "", "beat": worker.beat_at,
        }
        for worker in one.workers
    ]  # fmt: skip
