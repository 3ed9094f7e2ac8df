"""Feature sets of one's own: from a Python file, or from an installed package by its entry point.

Loading runs the code that is loaded.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from pathlib import Path

from barlake.errors import InvalidInputError, NotFoundError, did_you_mean
from barlake.own_files import cannot_run, load_file
from feature_service.feature_set import FeatureSet

__all__ = ["GROUP", "installed_names", "load_feature_set"]

GROUP = "barlake.feature_sets"
"""Entry points of this group name a module-level `FeatureSet` each."""

_FILE = re.compile(r"(?P<path>.+\.py)(?::(?P<name>.*))?")


def installed_names() -> list[str]:
    """Names of the sets that installed packages bring, sorted."""
    return sorted({entry.name for entry in importlib.metadata.entry_points(group=GROUP)})


def load_feature_set(name: str, ours: Mapping[str, FeatureSet]) -> FeatureSet:
    """The set that a file holds, `my_features.py` or `my_features.py:name`, or that an installed package brings.

    Parameters
    ----------
    ours
        The sets of the house: their names are taken.

    Raises
    ------
    NotFoundError
        If there is no such file, no such set in it, or no package brings one of that name.
    InvalidInputError
        If the code cannot be run, or what it holds is not one set with a name of its own.
    """
    file = _FILE.fullmatch(name)
    found = _from_file(Path(file["path"]), file["name"], ours) if file else _from_package(name, ours)
    if found.name in ours:
        raise InvalidInputError(f"{name} names its feature set {found.name!r}, which is a set of the house: rename it.")
    return found


def _from_package(name: str, ours: Mapping[str, FeatureSet]) -> FeatureSet:
    entry = next(iter(importlib.metadata.entry_points(group=GROUP, name=name)), None)
    if entry is None:
        known = [*ours, *installed_names()]
        raise NotFoundError(
            f"feature set {name!r} is not declared: use one of {', '.join(known)}, or a file such as "
            f"my_features.py.{did_you_mean(name, known)}"
        )
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:
        raise cannot_run(f"entry point {name!r} ({entry.value})", error) from error
    if not isinstance(found, FeatureSet) or found.name != name:
        what = f"set {found.name!r}" if isinstance(found, FeatureSet) else type(found).__name__
        raise InvalidInputError(
            f"entry point {name!r} of {GROUP} gives a {what}: let it name a FeatureSet that is called {name!r}."
        )
    return found


def _from_file(path: Path, wanted: str | None, ours: Mapping[str, FeatureSet]) -> FeatureSet:
    module = load_file(path, package="feature_file")
    borrowed = set(map(id, ours.values()))
    held = [one for one in vars(module).values() if isinstance(one, FeatureSet) and id(one) not in borrowed]
    sets = {one.name: one for one in held}
    names = ", ".join(sets)
    if wanted is not None:
        if wanted not in sets:
            raise NotFoundError(f"{path} holds no feature set {wanted!r}, but {names or 'none at all'}.")
        return sets[wanted]
    if len(sets) != 1:
        way = f"name one, as in {path}:{next(iter(sets))}" if sets else "let it hold one, NAME = FeatureSet(...)"
        raise InvalidInputError(f"{path} holds {names or 'no'} feature sets at module level: {way}.")
    return next(iter(sets.values()))
