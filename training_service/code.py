"""The code that decides a model's numbers, as one hash: a change in one of these modules makes another model."""

from __future__ import annotations

import importlib

from barlake.artifacts import code_hash

__all__ = ["training_code"]

_MODULES = (
    "baselines", "bootstrap", "candidates", "combinatorial", "combinatorial_folds", "dataset", "fits", "fitting",
    "fold_check", "fold_ranges", "fold_spec", "folds", "importance", "labels", "models", "outcomes", "own_pipelines",
    "presets", "refit", "report", "scores", "search", "search_space", "stopping", "stretches", "targets", "walk",
)  # fmt: skip


def training_code() -> str:
    """SHA-256 over the source of those modules."""
    return code_hash(*(importlib.import_module(f"{__package__}.{name}") for name in _MODULES))
