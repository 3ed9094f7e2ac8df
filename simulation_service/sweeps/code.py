"""The code that decides a sweep's figures and page, as one hash."""

from __future__ import annotations

import functools
import hashlib
import importlib

from barlake.artifacts import code_hash
from simulation_service.code import simulation_code
from simulation_service.sweeps.page import page_text

__all__ = ["sweep_code"]

_MODULES = ("grid", "heat", "page", "sweep", "tally", "trying", "values")


@functools.cache
def sweep_code() -> str:
    """SHA-256 over the code of a single run, the modules of this package, and the page's template."""
    modules = code_hash(*(importlib.import_module(f"{__package__}.{name}") for name in _MODULES))
    return hashlib.sha256(f"{simulation_code()}\0{modules}\0{page_text()}".encode()).hexdigest()
