"""What a strategy is: parameters, and one method from bars to the positions it wants.

The manners are scikit-learn's (https://scikit-learn.org/stable/developers/develop.html): `__init__` stores its
parameters untouched, they are checked where they are used, and `get_params`, `set_params` and `clone` work for
every class that keeps to that, also with a strategy inside a strategy (`strategy__fast_bars`).
"""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import polars as pl

from barlake.errors import InvalidInputError, did_you_mean

__all__ = ["NESTED", "Strategy", "parameters_of"]

NESTED = "__"
"""Between the name of a parameter that is a strategy and the name of that one's own parameter."""


class Strategy(ABC):
    """Base of all strategies, those of the house and your own.

    Notes
    -----
    `bars` holds symbol, session, timestamp, open, high, low, close and volume, sorted by timestamp, then symbol;
    where a model is given also `prediction` and `model_signal`, null where it predicted nothing.

    A strategy keeps nothing between two calls: the same bars give the same signals.
    """

    each_symbol: ClassVar[bool] = True
    """True: `signals` is called with the bars of one symbol at a time. False: with all symbols at once."""

    @abstractmethod
    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """Wanted position in every bar, aligned with the rows of `bars`; Float64, null holds what there is.

        Above 0 wants to be long, 0 or below to be flat, and below 0 short where a run allows shorts. In a portfolio
        the value is the wanted share of equity, which sizing scales.

        The value in the row of a bar may use what is known when that bar is complete, at timestamp + 1 minute,
        and nothing later: `barlake prove strategy` tries it.
        """

    def traded_symbols(self) -> tuple[str, ...] | None:
        """The symbols it wants positions in; None: whichever it is given."""
        return None

    def get_params(self, *, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; `deep` adds those of strategies inside, as `strategy__fast_bars`."""
        found: dict[str, Any] = {}
        for name in parameters_of(type(self)):
            value = getattr(self, name)
            found[name] = value
            if deep and isinstance(value, Strategy):
                found |= {f"{name}{NESTED}{inner}": held for inner, held in value.get_params().items()}
        return found

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters in place, also `strategy__fast_bars` of a strategy inside; returns itself.

        Raises
        ------
        InvalidInputError
            If there is no parameter of that name, or the one before `__` holds no strategy.
        """
        known = self.get_params(deep=False)
        nested: dict[str, dict[str, Any]] = {}
        for name, value in parameters.items():
            outer, separator, inner = name.partition(NESTED)
            if outer not in known:
                raise _unknown(self, name)
            if separator:
                nested.setdefault(outer, {})[inner] = value
            else:
                setattr(self, name, value)
        for outer, values in nested.items():
            held = getattr(self, outer)
            if not isinstance(held, Strategy):
                raise InvalidInputError(
                    f"parameter {outer!r} of {type(self).__name__} is {held!r}, which has no parameters of its own: "
                    "put a strategy there first."
                )
            held.set_params(**values)
        return self

    def clone(self) -> Self:
        """A new strategy with equal parameters; strategies inside are cloned too."""
        own = {
            name: value.clone() if isinstance(value, Strategy) else value
            for name, value in self.get_params(deep=False).items()
        }
        return type(self)(**own)

    def __repr__(self) -> str:
        """The call that makes it."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params(deep=False).items())
        return f"{type(self).__name__}({given})"


@functools.cache
def parameters_of(strategy: type[Strategy]) -> Mapping[str, inspect.Parameter]:
    """Parameters of a strategy's `__init__`, in their order.

    Raises
    ------
    InvalidInputError
        If it takes `*args` or `**kwargs`: a parameter must have a name.
    """
    found = dict(list(inspect.signature(strategy.__init__).parameters.items())[1:])
    if strategy.__init__ is object.__init__:
        return {}
    nameless = [one.name for one in found.values() if one.kind in {one.VAR_POSITIONAL, one.VAR_KEYWORD}]
    if nameless:
        raise InvalidInputError(
            f"{strategy.__name__}.__init__ takes {nameless[0]!r}, which names no parameter: list each one by its name."
        )
    return found


def _unknown(strategy: Strategy, name: str) -> InvalidInputError:
    known = list(strategy.get_params())
    return InvalidInputError(
        f"parameter {name!r} is none of {type(strategy).__name__}, which has "
        f"{', '.join(known) or 'none'}.{did_you_mean(name, known)}"
    )
