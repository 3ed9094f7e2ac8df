"""Compilation of number loops, kept on disk where that is possible, and never beyond the sources it was made of.

numba takes a compiled loop from disk as long as the loop's own file is as it was. But helpers, constants and named
tuples of other files are frozen into it too; a changed fee would go on being the old one. So here everything that is
kept carries a hash of all sources of this package in its name, and what carries another one is removed.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile

__all__ = ["compiled", "inlined"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function compiled, once per machine where a cache folder can be written, else once per process.

    It may call and read whatever lies in its own file or in this package.
    """
    loop: Any = numba.njit(nogil=True, error_model="numpy")(function)
    try:
        loop._cache = _Cache(function)  # noqa: SLF001 - what `cache=True` does, with a cache that knows more sources
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        # An installation nobody may write to: nothing is kept.
    return cast("Function", loop)


def inlined(function: Function) -> Function:
    """The function as a part of each compiled loop that calls it.

    For those that are handed arrays: numba counts references to every array that goes through a call.
    """
    return cast("Function", numba.njit(inline="always", error_model="numpy")(function))


class _Cache(FunctionCache):
    """numba's cache of one function, in files named by the sources of the whole package.

    A name of its own rather than a new stamp in the old file: numba writes index and code one after the other, so
    a process that ends in between would leave the new stamp with the old code.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._name_of_function = f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}-"
        self._stamp = f"{_package_stamp()}-{self._impl.locator.get_source_stamp().hex()[:16]}"
        self._cache_file = IndexDataCacheFile(  # type: ignore[no-untyped-call]
            cache_path=self.cache_path,
            filename_base=f"{self._name_of_function}{self._stamp}.{self._impl.filename_base.rpartition('.')[2]}",
            source_stamp=self._stamp,
        )

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, and nothing of it from other sources."""
        for path in Path(self.cache_path).glob(f"{self._name_of_function}*.nb[ic]"):
            if self._stamp not in path.name:
                path.unlink(missing_ok=True)
        super().save_overload(sig, data)  # type: ignore[no-untyped-call]


@functools.cache
def _package_stamp() -> str:
    """Hash of every source file of this package, and of the versions that machine code depends on."""
    folder = Path(__file__).parent
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
