"""Compilation of number loops, kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled", "inlined"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function compiled, once per machine where a cache folder can be written, else once per process.

    A loop and the compiled functions it calls belong into one file: the cache on disk knows only that file to have
    changed.
    """
    try:
        return cast("Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # numba: "no locator available", an installation nobody may write to
        return cast("Function", numba.njit(nogil=True, error_model="numpy")(function))


def inlined(function: Function) -> Function:
    """The function as a part of each compiled loop that calls it.

    For those that are handed arrays: numba counts references to every array that goes through a call.
    """
    return cast("Function", numba.njit(inline="always", error_model="numpy")(function))
