"""What the operating system is told that a process may use. Nothing of the lake is imported here."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

__all__ = ["cap_memory", "cap_process"]

_GRACE_S = 2
"""After its time a process that did not stop by itself is ended by the kernel."""

_HEADROOM = 512 << 20
"""Address space that DuckDB's own count leaves out: threads' stacks, Arrow's copy of the answer, the allocator."""

_OPEN_FILES = 256
_PR_SET_PDEATHSIG = 1


def cap_process(timeout_s: float) -> None:
    """Bind this process: no file grows, no core is written, and the kernel ends it soon after its time is over.

    It ends with its parent as well, where the system can do that.
    """
    seconds = int(timeout_s) + 1
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CPU, (2 * seconds, 2 * seconds))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, timeout_s + _GRACE_S)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def cap_memory(memory_mb: int) -> None:
    """Let this process map so much more address space than it has now, and a fixed headroom.

    Elsewhere than on Linux nothing is bound: address space is no measure of memory there.
    """
    if sys.platform != "linux":
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + (memory_mb << 20) + _HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
