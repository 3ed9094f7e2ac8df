"""An array of a frozen dataclass that is worked out when somebody first looks at it, and kept from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulation_service.ticks import FloatArray

__all__ = ["Late"]


class Late:
    """A field that takes an array, or a function that makes it.

    Notes
    -----
    A descriptor-typed field, https://docs.python.org/3/library/dataclasses.html#descriptor-typed-fields.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        """Remember the field's name."""
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> FloatArray:
        """The array; of the class itself there is none, so that the field has no default."""
        if instance is None:
            raise AttributeError(self._name)
        held = vars(instance)[self._name]
        if callable(held):
            held = vars(instance)[self._name] = held()
        array: FloatArray = held
        return array

    def __set__(self, instance: Any, value: FloatArray | Callable[[], FloatArray]) -> None:
        """Keep the array, or what will make it."""
        vars(instance)[self._name] = value
