"""The page `docs/cli.md`, written from the command line's own help; run `make docs` to write it anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

__all__ = ["cli_page"]

PAGE_WIDTH = 100
_HEAD = """# The command line

Written from `--help` by `make docs`: a test fails when the two differ.
"""


def cli_page(application: typer.Typer, *, name: str) -> str:
    """Markdown page with the help of an application and of every command below it, in the order of its help.

    The text is plain and 100 characters wide, whatever terminal it is made in. Hidden commands are left out.

    Parameters
    ----------
    name
        What a user types to start the application.
    """
    sections = [f"## {title}\n\n```text\n{text}\n```\n" for title, text in _helps(get_command(application), name, None)]
    return "\n".join([_HEAD, *sections])


def _helps(command: object, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    assert isinstance(command, TyperCommand | TyperGroup)  # noqa: S101 - all that Typer makes
    command.rich_markup_mode = None
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=PAGE_WIDTH, max_content_width=PAGE_WIDTH
    )
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield context.command_path, text
    if isinstance(command, TyperGroup):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                yield from _helps(found, child, context)


if __name__ == "__main__":
    from app.cli import application

    sys.stdout.write(cli_page(application, name="barlake"))
