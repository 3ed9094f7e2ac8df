"""A `.env` file with some values set: every other line stays as it is, and nobody but its owner may read it."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from barlake.durable import storage_errors
from barlake.errors import InvalidInputError

__all__ = ["names_set_in", "with_values", "write_private"]

_LINE = re.compile(r"^\s*(?:export\s+)?(?P<name>\w+)\s*=")
_PLAIN = re.compile(r"[\w./:@%+,-]*")


def with_values(text: str, values: Mapping[str, str]) -> str:
    r"""The text of a `.env` file in which each name has its value, once; new names stand at the end.

    Raises
    ------
    InvalidInputError
        If a value holds a line break or another control character.

    Examples
    --------
    >>> with_values("# mine\nA=1\n", {"A": "2", "ROOT": "my data"})
    "# mine\nA=2\nROOT='my data'\n"
    """
    waiting = dict(values)
    lines = []
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None or found["name"] not in values:
            lines.append(line)
        elif found["name"] in waiting:
            lines.append(_line(found["name"], waiting.pop(found["name"])))
    lines += [_line(name, value) for name, value in waiting.items()]
    return "\n".join(lines) + "\n"


def names_set_in(text: str) -> set[str]:
    """Names that have a line of their own, whatever its value."""
    return {found["name"] for line in text.splitlines() if (found := _LINE.match(line))}


def _line(name: str, value: str) -> str:
    if not value.isprintable():
        raise InvalidInputError(f"{name} holds a line break or another control character: give it as one line.")
    if _PLAIN.fullmatch(value):
        return f"{name}={value}"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{escaped}'"


def write_private(path: Path, text: str) -> None:
    """Put a text into a file that its owner alone may read and write; whole, or not at all.

    Raises
    ------
    StorageError
        If the disk is full or the folder may not be written to; what was there stays.
    """
    target = path.resolve()
    with storage_errors(target):
        # Such a file is made with mode 0600, so that no other moment of it is readable either.
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
