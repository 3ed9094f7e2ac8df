"""What a strategy is, as plain values: its name, its parameters and the code that decides its signals."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from barlake.own_files import source_text
from barlake.strategy_records import strategy_id
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.loading import FILE_PACKAGE

__all__ = ["class_name", "definition", "definition_hash", "plain_parameters", "sources_of", "strategies_in"]


def definition(strategy: Strategy) -> dict[str, Any]:
    """Everything that decides a strategy's signals, as JSON can hold it.

    Returns
    -------
    `class` (module and name), `parameters` (also those of strategies inside, which are named by their class) and
    `code` (SHA-256 over the texts of `sources_of`).
    """
    return {
        "class": class_name(type(strategy)),
        "parameters": plain_parameters(strategy),
        "code": _code_hash(sources_of(strategy)),
    }


def definition_hash(strategy: Strategy) -> str:
    """Sixteen hex digits that name a definition: equal for equal parameters and equal code."""
    return strategy_id(definition(strategy))


def plain_parameters(strategy: Strategy) -> dict[str, Any]:
    """Parameters with those of strategies inside as `inside__name`, each strategy by the name of its class."""
    return {
        name: class_name(type(value)) if isinstance(value, Strategy) else value
        for name, value in strategy.get_params().items()
    }


def class_name(strategy: type[Strategy]) -> str:
    """Module and name of a class; of a file its name without the folder, which says nothing of what it does."""
    package, _, stem = strategy.__module__.partition(".")
    place = f"{stem}.py" if package.startswith(f"{FILE_PACKAGE}_") else strategy.__module__
    return f"{place}:{strategy.__qualname__}"


def sources_of(strategy: Strategy) -> dict[str, str]:
    """Texts of the modules that hold a strategy's class, the classes above it and the strategies inside, by name.

    A module that one of them takes something from counts too where it lies in the same folder.
    Libraries do not count.
    """
    found: dict[str, str] = {}
    for one in strategies_in(strategy):
        for above in type(one).__mro__:
            if issubclass(above, Strategy):
                _collect(sys.modules[above.__module__], found)
    return {name: found[name] for name in sorted(found)}


def strategies_in(strategy: Strategy) -> Iterator[Strategy]:
    """The strategy and those inside it."""
    yield strategy
    yield from (value for value in strategy.get_params().values() if isinstance(value, Strategy))


def _code_hash(sources: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for name, text in sources.items():
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()


def _collect(module: ModuleType, found: dict[str, str]) -> None:
    """Add a module's text, and that of the modules beside it which it takes something from."""
    name = module.__name__.partition(".")[2] if module.__name__.startswith(f"{FILE_PACKAGE}_") else module.__name__
    if name in found:
        return
    found[name] = source_text(module)
    folder = _folder(module)
    for held in vars(module).values():
        other = held if inspect.ismodule(held) else sys.modules.get(getattr(held, "__module__", None) or "")
        if other is not None and folder is not None and _folder(other) == folder:
            _collect(other, found)


def _folder(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return None if file is None else Path(file).resolve().parent
