"""What runs here: the release, its Python, the schemas it writes, and the libraries it declares."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from typing import Any

from app.operations.database import VERSION
from barlake.database import SCHEMA_VERSION

__all__ = ["installed_versions"]

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_FOR_DEVELOPMENT = re.compile(r"extra\s*==\s*[\"']dev[\"']")


def installed_versions() -> dict[str, Any]:
    """Versions for a report of a fault, as JSON can hold them.

    Returns
    -------
    barlake, python, platform, manifest_schema and operations_version (of the databases this release writes), and
    libraries: name -> version of each declared one that is installed, those of extras too.
    """
    return {
        "barlake": importlib.metadata.version("barlake"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "manifest_schema": SCHEMA_VERSION,
        "operations_version": VERSION,
        "libraries": _libraries(),
    }


def _libraries() -> dict[str, str]:
    found = {}
    for requirement in importlib.metadata.requires("barlake") or ():
        name = _NAME.match(requirement)
        if name is None or name[0] == "barlake" or _FOR_DEVELOPMENT.search(requirement):
            continue
        try:
            found[name[0].lower()] = importlib.metadata.version(name[0])
        except importlib.metadata.PackageNotFoundError:
            continue  # of an extra that is not installed
    return dict(sorted(found.items()))
