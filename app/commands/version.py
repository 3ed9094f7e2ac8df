"""`barlake --version`, and nothing else before a command."""

from __future__ import annotations

from typing import Annotated

import typer

from app.console import print_json, say

__all__ = ["front"]


def front(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version, and those of its libraries.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --version: print JSON.")] = False,
) -> None:
    """Minute bars in, features, models and honest simulations out; everything in one folder."""
    if version:
        from app.versions import installed_versions

        found = installed_versions()
        if as_json:
            print_json(found)
        else:
            _print(found)
        raise typer.Exit
    if as_json:
        raise typer.BadParameter("it stands after the command, or with --version.", param_hint="--json")
    if context.invoked_subcommand is None:
        say(context.get_help())
        raise typer.Exit(2)


def _print(found: dict[str, object]) -> None:
    say(f"barlake {found['barlake']} (Python {found['python']}, {found['platform']})")
    say(f"manifest schema {found['manifest_schema']}, operations database {found['operations_version']}")
    libraries = found["libraries"]
    assert isinstance(libraries, dict)  # noqa: S101 - as it is made
    say(", ".join(f"{name} {number}" for name, number in libraries.items()))
