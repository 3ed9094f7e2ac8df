"""How much of a simulated result was the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Root
from app.console import print_frame, print_json, progress, say
from barlake.keys import ArtifactKind

if TYPE_CHECKING:
    from simulation_service.audit import Audit, Variant
    from simulation_service.bar_difference import BarDifference

__all__ = ["audit"]


def audit(
    run_id: Annotated[
        str, typer.Argument(metavar="ID", help="A run: its id, the first digits of it, or newest.", show_default=False)
    ],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Trade a run again on other feeds and in other terms of prices: how much of its result was the data.

    Nothing is written, and no trial is made of it.
    """
    from simulation_service.audit import audit_run

    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        found = audit_run(lake, lake.artifacts.find(ArtifactKind.RUN, run_id), progress=start("audit"))
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found)


def _show(found: Audit) -> None:
    print_frame(pl.DataFrame([_line(one) for one in found.variants]), title=f"run {found.run_id} on other data")
    for one in found.variants:
        if one.refused is not None:
            say(f"{one.feed}, {one.adjustment}: not traded: {one.refused}")
    if found.bars:
        print_frame(pl.DataFrame([_bars(one) for one in found.bars]), title=f"bars beside those of {found.feed}")
    else:
        say("no other feed of the lake holds these symbols.")
    for sentence in found.sentences():
        say(sentence)


def _line(one: Variant) -> dict[str, Any]:
    return {
        "feed": one.feed,
        "adjustment": one.adjustment,
        "signals": one.signals.value,
        "sessions": f"{one.first_session} to {one.last_session}",
        "final value": one.final_value or "not traded",
        "return": _percent(one.total_return),
        "points moved": None if one.difference is None else f"{one.difference * 100:+.2f}",
        "buy and hold": _percent(one.buy_and_hold_return),
        "fills": one.fills,
        "bars": one.bars,
        "without signal": one.bars_without_signal,
    }


def _bars(one: BarDifference) -> dict[str, Any]:
    return {
        "feed": one.feed,
        "common minutes": one.common,
        "only in the run's": one.own_only,
        "only here": one.other_only,
        "equal closes": _percent(one.equal_closes, sign=""),
        "mean distance, bps": one.mean_distance_bps,
        "largest, bps": one.largest_distance_bps,
    }


def _percent(value: float | None, *, sign: str = "+") -> str | None:
    return None if value is None else f"{value:{sign}.2%}"
