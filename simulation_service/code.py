"""The code that decides a run's figures and pages, as one hash: a change in any of it makes another run."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.resources
from collections.abc import Iterator
from importlib.resources.abc import Traversable

from simulation_service import tear_sheet

__all__ = ["simulation_code"]

_START = "simulate"
_INSIDE = f"{__package__}."
_ELSEWHERE = frozenset({"strategies.catalogue", "strategies.records", "tear_sheet"})
"""They have hashes of their own, or decide no figure: a change in one strategy makes no other run of the rest."""


@functools.cache
def simulation_code() -> str:
    """SHA-256 over the source of each module that a simulation imports from here, and over what shapes the page."""
    digest = hashlib.sha256()
    for name, text in sorted(_reached().items()):
        digest.update(f"{name}\0{text}\0".encode())
    digest.update(tear_sheet.code().encode())
    return digest.hexdigest()


def _reached() -> dict[str, str]:
    """Name and source text of every module below `simulate` in the order of imports."""
    found: dict[str, str] = {}
    waiting = [_START]
    while waiting:
        name = waiting.pop()
        if name in found or _is_elsewhere(name) or (text := _source(name)) is None:
            continue
        found[name] = text
        waiting += _imported(text)
    return found


def _imported(text: str) -> Iterator[str]:
    """What a module imports of this package, wherever in it: names of modules, and of what may be one."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        else:
            continue
        yield from (name.removeprefix(_INSIDE) for name in names if name.startswith(_INSIDE))


def _is_elsewhere(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in _ELSEWHERE)


def _source(name: str) -> str | None:
    """Source text of a module of this package; None where the name is no module."""
    place: Traversable = importlib.resources.files(__package__)
    for part in name.split("."):
        place = place / part
    for file in (place.with_suffix(".py"), place / "__init__.py"):  # type: ignore[attr-defined]
        if file.is_file():
            return str(file.read_text(encoding="utf-8"))
    return None
