"""A user's own Python file as a module, such as one with features or strategies of one's own.

Loading a file runs it: whoever names it trusts it.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

from barlake.errors import InvalidInputError, NotFoundError

__all__ = ["cannot_run", "load_file", "source_text"]

_HASH_LENGTH = 8
_SOURCE = "__barlake_source__"
"""Under this name a module keeps the text it was made from."""


def load_file(path: Path, *, package: str) -> ModuleType:
    """The file as a module whose name tells its content: the same text is loaded once, another one anew.

    Parameters
    ----------
    package
        First part of the module's name, such as `feature_file`.

    Raises
    ------
    NotFoundError
        If the file cannot be read.
    InvalidInputError
        If it raises while it runs.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read ({error.strerror}): give the path of a Python file.") from error
    name = f"{package}_{hashlib.sha256(source).hexdigest()[:_HASH_LENGTH]}.{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    loader = importlib.machinery.SourceFileLoader(name, str(path.resolve()))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None  # noqa: S101 - a loader of its own makes one
    module = importlib.util.module_from_spec(spec)
    setattr(module, _SOURCE, source.decode(errors="replace"))
    sys.modules[name] = module  # before it runs: what it declares asks for its module
    try:
        # Compiled from the bytes whose hash is its name, not from what the file holds a moment later.
        exec(compile(source, str(path.resolve()), "exec"), module.__dict__)  # noqa: S102 - the user asked to run it
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise cannot_run(str(path), error) from error
    return module


def source_text(module: ModuleType) -> str:
    """The text a module was made from; of a file loaded here the one that ran, whatever it holds by now.

    Raises
    ------
    InvalidInputError
        If it has none, such as a module that was typed at a prompt.
    """
    try:
        return vars(module).get(_SOURCE) or inspect.getsource(module)
    except (OSError, TypeError) as error:
        raise InvalidInputError(
            f"module {module.__name__!r} has no source to take down ({error}): put it into a .py file."
        ) from error


def cannot_run(what: str, error: BaseException) -> InvalidInputError:
    """The error that says of what could not be loaded what it raised."""
    return InvalidInputError(f"{what} cannot be loaded, it raises {type(error).__name__}: {error}. Mend it first.")
