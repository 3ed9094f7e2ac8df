"""A named, versioned group of features, and what its version is the hash of."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from barlake.artifacts import artifact_id, code_hash
from barlake.errors import InvalidInputError
from barlake.keys import Adjustment, FeatureSetKey, SessionFilter, parse_feed, parse_symbol
from feature_service import compute, declare, evaluate, inputs, known_columns, longer_bars
from feature_service.declare import Feature
from feature_service.known_columns import CONTEXT, NEWS, macro_series

__all__ = ["FeatureSet"]

_SET_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_COLUMN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_EVERY_VALUE_PASSES = (compute, declare, evaluate, inputs, known_columns, longer_bars)


@dataclass(frozen=True)
class FeatureSet:
    """A named group of features, in the order of their columns.

    Parameters
    ----------
    name
        Of the set: what a build is asked for, and the folder of its tables.
    features
        In the order of their columns.
    version
        A number that its author raises at will. Parameters and code are part of a build's version anyhow.
    context
        Symbol whose bars the `context_*` columns are; None when no feature reads them, or they shall be null.

    Raises
    ------
    InvalidInputError
        If there is no feature, a name is none for a folder or a column, or two columns would have the same
        one, the bars' own among them.
    """

    name: str
    features: tuple[Feature, ...]
    version: int = 1
    context: str | None = None

    def __post_init__(self) -> None:
        if not _SET_NAME.fullmatch(self.name):
            raise InvalidInputError(
                f"feature set {self.name!r} has no name for a folder and a view: use up to 32 of a to z, 0 to 9 and _, "
                "a letter first."
            )
        if not self.features:
            raise InvalidInputError(f"feature set {self.name!r} has no features: give at least one.")
        taken = set(compute.BAR_COLUMNS)
        for one in self.features:
            if not _COLUMN_NAME.fullmatch(one.name):
                raise InvalidInputError(f"feature {one.name!r} has no name for a column: use letters, 0 to 9 and _.")
            if one.name in taken:
                raise InvalidInputError(
                    f"feature set {self.name!r} names {one.name!r} twice, or like a column of the bars: rename it."
                )
            taken.add(one.name)
        if self.context is not None:
            object.__setattr__(self, "context", parse_symbol(self.context))

    def with_context(self, symbol: str | None) -> FeatureSet:
        """The same set beside another context symbol: another version."""
        return dataclasses.replace(self, context=symbol)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all columns that its features read, sorted."""
        return tuple(sorted({name for one in self.features for name in one.inputs}))

    @property
    def needs_context(self) -> bool:
        """Whether a feature reads the bars of the context symbol."""
        return any(name.startswith(CONTEXT) for name in self.inputs)

    @property
    def macro_series(self) -> tuple[str, ...]:
        """Names of the macro series that its features read, sorted."""
        return tuple(macro_series(self.inputs))

    @property
    def needs_macro(self) -> bool:
        """Whether a feature reads a macro series."""
        return bool(self.macro_series)

    @property
    def needs_news(self) -> bool:
        """Whether a feature reads the articles about the symbol."""
        return any(name.startswith(NEWS) for name in self.inputs)

    @property
    def code(self) -> str:
        """SHA-256 over the source of every module that takes part in a value of this set."""
        return code_hash(*_with_imported([*(one.module for one in self.features), *_EVERY_VALUE_PASSES]))

    def parameters(
        self, *, feed: str, session: SessionFilter, adjustment: Adjustment | str = Adjustment.RAW
    ) -> dict[str, Any]:
        """What tells this build of the set from another, besides code and inputs."""
        return {
            "declared_version": self.version,
            "feed": parse_feed(feed),
            "session": session.value,
            "adjustment": Adjustment(adjustment).value,
            "context": self.context if self.needs_context else None,
            "dtype": "float32",
            "features": [one.as_dict() for one in self.features],
        }

    def key(self, *, feed: str, session: SessionFilter, adjustment: Adjustment | str = Adjustment.RAW) -> FeatureSetKey:
        """Name and version of the set over one feed's bars of these hours, with prices so adjusted."""
        parameters = {"set": self.name, **self.parameters(feed=feed, session=session, adjustment=adjustment)}
        return FeatureSetKey(self.name, artifact_id(parameters=parameters, inputs={}, code=self.code))

    def definition(
        self, *, feed: str, session: SessionFilter, adjustment: Adjustment | str = Adjustment.RAW
    ) -> dict[str, Any]:
        """The set as a manifest states it: parameters, columns with unit, formula and source, code hash."""
        described = [
            {
                **one.as_dict(),
                "description": one.description,
                "source": f"{one.function.__module__}.{one.function.__qualname__}",
                "source_hash": one.source_hash,
            }
            for one in self.features
        ]
        parameters = self.parameters(feed=feed, session=session, adjustment=adjustment)
        return {**parameters, "features": described, "code": self.code}


def _with_imported(modules: Iterable[ModuleType]) -> list[ModuleType]:
    """Modules and what they import from beside them or from here, and so on: a family may build on another one."""
    found: dict[str, ModuleType] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if found.setdefault(module.__name__, module) is module:
            waiting += [other for other in _imported(module) if other.__name__ not in found]
    return list(found.values())


def _imported(module: ModuleType) -> list[ModuleType]:
    """Modules that a module's source imports and that lie in its own folder, or in this one."""
    folders = {_folder(module), Path(__file__).resolve().parent}
    names = _names_imported(inspect.getsource(module), module.__package__ or "")
    loaded = [sys.modules[name] for name in names if name in sys.modules]
    return [one for one in loaded if _folder(one) in folders]


@functools.lru_cache(maxsize=256)
def _names_imported(source: str, package: str) -> tuple[str, ...]:
    """What a source in a package may mean by its imports, once each; kept, for every key of a set asks again."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(dict.fromkeys(names))


def _folder(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return _folder_of(file) if file else None


@functools.lru_cache(maxsize=1024)
def _folder_of(file: str) -> Path:
    return Path(file).resolve().parent


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    folders = package.split(".")
    parts = folders[: len(folders) - node.level + 1]
    return ".".join([*parts, *filter(None, [node.module])])
