"""Grids of parameters: what texts such as `fast_bars=5:50:5` mean, and every set that they make together."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from barlake.errors import InvalidInputError

__all__ = ["MOST_SETS", "Axis", "Grid", "Value", "Values"]

Value = bool | int | float | str | None
Values = dict[str, Value]
"""One set of parameters: a value for each axis, by its name."""

MOST_SETS = 100_000
"""The most sets of one sweep: beyond, nobody reads the table and the ledger only grows."""

_WORDS: dict[str, Value] = {"true": True, "false": False, "none": None}
_HOW = "write name=5:50:5 (from, to, step; the end is in it), name=5,10,20 or name=5"


@dataclass(frozen=True)
class Axis:
    """One parameter and the values it takes, in the order given.

    Raises
    ------
    InvalidInputError
        If there is no value, or one comes twice.
    """

    name: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise InvalidInputError(f"{self.name} has no value to try: {_HOW}.")
        # True and 1 are equal in Python, and two different values here.
        twice = [value for value, other in itertools.combinations(map(repr, self.values), 2) if value == other]
        if twice:
            raise InvalidInputError(f"{self.name} is to be {twice[0]} more than once: give each value once.")

    @classmethod
    def parse(cls, text: str) -> Axis:
        """Axis as a command line gives it.

        Examples
        --------
        >>> Axis.parse("stop_loss=none,0.01").values, Axis.parse("share=0.1:0.3:0.1").values
        ((None, 0.01), (0.1, 0.2, 0.3))
        """
        name, sign, values = (part.strip() for part in text.partition("="))
        if not name or not sign or not values:
            raise InvalidInputError(f"set {text!r} is not understood: {_HOW}.")
        if values.count(":") == 2 and "," not in values:  # noqa: PLR2004 - from, to, step
            return cls(name, tuple(_steps(text, *values.split(":"))))
        return cls(name, tuple(_value(part.strip()) for part in values.split(",")))


@dataclass(frozen=True)
class Grid:
    """Every combination of the values of its axes.

    Raises
    ------
    InvalidInputError
        If an axis comes twice, or there are fewer than two sets to choose from.
    """

    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidInputError(f"{twice[0]} is set twice: give all its values at once, such as {twice[0]}=1,2.")
        if self.count < 2:  # noqa: PLR2004 - two to choose from
            raise InvalidInputError(
                f"a sweep of {self.count} set has nothing to choose from: give a parameter several values ({_HOW}), "
                "or simulate the one."
            )

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Grid:
        """Grid of axes as a command line gives them; errors as in `Axis.parse` too."""
        return cls(tuple(Axis.parse(text) for text in texts))

    @property
    def count(self) -> int:
        """How many sets there are."""
        return math.prod(len(axis.values) for axis in self.axes)

    @property
    def swept(self) -> tuple[Axis, ...]:
        """The axes with more than one value."""
        return tuple(axis for axis in self.axes if len(axis.values) > 1)

    def sets(self, *, at_most: int | None = None, seed: int = 0) -> list[Values]:
        """Sets in the order of the grid, its last axis fastest.

        Parameters
        ----------
        at_most
            Draw so many of them, each as likely as any other, where there are more. None: all.
        seed
            Of that draw.

        Raises
        ------
        InvalidInputError
            If `at_most` is below 2, or the sets are more than `MOST_SETS`.
        """
        if at_most is not None and at_most < 2:  # noqa: PLR2004 - two to choose from
            raise InvalidInputError(f"at_most {at_most} leaves nothing to choose from: give 2 or more.")
        wanted = self.count if at_most is None else min(self.count, at_most)
        if wanted > MOST_SETS:
            raise InvalidInputError(
                f"{wanted:,} sets are more than {MOST_SETS:,}: use longer steps, or draw some of them with at_most."
            )
        if wanted == self.count:
            return list(self._all())
        drawn = sorted(random.Random(seed).sample(range(self.count), wanted))  # noqa: S311 - no secret is drawn
        return [self._at(number) for number in drawn]

    def as_dict(self) -> dict[str, list[Value]]:
        """Give the values of each axis by its name."""
        return {axis.name: list(axis.values) for axis in self.axes}

    def _all(self) -> Iterator[Values]:
        names = [axis.name for axis in self.axes]
        for values in itertools.product(*(axis.values for axis in self.axes)):
            yield dict(zip(names, values, strict=True))

    def _at(self, number: int) -> Values:
        """Set of that number, counted as `sets` orders them."""
        found: Values = {}
        for axis in reversed(self.axes):
            number, place = divmod(number, len(axis.values))
            found[axis.name] = axis.values[place]
        return {axis.name: found[axis.name] for axis in self.axes}


def _value(text: str) -> Value:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return _number(number, text) if number.is_finite() else text


def _number(number: Decimal, text: str) -> int | float:
    """A whole number as it was written: 5 is an int, 5.0 is not."""
    return int(number) if number == number.to_integral_value() and text.lstrip("+-").isdigit() else float(number)


def _steps(text: str, first: str, last: str, step: str) -> Iterator[Value]:
    """Numbers from the first to the last, both in it; decimals, because steps of 0.1 do not add up in floats."""
    try:
        begin, end, by = (Decimal(part) for part in (first, last, step))
    except InvalidOperation:
        raise InvalidInputError(f"set {text!r} is not understood: {_HOW}.") from None
    if not all(part.is_finite() for part in (begin, end, by)) or by <= 0 or end < begin:
        raise InvalidInputError(f"set {text!r} does not rise from its first value to its last: {_HOW}.")
    count = int((end - begin) / by) + 1
    if count > MOST_SETS:
        raise InvalidInputError(f"set {text!r} has {count:,} values, more than {MOST_SETS:,}: use a longer step.")
    whole = all("." not in part and "e" not in part.lower() for part in (first, last, step))
    for number in range(count):
        value: Any = begin + number * by
        yield int(value) if whole else float(value)
