"""Fitted models back from disk, and only those this lake wrote.

Loading a `.joblib` runs whatever code its bytes name. So the bytes are compared with the hash that was
registered when the model was made, before anything looks inside.
"""

from __future__ import annotations

import warnings

import joblib
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import Pipeline

from barlake.artifacts import Artifact
from barlake.errors import FormatError, NotFoundError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from training_service.libraries import require_same_versions
from training_service.model_files import FULL_MODEL

__all__ = ["load_model", "load_pipeline"]


def load_model(lake: Lake, model_id: str, *, name: str = FULL_MODEL) -> Pipeline:
    """Fitted pipeline of a model of this lake.

    Parameters
    ----------
    model_id
        Id of the model, or as much of its beginning as only one model has.
    name
        Which file: `model.joblib`, or a fold's.

    Raises
    ------
    NotFoundError
        If no model, or more than one, has such an id, or a module that the model needs is not installed.
    FormatError
        If the file is not the one that was written, or other versions of its libraries wrote it.
    """
    return load_pipeline(lake, lake.artifacts.find(ArtifactKind.MODEL, model_id), name=name)


def load_pipeline(lake: Lake, model: Artifact, *, name: str = FULL_MODEL) -> Pipeline:
    """Fitted pipeline of a model that was found; errors as in `load_model`."""
    require_same_versions(model.inputs.get("libraries", {}), what=f"model {model.id}")
    path = lake.artifacts.verified_file(model, name)
    with warnings.catch_warnings():
        # A model without a list of its libraries still carries the version of scikit-learn.
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            pipeline = joblib.load(path)
        except InconsistentVersionWarning as drift:
            require_same_versions({"scikit-learn": drift.original_sklearn_version}, what=f"model {model.id}")
            raise
        except (ModuleNotFoundError, AttributeError) as error:
            raise NotFoundError(
                f"model {model.id} needs {error.name!r}, which cannot be imported ({error}): install what brings it, "
                "or run where your own module lies."
            ) from error
    if not isinstance(pipeline, Pipeline):
        raise FormatError(
            f"{name} of model {model.id} holds no pipeline but a {type(pipeline).__name__}: train the model again."
        )
    return pipeline
