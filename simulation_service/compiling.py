"""Loops as machine code: compiled once per machine where a folder for it can be written, else once per process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["compiled"]


def compiled(function: Callable[..., Any]) -> Any:
    """The function as numba compiles it at its first call; it lets other threads run meanwhile."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba: "no locator available", an installation nobody may write to
        return numba.njit(nogil=True)(function)
