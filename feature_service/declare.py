"""What a feature is: a decorated function that makes a polars expression, and the name it goes by.

The functions live in one module per family (`trend.py`, `momentum.py`, ...); which of them make a
feature set, under which names and parameters, is written in `sets.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, ParamSpec

import polars as pl

__all__ = ["Feature", "FeatureMaker", "feature"]

P = ParamSpec("P")
History = int | Callable[[Mapping[str, Any]], int]


@dataclass(frozen=True)
class Feature:
    """One column of a feature set.

    Parameters
    ----------
    unit
        Of the values, such as `dollars` or `fraction`.
    history_bars
        Bars that must lie before a row for it to have a value; that many rows at the start of the
        history are null, never computed from less.
    history_sessions
        Sessions that must lie before a row's own.
    expression
        Of the columns that `compute.py` lists; values of a row depend on it and on rows before it.
    """

    name: str
    unit: str
    history_bars: int
    history_sessions: int
    expression: pl.Expr
    parameters: Mapping[str, Any]
    function: Callable[..., pl.Expr]

    @property
    def family(self) -> str:
        """Name of the module that holds the function: `trend`, `momentum`, ..."""
        return self.function.__module__.rpartition(".")[2]

    @property
    def module(self) -> ModuleType:
        """The module that holds the function; its source is part of a feature set's version."""
        found = inspect.getmodule(self.function)
        assert found is not None  # noqa: S101 - a decorated function stands in a module
        return found

    @property
    def description(self) -> str:
        """The function's docstring, without indentation: what it is, formula, source."""
        return inspect.getdoc(self.function) or ""

    def as_dict(self) -> dict[str, Any]:
        """Everything that tells one feature from another, as JSON can hold it."""
        return {
            "name": self.name,
            "family": self.family,
            "function": self.function.__name__,
            "parameters": dict(self.parameters),
            "unit": self.unit,
            "history_bars": self.history_bars,
            "history_sessions": self.history_sessions,
        }


@dataclass(frozen=True)
class FeatureMaker(Generic[P]):
    """A decorated function: called, it makes the expression; `named` makes a column of a set from it."""

    function: Callable[P, pl.Expr]
    unit: str
    history_bars: History
    history_sessions: int = 0
    __doc__: str = field(default="", repr=False)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> pl.Expr:
        """The expression, unnamed."""
        return self.function(*args, **kwargs)

    def named(self, name: str, *args: P.args, **kwargs: P.kwargs) -> Feature:
        """The function with these parameters as a column of that name."""
        return Feature(
            name=name,
            unit=self.unit,
            history_bars=self.history_bars if isinstance(self.history_bars, int) else self.history_bars(kwargs),
            history_sessions=self.history_sessions,
            expression=self.function(*args, **kwargs).alias(name),
            parameters=kwargs,
            function=self.function,
        )


def feature(
    *, unit: str, history_bars: History, history_sessions: int = 0
) -> Callable[[Callable[P, pl.Expr]], FeatureMaker[P]]:
    """Declare a function of keyword-only parameters as a maker of features.

    Parameters
    ----------
    history_bars
        Bars that the first value needs before it; a function takes the maker's parameters by name.
    """

    def declare(function: Callable[P, pl.Expr]) -> FeatureMaker[P]:
        return FeatureMaker(function, unit, history_bars, history_sessions, function.__doc__ or "")

    return declare
