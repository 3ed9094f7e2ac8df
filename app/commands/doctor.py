"""Is everything there that the work depends on, and if not, what is to be done."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from app.commands.options import Root
from app.console import print_json

__all__ = ["doctor"]


def doctor(
    root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at all that the work depends on, and say what to do about what is wrong; exit 1 if something must be mended.

    Keys, plan, clock, network, stream, disk, databases, workers, watch list, versions. Works without keys and without
    a network.
    """
    from app.operations.checkup import Outcome, check_up

    console = Console(highlight=False, soft_wrap=True)
    marks = {Outcome.OK: "bold green", Outcome.WARN: "bold yellow", Outcome.FAIL: "bold red"}
    found = []
    for one in check_up(root):
        found.append(one)
        if as_json:
            continue
        line = Text(f"{one.outcome:<5}", style=marks[one.outcome])
        line.append(f"{one.name:<20}", style="bold")
        line.append(one.seen, style="not bold default")
        if one.advice:
            line.append(f"\n{'':<25}-> {one.advice}", style="not bold cyan")
        console.print(line)
    has_failed = any(one.outcome is Outcome.FAIL for one in found)
    if as_json:
        print_json({"is_well": not has_failed, "findings": [asdict(one) for one in found]})
    if has_failed:
        raise typer.Exit(1)
