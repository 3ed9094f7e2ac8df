"""A model made again from what its manifest says: the same options, in whatever lake it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from barlake.artifacts import Artifact
from barlake.lake import Lake
from training_service.report import TrainReport
from training_service.train import train
from training_service.walk import Progress

__all__ = ["train_again", "train_options"]

_SAME_NAME = (
    "symbols", "target", "horizon", "task", "target_parameters", "estimator", "folds", "session", "feed", "seed",
)  # fmt: skip


def train_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments that `train` was called with, from the parameters of a model's manifest."""
    same = (
        "symbols",
        "target",
        "horizon",
        "task",
        "target_parameters",
        "estimator",
        "folds",
        "session",
        "feed",
        "seed",
    )
    return {**{name: parameters[name] for name in same}, "feature_set": parameters["feature_set"]["name"]}


def train_again(lake: Lake, model: Artifact, *, progress: Progress | None = None) -> TrainReport:
    """Train as a model was trained, on the newest feature tables of its set in `lake`; errors as in `train`."""
    return train(lake, **train_options(model.parameters), progress=progress)
