"""Schedules: when workers bring the lake up to date by themselves."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

from app.commands.options import AsJson, Root
from app.console import print_frame, print_json, say
from barlake.errors import InvalidInputError

if TYPE_CHECKING:
    from app.jobs.queue import JobQueue
    from app.schedules.schedules import Schedules
    from barlake.lake import Lake

__all__ = ["application"]

application = typer.Typer(help="When workers bring the lake up to date by themselves.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="Of the schedule, such as daily.", show_default=False)]
_Names = list[str] | None


@contextlib.contextmanager
def _opened(root: str | None) -> Iterator[tuple[Schedules, JobQueue, Lake]]:
    """The schedules of a lake, its queue, and the lake."""
    import barlake
    from app.jobs.queue import open_queue
    from app.operations import open_operations
    from app.use_cases.schedules import schedules_of

    with (
        barlake.open(root) as lake,
        open_operations(lake.settings) as operations,
        open_queue(lake.settings) as queue,
    ):
        yield schedules_of(lake, operations), queue, lake


@application.command("list")
def list_(root: Root = None, as_json: AsJson = False) -> None:
    """Show every schedule with its next and its last time, in UTC by market time."""
    from app.use_cases.schedules import schedules_standing

    with _opened(root) as (schedules, queue, lake):
        found = schedules_standing(lake, schedules, queue)
    rows = [
        {
            "name": one.name, "when": one.when, "next": _minute(one.next_due), "last": _minute(one.last_due),
            "last_state": one.last_state, "paused": one.paused, "work": _work(one.work),
        }
        for one in found
    ]  # fmt: skip
    schema = {name: pl.Boolean() if name == "paused" else pl.String() for name in _COLUMNS}
    print_frame(pl.DataFrame(rows, schema=schema), title="times are UTC", as_json=as_json)


_COLUMNS = ("name", "when", "next", "last", "last_state", "paused", "work")


def _minute(at: dt.datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%dT%H:%MZ}"


def _work(work: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {', '.join(values)}" for name, values in work.items() if values) or "all"


@application.command("add")
def add(
    name: _Name,
    when: Annotated[
        str,
        typer.Argument(
            help="Five cron fields, '30 6 * * 2-6', or an instant of each session, close+20m.", show_default=False
        ),
    ],
    zone: Annotated[str, typer.Option("--zone", help="Time zone of cron fields.")] = "UTC",
    every_day: Annotated[
        bool, typer.Option("--every-day", help="Also when no session has ended since the time before.")
    ] = False,
    categories: Annotated[
        _Names, typer.Option("--categories", help="Only these; several times, or with commas.")
    ] = None,
    do: Annotated[_Names, typer.Option("--do", help="Only this work, as `barlake update --do` has it.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Keep a new schedule; its times count from now on."""
    from app.commands.update import names_of, parts_of
    from app.jobs.planning import Part
    from app.schedules.schedules import Schedule
    from app.schedules.triggers import next_due, parse_trigger

    trigger = parse_trigger(when, zone=zone, sessions_only=not every_day)
    parts = [str(one) for one in parts_of(names_of(do)) if one is not Part.FEATURES] if do else []
    if do and not parts:
        raise InvalidInputError("features need no schedule: workers build them whenever their bars have changed.")
    work = {"parts": parts, "categories": names_of(categories)}
    with _opened(root) as (schedules, _, lake):
        schedules.add(Schedule(name, trigger, {key: value for key, value in work.items() if value}), lake.now())
        coming = next_due(trigger, lake.now(), lake.calendar)
    first = None if coming is None else f"{coming.due:%Y-%m-%dT%H:%MZ}"
    _tell({"name": name, "when": str(trigger), "next": first}, f"{name}: {trigger}, first {first}", as_json=as_json)


@application.command("run-now")
def run_now(name: _Name, root: Root = None, as_json: AsJson = False) -> None:
    """Have a worker do at once what a schedule does, also of a paused one."""
    from app.schedules.scheduler import fire_now

    with _opened(root) as (schedules, queue, lake):
        job = fire_now(schedules, queue, name, lake.now())
    _tell({"name": name, "job": job}, f"{job} waits for a worker", as_json=as_json)


@application.command("pause")
def pause(name: _Name, root: Root = None, as_json: AsJson = False) -> None:
    """Let the times of a schedule pass until it is resumed."""
    with _opened(root) as (schedules, _, _lake):
        schedules.pause(name)
    _tell({"name": name, "paused": True}, f"{name} is paused", as_json=as_json)


@application.command("resume")
def resume(name: _Name, root: Root = None, as_json: AsJson = False) -> None:
    """Let a schedule go on with its next time; those that passed in the pause are not caught up."""
    with _opened(root) as (schedules, _, lake):
        schedules.resume(name, lake.now())
    _tell({"name": name, "paused": False}, f"{name} goes on", as_json=as_json)


@application.command("remove")
def remove(name: _Name, root: Root = None, as_json: AsJson = False) -> None:
    """Have no schedule of that name any more; one that came with the lake stays removed, too."""
    with _opened(root) as (schedules, _, _lake):
        schedules.remove(name)
    _tell({"name": name, "removed": True}, f"{name} is removed", as_json=as_json)


def _tell(facts: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        say(sentence)
