"""The code that decides a run's figures and pages, as one hash: a change in any of it makes another run."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import re
from importlib.resources.abc import Traversable

from simulation_service import tear_sheet

__all__ = ["reached_modules", "simulation_code"]

_START = "simulate"
_ELSEWHERE = frozenset({"strategies.catalogue", "strategies.records", "tear_sheet"})
"""They have hashes of their own, or decide no figure: a change in one strategy makes no other run of the rest."""

_IMPORT = re.compile(rf"^\s*from {__package__}(?:\.([\w.]+))? import (\([^)]*\)|[^\n]+)", re.MULTILINE)


@functools.cache
def simulation_code() -> str:
    """SHA-256 over the source of `reached_modules`, and over all that shapes the tear sheet."""
    digest = hashlib.sha256()
    for name, text in sorted(_reached().items()):
        digest.update(f"{name}\0{text}\0".encode())
    digest.update(tear_sheet.code().encode())
    return digest.hexdigest()


def reached_modules() -> list[str]:
    """Modules of this package that a simulation imports, directly or through others, by name."""
    return sorted(_reached())


def _reached() -> dict[str, str]:
    """Name and source text of every module below `simulate` in the order of imports."""
    found: dict[str, str] = {}
    waiting = [_START]
    while waiting:
        name = waiting.pop()
        if name in found or _is_elsewhere(name) or (text := _source(name)) is None:
            continue
        found[name] = text
        for module, names in _IMPORT.findall(text):
            waiting += [module] if module else []
            waiting += [f"{module}.{one}".lstrip(".") for one in re.findall(r"\w+", names)]
    return found


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
