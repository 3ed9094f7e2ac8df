"""What a feature is: a decorated function that makes a polars expression, and the name it goes by.

The functions live in one module per family (`trend.py`, `momentum.py`, ...); which of them make a
feature set, under which names and parameters, is written in `sets.py`.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, ParamSpec

import polars as pl

from barlake.errors import BarlakeError, InvalidInputError
from barlake.keys import Timeframe

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
        Bars of `timeframe` that must lie before a row for it to have a value; until then it is null, never
        computed from less.
    history_sessions
        Sessions that must lie before a row's own.
    expression
        Of columns that `FeatureInputs` and `known_columns.py` list; values of a row depend on it and on rows before it.
    timeframe
        Of the bars that the expression is computed over. A longer one than `1Min` counts its bars as they
        are complete: a row holds the value of the last one known at the minute.
    """

    name: str
    unit: str
    history_bars: int
    history_sessions: int
    expression: pl.Expr
    parameters: Mapping[str, Any]
    function: Callable[..., pl.Expr]
    timeframe: Timeframe = Timeframe.MINUTE

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns that the expression reads, sorted."""
        return tuple(sorted(set(self.expression.meta.root_names())))

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

    @property
    def source_hash(self) -> str:
        """SHA-256 of the function's own source text."""
        return hashlib.sha256(inspect.getsource(self.function).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Everything that tells one feature from another, as JSON can hold it."""
        return {
            "name": self.name,
            "family": self.family,
            "function": self.function.__name__,
            "parameters": dict(self.parameters),
            "unit": self.unit,
            "inputs": list(self.inputs),
            "timeframe": self.timeframe.value,
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

    def named(self, name: str, *, timeframe: str = Timeframe.MINUTE, **parameters: Any) -> Feature:
        """The function with these parameters as a column of that name.

        Parameters
        ----------
        timeframe
            Of the bars to compute it over: `1Min`, `5Min`, `15Min`, `1Hour` or `1Day`.
        parameters
            The function's own; what it has a default for may be left out.

        Raises
        ------
        InvalidInputError
            If the parameters are not the function's, or it raises, or makes no polars expression.
        """
        try:
            bound = inspect.signature(self.function).bind(**parameters)
            bound.apply_defaults()
            expression = self.function(*bound.args, **bound.kwargs)
            bars = self.history_bars if isinstance(self.history_bars, int) else self.history_bars(bound.arguments)
        except BarlakeError:
            raise
        except Exception as error:
            raise InvalidInputError(
                f"feature {name!r} cannot be made: {self.function.__name__} with {parameters} raises "
                f"{type(error).__name__}: {error}. Mend the function or its parameters."
            ) from error
        if not isinstance(expression, pl.Expr):
            raise InvalidInputError(
                f"feature {name!r} cannot be made: {self.function.__name__} gives a {type(expression).__name__}, and "
                "must give a polars expression."
            )
        return Feature(
            name=name,
            unit=self.unit,
            history_bars=bars,
            history_sessions=self.history_sessions,
            expression=expression.alias(name),
            parameters=dict(bound.arguments),
            function=self.function,
            timeframe=Timeframe.parse(timeframe),
        )


def feature(
    *, unit: str, history_bars: History = 0, history_sessions: int = 0
) -> Callable[[Callable[P, pl.Expr]], FeatureMaker[P]]:
    """Declare a function of keyword-only parameters as a maker of features.

    Parameters
    ----------
    unit
        Of the values.
    history_bars
        Bars that the first value needs before it; a function takes the maker's parameters by name.
    history_sessions
        Whole sessions that it needs before its own.
    """

    def declare(function: Callable[P, pl.Expr]) -> FeatureMaker[P]:
        return FeatureMaker(function, unit, history_bars, history_sessions, function.__doc__ or "")

    return declare
