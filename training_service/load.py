"""Fitted models back from disk, and only those this lake wrote.

Loading a `.joblib` runs whatever code its bytes name. So the bytes are compared with the hash that was
registered when the model was made, before anything looks inside.
"""

from __future__ import annotations

import warnings

import joblib
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import Pipeline

from barlake.errors import FormatError
from barlake.keys import ArtifactKind
from barlake.lake import Lake
from training_service.model_files import FULL_MODEL

__all__ = ["load_model"]


def load_model(lake: Lake, model_id: str, *, name: str = FULL_MODEL) -> Pipeline:
    """Fitted pipeline of a model made in this lake.

    Parameters
    ----------
    model_id
        Id of the model, or as much of its beginning as only one model has.
    name
        Which file: `model.joblib`, or a fold's.

    Raises
    ------
    NotFoundError
        If no model, or more than one, has such an id.
    FormatError
        If the file is not the one that was written, or another version of scikit-learn wrote it.
    """
    artifact = lake.artifacts.find(ArtifactKind.MODEL, model_id)
    path = lake.artifacts.verified_file(artifact, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            pipeline = joblib.load(path)
        except InconsistentVersionWarning as drift:
            raise FormatError(
                f"model {artifact.id} was fitted with scikit-learn {drift.original_sklearn_version}, installed is "
                f"{drift.current_sklearn_version}: its predictions could differ. Install that version, or train "
                "again with this one."
            ) from drift
    if not isinstance(pipeline, Pipeline):
        raise FormatError(f"{name} of model {artifact.id} holds no pipeline but a {type(pipeline).__name__}.")
    return pipeline
