"""Which feature tables are not what today's bars, hours, records and code would give."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from barlake import Lake
from barlake.artifacts import canonical_json
from barlake.errors import NotFoundError
from barlake.keys import parse_symbol
from feature_service.build import builder_of
from feature_service.sources import Target
from feature_service.symbol_build import SymbolBuilder

__all__ = ["StaleTable", "stale_tables"]

_CHANGED = {
    "content_hash": "its bars have changed",
    "context": "the bars of its context symbol have changed",
    "macro_hash": "macro values have changed",
    "news_hash": "its news have changed",
    "actions_hash": "its corporate actions have changed",
    "calendar_hash": "the hours of its sessions have changed",
}
"""What to say, by the first of these inputs that differs."""


@dataclass(frozen=True)
class StaleTable:
    """A table to be built: the version it will have, and the hash of what it will be made from."""

    set_name: str
    symbol: str
    feed: str
    version: str
    inputs_hash: str
    why: str


def stale_tables(lake: Lake, sets: Iterable[str], symbols: Iterable[str], *, feed: str) -> list[StaleTable]:
    """Tables of these sets and symbols that are missing or were made from something else; nothing is built.

    Only manifests and records are read, no bars. A symbol of which the feed holds no regular bar has no table
    and needs none.

    A table whose context symbol is not held is stale, too: building it says what is missing.

    Raises
    ------
    NotFoundError
        If there is no such set.
    """
    builders = {name: builder_of(lake, set_name=name) for name in sets}
    found = []
    for symbol in dict.fromkeys(map(parse_symbol, symbols)) if builders else ():
        if lake.manifest.held(feed=feed, symbol=symbol)["regular_rows"].sum():
            tables = (_look(builder, name, Target(feed, symbol)) for name, builder in builders.items())
            found += [one for one in tables if one is not None]
    return found


def _look(builder: SymbolBuilder, set_name: str, target: Target) -> StaleTable | None:
    """The table of one symbol, if it is to be built."""
    try:
        inputs = builder.inputs_now(target)
    except NotFoundError:
        inputs, why = {}, f"its context symbol {builder.feature_set.context} is not held"
    else:
        if builder.is_current(target, inputs):
            return None
        why = _why(builder, target, inputs)
    hashed = hashlib.sha256(canonical_json(inputs).encode()).hexdigest()
    return StaleTable(set_name, target.symbol, target.feed, builder.key(target.feed).version, hashed, why)


def _why(builder: SymbolBuilder, target: Target, inputs: Mapping[str, Any]) -> str:
    entry = builder.tables.entry(builder.key(target.feed), target.symbol)
    if entry is None:
        return "never built"
    before = entry["inputs"]
    changed = (said for name, said in _CHANGED.items() if before.get(name) != inputs.get(name))
    return next(changed, "a file of it is missing")
