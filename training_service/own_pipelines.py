"""Pipelines that a user's own module makes, named by import path: `my_models:make_pipeline`.

Loading a module runs its code: whoever names it trusts it. Besides the function, its source is taken down, so
that a model trained after a change of the file is another model.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline

from barlake.errors import InvalidInputError, did_you_mean
from training_service.targets import Task

__all__ = ["OwnPipeline", "is_import_path"]

_SEEN = "__barlake_sha256__"
"""Under this name a module keeps the hash of the source it was made from."""


def is_import_path(name: str) -> bool:
    """Whether a name means a function of one's own rather than a preset.

    Examples
    --------
    >>> is_import_path("my_models:make_pipeline"), is_import_path("ridge")
    (True, False)
    """
    return ":" in name


@dataclass(frozen=True)
class OwnPipeline:
    """A function that makes unfitted pipelines, and the hash of the file it stands in.

    Parameters
    ----------
    path
        `module:function`, or `folder/file.py:function`; modules are looked for in the working folder too.
    sha256
        Of the file that holds the function; what that file imports is not in it.
    """

    path: str
    function: Callable[..., Any]
    sha256: str

    @classmethod
    def load(cls, path: str) -> OwnPipeline:
        """Import the module and take the function from it.

        Raises
        ------
        InvalidInputError
            If there is no such module or function, or the module cannot be imported.
        """
        place, _, name = path.rpartition(":")
        module = _module(path, place)
        sha256 = _source_hash(path, module)
        if getattr(module, _SEEN, sha256) != sha256:
            # The file was changed since this process, a worker perhaps, imported it.
            module = _imported(path, lambda: importlib.reload(module))
        setattr(module, _SEEN, sha256)
        function = getattr(module, name, None)
        if not callable(function):
            functions = [other for other, held in vars(module).items() if callable(held)]
            raise InvalidInputError(
                f"estimator {path!r}: {place} has no function {name!r}.{did_you_mean(name, functions)}"
            )
        return cls(path, function, sha256)

    def make(self, task: Task, seed: int) -> Pipeline:
        """Call the function, with `task` (its text) and `seed` if it takes arguments of these names.

        Raises
        ------
        InvalidInputError
            If it makes anything but a scikit-learn Pipeline that does this task; a classifier must give
            probabilities, and the whole must be something a file can hold.
        """
        offered = {"task": task.value, "seed": seed}
        taken = inspect.signature(self.function).parameters
        try:
            made = self.function(**{name: value for name, value in offered.items() if name in taken})
        except Exception as error:
            raise InvalidInputError(
                f"estimator {self.path!r} failed to make a pipeline ({type(error).__name__}: {error}): mend it."
            ) from error
        if not isinstance(made, Pipeline):
            raise InvalidInputError(
                f"estimator {self.path!r} made a {type(made).__name__}: return a scikit-learn Pipeline, such as "
                "Pipeline([('model', estimator)])."
            )
        self._require_task(made, task)
        self._require_storable(made)
        return made

    def _require_task(self, pipeline: Pipeline, task: Task) -> None:
        last = type(pipeline.steps[-1][1]).__name__
        does = is_classifier(pipeline) if task is Task.CLASSIFICATION else is_regressor(pipeline)
        if not does:
            raise InvalidInputError(
                f"estimator {self.path!r} ends in {last}, which does no {task.value}: end the pipeline in an "
                f"estimator for {task.value}, or ask for another task or target."
            )
        if task is Task.CLASSIFICATION and not hasattr(pipeline, "predict_proba"):
            raise InvalidInputError(
                f"estimator {self.path!r} ends in {last}, which gives no probabilities: scores need predict_proba. "
                "Wrap it in CalibratedClassifierCV with time-ordered splits, or take another."
            )

    def _require_storable(self, pipeline: Pipeline) -> None:
        try:
            pickle.dumps(pipeline)
        except Exception as error:
            raise InvalidInputError(
                f"estimator {self.path!r} makes a pipeline that cannot be stored ({error}). Use functions and classes "
                "that stand at the top of a module, and no lambda, open file or lock."
            ) from error


def _module(path: str, place: str) -> ModuleType:
    file = Path(place)
    folder, name = (file.parent.resolve(), file.stem) if file.suffix == ".py" else (Path.cwd(), place)
    if str(folder) not in sys.path:
        # Stays there: workers get this path, and unpickling a class of that module imports it again.
        sys.path.append(str(folder))
    module = _imported(path, lambda: importlib.import_module(name))
    if file.suffix == ".py" and Path(module.__file__ or "").resolve() != file.resolve():
        raise InvalidInputError(
            f"estimator {path!r}: another module named {name!r} comes first ({module.__file__}): rename the file."
        )
    return module


def _imported(path: str, how: Callable[[], ModuleType]) -> ModuleType:
    try:
        return how()
    except (Exception, SystemExit) as error:
        raise InvalidInputError(
            f"estimator {path!r}: its module cannot be imported ({type(error).__name__}: {error}). "
            "Write module:function or file.py:function, and run where the module is found."
        ) from error


def _source_hash(path: str, module: ModuleType) -> str:
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError) as error:
        raise InvalidInputError(
            f"estimator {path!r}: its module has no source to take down ({error}): name a .py file."
        ) from error
    return hashlib.sha256(source.encode()).hexdigest()
