"""How much memory this process may still take."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["available_bytes"]

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def available_bytes(meminfo: Path = _MEMINFO, group: Path = _GROUP) -> int:
    """Bytes that can be had without swapping: of the machine, or of the container where that allows less.

    Where the system does not say what is available, as on macOS, half of what is built in.
    """
    found = [_of_machine(meminfo), *_of_container(group)]
    return max(0, min(found))


def _of_machine(meminfo: Path) -> int:
    if meminfo.exists():
        lines = (line.split() for line in meminfo.read_text(encoding="ascii").splitlines())
        kilobytes = {words[0]: int(words[1]) for words in lines if len(words) > 1}
        if "MemAvailable:" in kilobytes:
            return kilobytes["MemAvailable:"] * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _of_container(group: Path) -> list[int]:
    """What the limit of a container leaves, if it has one: https://docs.kernel.org/admin-guide/cgroup-v2.html."""
    try:
        limit, used = ((group / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("max", "current"))
    except FileNotFoundError:
        return []
    return [] if limit == "max" else [int(limit) - int(used)]
