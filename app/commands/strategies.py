"""`barlake strategies`: which there are, what each does, and what one wants over the bars of the lake."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

import barlake
from app.commands.options import AdjustmentOption, AsJson, Feed, Root
from app.console import figures, frame_rows, print_frame, print_json, say
from barlake.keys import Adjustment

__all__ = ["application"]

application = typer.Typer(
    help="List, show and check strategies, those of the house and your own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_ID = re.compile(r"[0-9a-f]{4,16}")


@application.command("list")
def list_(
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Those that were run in this lake, each definition by its id.")
    ] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """List the strategies of the house with their parameters, or all that this lake has on record."""
    from app.strategies import house_rows

    if not recorded:
        print_frame(house_rows(), as_json=as_json)
        return
    with barlake.open(root) as lake:
        frame = lake.strategies.frame()
    if as_json:
        print_json(frame_rows(frame))
    elif frame.is_empty():
        say("No strategy on record yet: `barlake simulate --strategy` puts one there.")
    else:
        print_frame(frame, newest=True)


@application.command("show")
def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A name, my_module.py:MyStrategy, or the first digits of an id on record.", show_default=False
        ),
    ],
    source: Annotated[bool, typer.Option("--source", help="With an id: print the code it ran, as it was.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what a strategy does and what its parameters mean, or a definition on record."""
    if _ID.fullmatch(name):
        _show_record(name, root, source=source, as_json=as_json)
    else:
        _show_class(name, as_json=as_json)


def _show_class(name: str, *, as_json: bool) -> None:
    from simulation_service.strategies.catalogue import find_strategy
    from simulation_service.strategies.description import Description

    told = Description.of(find_strategy(name))
    if as_json:
        parameters = [vars(one) for one in told.parameters]
        print_json({"name": name, "summary": told.summary, "parameters": parameters, "notes": told.notes})
        return
    say(told.summary)
    if told.parameters:
        given = {
            one.name + (" (must be given)" if one.default is None else f" = {one.default}"): one.meaning
            for one in told.parameters
        }
        figures(given, title="parameters")
    for note in told.notes:
        say(note)


def _show_record(strategy_id: str, root: str | None, *, source: bool, as_json: bool) -> None:
    with barlake.open(root) as lake:
        found = lake.strategies.find(strategy_id)
    if as_json:
        print_json(vars(found))
        return
    facts: dict[str, Any] = {
        **found.definition["parameters"],
        "code": found.definition["code"],
        "first seen": found.first_seen_at,
        "proven": found.proven_at or "not here: see `barlake prove strategy`",
    }
    figures(facts, title=f"strategy {found.strategy_id}: {found.definition['class']}")
    if source:
        for name, text in found.source.items():
            say(f"# {name}\n{text}")


@application.command("check")
def check(
    name: Annotated[str, typer.Argument(help="A strategy, or my_module.py:MyStrategy.", show_default=False)],
    symbols: Annotated[list[str], typer.Argument(help="Symbols whose bars it sees, such as SPY.", show_default=False)],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter of the strategy, such as fast_bars=5.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="A model whose predictions it sees.")] = None,
    feed: Feed = None,
    session: Annotated[str | None, typer.Option("--session", help="Which bars. Default: regular.")] = None,
    adjustment: AdjustmentOption = Adjustment.RAW.value,
    bars: Annotated[int, typer.Option("--bars", help="How many of the newest minutes are used.")] = 40_000,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what a strategy wants over the newest bars: how often long, short, flat, and how often that changes.

    Nothing is traded or recorded. That it does not look ahead is shown by `barlake prove strategy`.
    """
    from app.commands.update import names_of
    from app.strategies import lake_bars, wanted_rows
    from simulation_service.options import settings_of
    from simulation_service.strategies.catalogue import make_strategy

    strategy = make_strategy(name, settings_of(settings or ()))
    options: dict[str, Any] = {"model": model, "feed": feed, "session": session, "adjustment": adjustment}
    with barlake.open(root) as lake:
        shown = lake_bars(lake, names_of(symbols), minutes=bars, **options)
    frame = wanted_rows(strategy, shown)
    if as_json:
        print_json({"strategy": repr(strategy), "symbols": frame_rows(frame)})
    else:
        print_frame(frame, title=repr(strategy))
