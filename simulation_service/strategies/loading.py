"""Strategy classes of one's own: from a Python file, or from a module by its import path.

Loading runs the code that is loaded.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

from barlake.errors import InvalidInputError, NotFoundError, did_you_mean
from barlake.own_files import cannot_run, load_file
from simulation_service.strategies.base import Strategy

__all__ = ["FILE_PACKAGE", "is_own", "load_strategy"]

FILE_PACKAGE = "strategy_file"
"""First part of the names of modules that were loaded from files."""

_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<name>.*))?")


def is_own(name: str) -> bool:
    """Whether a name means a class of one's own rather than a strategy of the house.

    Examples
    --------
    >>> is_own("my_module.py"), is_own("package.module:Class"), is_own("threshold")
    (True, True, False)
    """
    return ":" in name or name.endswith(".py")


def load_strategy(name: str) -> type[Strategy]:
    """The class that `my_module.py:MyStrategy`, `my_module.py` (if it holds one) or `package.module:Class` names.

    Raises
    ------
    NotFoundError
        If there is no such file, module or class.
    InvalidInputError
        If the code cannot be run, or what it holds is no `Strategy`.
    """
    file = _FILE.fullmatch(name)
    if file:
        module, wanted = load_file(Path(file["path"]), package=FILE_PACKAGE), file["name"]
    else:
        place, _, wanted = name.rpartition(":")
        module = _imported(place)
    held = _strategies_of(module)
    if wanted is not None:
        return _named(module, wanted, name, held)
    if len(held) != 1:
        way = f"name one, as in {name}:{next(iter(held))}" if held else "let it hold a class MyStrategy(Strategy)"
        raise InvalidInputError(f"{name} holds {', '.join(held) or 'no'} strategies of its own: {way}.")
    return next(iter(held.values()))


def _imported(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise NotFoundError(
            f"module {place!r} cannot be found ({error}): install it, or name its file as in my_module.py:MyStrategy."
        ) from error
    except (Exception, SystemExit) as error:
        raise cannot_run(place, error) from error


def _strategies_of(module: ModuleType) -> dict[str, type[Strategy]]:
    """Strategy classes that a module defines; those it only imports are not its own."""
    return {
        name: held
        for name, held in vars(module).items()
        if inspect.isclass(held)
        and issubclass(held, Strategy)
        and held.__module__ == module.__name__
        and not inspect.isabstract(held)
    }


def _named(module: ModuleType, wanted: str, name: str, held: dict[str, type[Strategy]]) -> type[Strategy]:
    found = getattr(module, wanted, None)
    if found is None:
        others = ", ".join(held) or "no strategy at all"
        raise NotFoundError(f"{name}: there is no {wanted!r}, but {others}.{did_you_mean(wanted, held)}")
    if not (inspect.isclass(found) and issubclass(found, Strategy)):
        raise InvalidInputError(f"{name} is no strategy: let it be a class that inherits from Strategy.")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise InvalidInputError(f"{name} has no {missing} of its own: define signals(self, bars).")
    return found
