"""A result made again from its manifest, and held against what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

import barlake
from app.commands.options import AsJson, Root
from app.console import print_frame, print_json, progress, say

if TYPE_CHECKING:
    from app.repro.report import ReproReport, Step

__all__ = ["repro"]

_DIFFERS = 1


def repro(
    result_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A feature version, model or run: its id or first digits.", show_default=False
        ),
    ],
    set_name: Annotated[
        str | None, typer.Option("--set", help="The file of its feature set, if that is one of your own.")
    ] = None,
    signals: Annotated[
        Path | None, typer.Option("--signals", help="The file of signals, for a run that came from one.")
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Make a feature version, model or run again and compare it bit by bit; exit code 1 where it differs.

    A difference names the link it hangs on: files, bars, code, library, seed or machine. Nothing in the lake changes.
    """
    from app.repro.chain import reproduce

    with barlake.open(root) as lake, progress(shown=not as_json) as start:
        report = reproduce(lake, result_id, set_name=set_name, signals=signals, progress=start("again"))
    if as_json:
        print_json(report.as_dict())
    else:
        _show(report)
    if not report.same:
        raise typer.Exit(_DIFFERS)


def _show(report: ReproReport) -> None:
    rows = [(step.what, _result(step), ", ".join(step.differs), step.note) for step in report.steps]
    print_frame(pl.DataFrame(rows, schema=["made again", "result", "differs", "note"], orient="row"))
    for step in report.steps:
        for cause in step.causes:
            effect = " (without effect)" if step.same else ""
            say(f"{step.what}: {cause.link.value}{effect}: {cause.what}")
    say(report.verdict)


def _result(step: Step) -> str:
    return {True: "the same bits", False: "DIFFERS", None: "NOT MADE"}[step.same]
