"""Keys of the service."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

from app.commands.options import AsJson, Root
from app.console import notice, print_frame, print_json, say

if TYPE_CHECKING:
    from app.operations.api_keys import ApiKey, ApiKeys

__all__ = ["application"]

application = typer.Typer(help="Keys of the service: who may ask it from elsewhere.", no_args_is_help=True)

_COLUMNS = ("name", "key_id", "role", "requests_per_minute", "created_at", "expires_at", "revoked_at")


@contextlib.contextmanager
def _opened(root: str | None) -> Iterator[ApiKeys]:
    from app.operations import open_operations
    from barlake.settings import load_settings

    with open_operations(load_settings(root)) as operations:
        yield operations.api_keys


@application.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, such as grafana.", show_default=False)],
    role: Annotated[str, typer.Option("--role", help="reader, who asks, or operator, who also changes.")] = "reader",
    requests_per_minute: Annotated[
        int | None,
        typer.Option("--requests-per-minute", min=1, help="Default: BARLAKE_API_REQUESTS_PER_MINUTE, or 600."),
    ] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, max=36_500, help="It ends after so many days.")] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, once: the lake keeps its hash alone."""
    expires_at = None if days is None else dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    with _opened(root) as keys:
        key, text = keys.create(name, role, requests_per_minute=requests_per_minute, expires_at=expires_at)
    if as_json:
        print_json({**_facts(key), "key": text})
    else:
        notice(f"key of {key.name}, {key.role}: keep it now, it is not shown again")
        say(text)


@application.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Also those that are revoked.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Print who has a key, oldest first; the keys themselves are nowhere to be read."""
    with _opened(root) as keys:
        found = [one for one in keys.all() if every or one.revoked_at is None]
    rows = [_facts(one) for one in found]
    if as_json:
        print_json(rows)
    elif rows:
        instants = dict.fromkeys(("created_at", "expires_at", "revoked_at"), pl.Datetime("us", "UTC"))
        print_frame(pl.DataFrame(rows, schema_overrides={**instants, "requests_per_minute": pl.Int64()}))
    else:
        say("no key was made yet: `barlake keys create NAME` makes one")


@application.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="Of the key, or its id.", show_default=False)],
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """End a key: a second later it opens nothing."""
    with _opened(root) as keys:
        key = keys.revoke(name)
    if as_json:
        print_json({"name": key.name, "key_id": key.key_id, "revoked": True})
    else:
        say(f"the key of {key.name} opens nothing any more")


def _facts(key: ApiKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in _COLUMNS} | {"role": str(key.role)}
