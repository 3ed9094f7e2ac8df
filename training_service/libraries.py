"""Which installed libraries a pipeline is made of, and whether they are the ones that fitted it.

A fitted model is opened by the code of the library that wrote it. Another version may read the same bytes in another
way and say nothing, so a difference is an error here, and the error says what to install.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.base import BaseEstimator

from barlake.errors import FormatError

__all__ = ["model_libraries", "require_same_versions"]


def model_libraries(pipeline: Any) -> dict[str, str]:
    """Version by library, for every installed library that a step of the pipeline comes from.

    Classes of a module that no installed library brings, such as your own, are left out.

    Examples
    --------
    >>> from sklearn.pipeline import Pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> list(model_libraries(Pipeline([("scaler", StandardScaler())])))
    ['scikit-learn']
    """
    packages = {kind.__module__.partition(".")[0] for kind in _kinds(pipeline)}
    names = {library for package in packages for library in _libraries_by_package().get(package, ())}
    return {name: importlib.metadata.version(name) for name in sorted(names)}


def require_same_versions(fitted_with: Mapping[str, str], *, what: str) -> None:
    """Check that the libraries are installed in the versions that fitted a model.

    Parameters
    ----------
    fitted_with
        Version by library.
    what
        The model, as the error calls it.

    Raises
    ------
    FormatError
        If one is not; the message has the command that installs them.
    """
    drifted = [
        f"{name} {version} ({'not installed' if found is None else f'installed is {found}'})"
        for name, version in fitted_with.items()
        if (found := _installed(name)) != version
    ]
    if drifted:
        wanted = " ".join(f"{name}=={version}" for name, version in fitted_with.items())
        raise FormatError(
            f"{what} was fitted with {', '.join(drifted)}: its predictions could differ. Install those versions with "
            f"`pip install {wanted}`, or train again with the installed ones."
        )


def _kinds(estimator: Any) -> Iterator[type]:
    """Classes of an estimator and of all estimators it is made of."""
    if isinstance(estimator, type) or not isinstance(estimator, BaseEstimator):
        return
    yield type(estimator)
    for value in estimator.get_params(deep=True).values():
        if isinstance(value, BaseEstimator) and not isinstance(value, type):
            yield type(value)


@functools.cache
def _libraries_by_package() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
