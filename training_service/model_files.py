"""Fitted pipelines as files: equal models give equal bytes, wherever they were fitted.

A file is what `joblib.dump` writes and `joblib.load` reads, with one thing settled: a pickle says "the same object as
before" of a text or a NumPy dtype by identity, and identity is not the same in a model that came back from a worker
process. Here equal texts and equal dtypes are the same one, and bytes that nobody sets are zero, so that a hash
speaks of the model alone.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from joblib.numpy_pickle import NumpyPickler
from sklearn.pipeline import Pipeline

from barlake.durable import storage_errors
from barlake.errors import InvalidInputError

__all__ = ["FULL_MODEL", "fold_file", "save_model"]

FULL_MODEL = "model.joblib"
"""The model fitted on every labelled row; `fold-00.joblib` and so on saw only what came before their test."""

_PROTOCOL = 4
"""Written down, because the default of pickle rises with Python."""


def fold_file(number: int) -> str:
    """Name of the file with the model of one fold.

    Examples
    --------
    >>> fold_file(3)
    'fold-03.joblib'
    """
    return f"fold-{number:02d}.joblib"


def save_model(pipeline: Pipeline, path: Path) -> None:
    """Write a fitted pipeline; equal pipelines give equal bytes.

    Raises
    ------
    InvalidInputError
        If a part of the pipeline cannot be pickled, such as a lambda; no file remains then.
    StorageError
        If the disk is full or refuses.
    """
    try:
        with storage_errors(path), path.open("wb") as stream:
            _CanonicalPickler(stream, protocol=_PROTOCOL).dump(pipeline)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        path.unlink(missing_ok=True)
        steps = ", ".join(f"{name} ({type(step).__name__})" for name, step in getattr(pipeline, "steps", []))
        raise InvalidInputError(
            f"the model cannot be kept in a file ({error}): its steps are {steps or type(pipeline).__name__}. Use "
            "functions and classes that a module defines by name, and no lambda, open file or lock."
        ) from error


class _CanonicalPickler(NumpyPickler):  # type: ignore[misc]  # joblib has no types
    """Takes the first of equal texts, bytes and dtypes for all of them."""

    def __init__(self, stream: BinaryIO, *, protocol: int) -> None:
        super().__init__(stream, protocol=protocol)
        self._first: dict[tuple[type, Any], Any] = {}

    def save(self, obj: Any) -> None:
        if type(obj) in {str, bytes} or isinstance(obj, np.dtype):
            obj = self._first.setdefault((type(obj), obj), obj)
        if isinstance(obj, np.ndarray) and obj.dtype.names:
            obj = _without_padding(obj)
        super().save(obj)


def _without_padding(records: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same records, as the nodes of a tree are, with zeros in the bytes between fields that nobody sets."""
    clean = np.zeros(records.shape, records.dtype)
    for name in records.dtype.names or ():
        clean[name] = records[name]
    return clean
