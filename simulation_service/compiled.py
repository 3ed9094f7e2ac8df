"""Compilation of number loops, kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["compiled"]


def compiled(function: Callable[..., Any]) -> Any:
    """The function compiled, once per machine where a cache folder can be written, else once per process.

    A loop and the compiled functions it calls belong into one file: the cache on disk knows only that file to have
    changed.
    """
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba: "no locator available", an installation nobody may write to
        return numba.njit(nogil=True, error_model="numpy")(function)
