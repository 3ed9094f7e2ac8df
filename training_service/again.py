"""A model made again from what its manifest says: the same options, in whatever lake it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from barlake.artifacts import Artifact
from barlake.errors import InvalidInputError
from barlake.keys import Adjustment
from barlake.lake import Lake
from training_service.combinatorial import CombinatorialSpec
from training_service.fold_spec import FoldSpec
from training_service.models import ModelSpec
from training_service.report import TrainReport
from training_service.search_space import SearchSpec
from training_service.train import train
from training_service.walk import Progress

__all__ = ["train_again", "train_options"]

_SAME_NAME = ("symbols", "target", "horizon", "task", "target_parameters", "session", "feed", "seed")
_FOLDS = ("window", "train_sessions", "embargo_sessions")


def train_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments that `train` was called with, from the parameters of a model's manifest.

    Raises
    ------
    InvalidInputError
        If an earlier release trained the model and kept less.
    """
    if missing := {"search", "combinatorial", "task", *_FOLDS} - parameters.keys():
        raise InvalidInputError(
            f"the model was trained by an earlier release, which kept no {', '.join(sorted(missing))}: it can be read "
            f"and traded, not made again. `barlake train {','.join(parameters['symbols'])}` trains a new one."
        )
    search, combinatorial = parameters["search"], parameters["combinatorial"]
    return {
        **{name: parameters[name] for name in _SAME_NAME},
        "estimator": ModelSpec.from_dict(parameters),
        "search": None if search is None else SearchSpec.from_dict(search),
        "folds": FoldSpec.parse(
            parameters["folds"], **{name: parameters[name] for name in _FOLDS}, refit=parameters.get("refit")
        ),
        "combinatorial": None if combinatorial is None else CombinatorialSpec(**combinatorial),
        "feature_set": parameters["feature_set"]["name"],
        "adjustment": parameters.get("adjustment", Adjustment.RAW),
    }


def train_again(lake: Lake, model: Artifact, *, progress: Progress | None = None) -> TrainReport:
    """Train as a model was trained, on the newest feature tables of its set in `lake`; errors as in `train`."""
    return train(lake, **train_options(model.parameters), progress=progress)
