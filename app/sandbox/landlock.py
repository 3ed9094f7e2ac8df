"""Landlock: the kernel refuses this process every file but those named, and every address on the network.

The rules hold for the calling thread and for threads and processes it starts later, so they are set before DuckDB
starts its own. Nothing takes them back. Source: https://docs.kernel.org/userspace-api/landlock.html.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable

__all__ = ["allow_only", "version"]

# The numbers are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""By the first version that knows them: 2 brought moving between folders, 3 truncation, 5 device controls."""

_TCP = {4: 0b11}
_SCOPES = {6: 0b11}
"""Signals to processes outside, and abstract sockets of theirs."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """The newest Landlock interface this kernel speaks; 0 where there is none, or it is switched off."""
    if sys.platform != "linux":
        return 0
    return max(
        0, int(ctypes.CDLL(None, use_errno=True).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION))
    )


def allow_only(readable: Iterable[str]) -> None:
    """From here on this thread may read these files, and what lies below these folders, and open nothing else.

    Called again, both sets of rules hold. A path that is not there is left out.

    Raises
    ------
    OSError
        If the kernel refuses a rule, or has no Landlock.
    """
    library = ctypes.CDLL(None, use_errno=True)
    known = version()
    rules = _Ruleset(_upto(_RIGHTS, known), _upto(_TCP, known), _upto(_SCOPES, known))
    size = ctypes.sizeof(rules) if known >= min(_SCOPES) else 16 if known >= min(_TCP) else 8
    ruleset = _checked(library.syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0))
    try:
        for path in readable:
            _allow(library, ruleset, path)
        _checked(library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(library.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(library: ctypes.CDLL, ruleset: int, path: str) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        rights = _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE  # noqa: PTH112 - one call for each of thousands
        rule = _PathBeneath(rights, opened)
        _checked(library.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(opened)


def _upto(rights: dict[int, int], known: int) -> int:
    return max((bits for since, bits in rights.items() if since <= known), default=0)


def _checked(answer: int) -> int:
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return answer
