"""Trained models: which there are, what they scored, which are better, and their way out of a lake and into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import barlake
from app.commands.options import AsJson, Root
from app.console import figures, frame_rows, print_frame, print_json, say
from barlake.errors import InvalidInputError
from barlake.keys import ArtifactKind

__all__ = ["application"]

application = typer.Typer(
    help="List, show, compare, delete and exchange models.", no_args_is_help=True, rich_markup_mode=None
)

ModelId = Annotated[
    str, typer.Argument(metavar="ID", help="A model: its id, first digits of it, or newest.", show_default=False)
]


@application.command("list")
def list_(
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only models that predict this symbol.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """List the models of the lake, newest last, with their headline score beside the baseline."""
    from app.use_cases.model_figures import model_rows

    with barlake.open(root) as lake:
        frame = model_rows(lake.artifacts.list(ArtifactKind.MODEL), symbol=symbol)
    if as_json:
        print_json(frame_rows(frame))
    elif frame.is_empty():
        say("No models yet: `barlake train SPY` makes one, `barlake demo` shows how.")
    else:
        print_frame(frame, newest=True)


@application.command("show")
def show(model_id: ModelId, root: Root = None, as_json: AsJson = False) -> None:
    """Show what a model is, what it scored, what it was made from, and where its card lies.

    Its files are compared with the hashes registered when it was made.
    """
    from app.use_cases.model_figures import model_scores, short_facts

    with barlake.open(root) as lake:
        model = lake.artifacts.find(ArtifactKind.MODEL, model_id)
        for name in model.files:
            lake.artifacts.verified_file(model, name)
    if as_json:
        print_json(
            {
                "id": model.id, "created_at": model.created_at, "parameters": model.parameters, "inputs": model.inputs,
                "code": model.code, "seed": model.seed, "results": model.results, "files": model.files,
                "libraries": model.libraries, "folder": model.path,
            }
        )  # fmt: skip
        return
    figures(short_facts(model), title=f"model {model.id}")
    print_frame(model_scores(model), title="scores of all test rows")
    say(str(model.results.get("verdict", "")))
    say(f"card: {model.path / 'card.html'}")


@application.command("compare")
def compare(
    model_ids: Annotated[
        list[str], typer.Argument(metavar="ID ID", help="Models to put side by side.", show_default=False)
    ],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Put models side by side: what differs in how they were made, and whether their scores compare."""
    from app.use_cases.model_comparison import compare_models

    if len(model_ids) < 2:  # noqa: PLR2004 - a comparison has two sides
        raise InvalidInputError("one model is no comparison: name two or more.")
    with barlake.open(root) as lake:
        report = compare_models(lake, model_ids)
    if as_json:
        print_json(report.as_dict())
        return
    print_frame(report.options, title="what differs")
    print_frame(report.scores, title="scores, each on its own test rows")
    say(report.verdict)


@application.command("delete")
def delete(
    model_id: ModelId,
    with_runs: Annotated[
        bool, typer.Option("--with-runs", help="Delete the runs made from it too; otherwise it stays while it has any.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Delete a model and free its bytes. The ledger of trials keeps what was tried."""
    with barlake.open(root) as lake:
        model = lake.artifacts.find(ArtifactKind.MODEL, model_id)
        runs = [one for one in lake.artifacts.list(ArtifactKind.RUN) if one.inputs.get("model") == model.id]
        if runs and not with_runs:
            names = ", ".join(one.id for one in runs)
            raise InvalidInputError(
                f"model {model.id} has {len(runs)} runs ({names}), which could not be made again without it: name "
                "--with-runs to delete them too."
            )
        what = f"model {model.id}" + (f" and {len(runs)} runs" if runs else "")
        if not yes:
            typer.confirm(f"Delete {what}?", abort=True, err=True)
        freed = sum(lake.artifacts.delete(one) for one in (*runs, model))
        lake.publish()
    if as_json:
        print_json({"deleted": [model.id], "runs_deleted": [one.id for one in runs], "bytes_freed": freed})
    else:
        say(f"{what} deleted, {freed:,} bytes freed")


@application.command("export")
def export(
    model_id: ModelId,
    path: Annotated[
        Path | None, typer.Argument(help="The file to write. Default: model-<id>.skops here.", show_default=False)
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Write a model with its tables into one skops file, which others can open without running code of its."""
    from training_service.exchange import export_model

    with barlake.open(root) as lake:
        model = lake.artifacts.find(ArtifactKind.MODEL, model_id)
        done = export_model(lake, model.id, path or Path(f"model-{model.id}.skops"))
    if as_json:
        print_json(_as_json(done))
        return
    say(f"model {done.model_id} written to {done.path}")
    if done.foreign_types:
        trusted = " ".join(f"--trust {name}" for name in done.foreign_types)
        say(f"whoever imports it has to trust types of your own: `barlake models import {done.path.name} {trusted}`")


@application.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A file that `barlake models export` wrote.", show_default=False)],
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust", help="Full name of a further type the file may build; repeat it for each.", show_default=False
        ),
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Take in a model that was exported elsewhere. Only types on a list are built, nothing else in the file runs."""
    from training_service.exchange import import_model

    with barlake.open(root) as lake:
        done = import_model(lake, path, trust=trust or ())
    if as_json:
        print_json(_as_json(done))
    else:
        say(f"model {done.model_id} ({'taken in' if done.created else 'was here, nothing was written'}): {done.path}")


def _as_json(done: Any) -> dict[str, Any]:
    return {
        "model": done.model_id,
        "path": str(done.path),
        "created": done.created,
        "foreign_types": list(done.foreign_types),
    }
