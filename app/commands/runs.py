"""Simulations that were made: a list, one of them, several side by side, and one made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import barlake
from app.commands.options import AsJson, Root
from app.commands.repro import repro
from app.console import figures, frame_rows, notice, print_frame, print_json, say
from barlake.durable import storage_errors
from barlake.keys import ArtifactKind

__all__ = ["application"]

application = typer.Typer(help="Simulations that were made.", no_args_is_help=True)

RunId = Annotated[
    str, typer.Argument(metavar="ID", help="A run: its id, the first digits of it, or newest.", show_default=False)
]


@application.command("list")
def list_(root: Root = None, as_json: AsJson = False) -> None:
    """List all runs, the newest last."""
    from simulation_service.runs import is_of_this_kind, list_runs

    with barlake.open(root) as lake:
        runs = lake.artifacts.list(ArtifactKind.RUN)
    frame = list_runs(runs)
    _tell_of_others([one.id for one in runs if not is_of_this_kind(one)])
    if as_json:
        print_json(frame_rows(frame))
    elif frame.is_empty():
        say("No runs yet: `barlake simulate` makes one, `barlake demo` shows how.")
    else:
        print_frame(frame, newest=True)


def _tell_of_others(ids: list[str]) -> None:
    if ids:
        notice(
            f"{len(ids)} run(s) of an earlier release are kept and not listed: {', '.join(ids)}. "
            "`barlake runs report ID` says where the page of one lies."
        )


@application.command("show")
def show(run_id: RunId, root: Root = None, as_json: AsJson = False) -> None:
    """Show what a run was made from, what came out, and what stands beside it."""
    from simulation_service.report_text import print_results
    from simulation_service.runs import facts_of_run

    with barlake.open(root) as lake:
        found = lake.artifacts.find(ArtifactKind.RUN, run_id)
    if as_json:
        print_json(
            {
                "id": found.id,
                "created_at": found.created_at,
                "inputs": found.inputs,
                "parameters": found.parameters,
                "results": found.results,
                "files": found.files,
                "folder": found.path,
            }
        )
    else:
        figures(facts_of_run(found), title=f"run {found.id}")
        print_results(found.results, Console(highlight=False))


@application.command("compare")
def compare(
    run_ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="Runs: their ids, first digits of them, or newest.", show_default=False),
    ],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what differs between runs, and the figures of all side by side."""
    from simulation_service.runs import compare_runs

    with barlake.open(root) as lake:
        frame = compare_runs([lake.artifacts.find(ArtifactKind.RUN, one) for one in run_ids])
    print_frame(frame, as_json=as_json)


@application.command("report")
def report(
    run_id: RunId,
    pdf: Annotated[Path | None, typer.Option("--pdf", help="Write the page as PDF into this file.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Say where the tear sheet of a run lies, or write it as PDF."""
    from simulation_service.simulate import REPORT_FILE
    from simulation_service.tear_sheet import page_as_pdf

    with barlake.open(root) as lake:
        page = lake.artifacts.verified_file(lake.artifacts.find(ArtifactKind.RUN, run_id), REPORT_FILE)
    if pdf is not None:
        made = page_as_pdf(page.read_text(encoding="utf-8"))
        with storage_errors(pdf):
            pdf.write_bytes(made)
    if as_json:
        print_json({"report": page, "pdf": pdf})
    else:
        say(str(pdf or page))


@application.command("repro")
def repro_run(
    run_id: RunId,
    signals: Annotated[
        Path | None, typer.Option("--signals", help="The file of signals, for a run that came from one.")
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Make a run again, with all it hangs on, and compare it bit by bit; exit code 1 where it differs."""
    repro(run_id, signals=signals, root=root, as_json=as_json)
