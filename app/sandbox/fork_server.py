"""The process that makes a process for each query: small, single-threaded, without any of its parent's secrets.

It has imported what a query needs, so that a new process is there within milliseconds; its environment was empty from
its start. It is told what to do through its standard input, a socket: `fork`, with the socket of the query, or `end`.
When that socket closes, because whoever began it has ended in whatever way, it ends its processes and itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys

# Preloaded for every query: after the sandbox is closed no module can be read from the disk any more.
import duckdb  # noqa: F401
import pyarrow.ipc  # noqa: F401

from app.sandbox.orders import END, FORK, ORDER
from app.sandbox.query import answer

__all__ = ["main"]


def main() -> None:
    """Obey until the socket closes."""
    os.chdir("/")
    children: set[int] = set()
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as control:
        while True:
            order, handed, _, _ = socket.recv_fds(control, ORDER.size, 1)
            if len(order) < ORDER.size:
                break
            verb, pid = ORDER.unpack(order)
            if verb == FORK:
                pid = _fork(control, handed[0])
                children.add(pid)
            elif verb == END and pid in children:
                _end(pid)
                children.discard(pid)
            control.sendall(ORDER.pack(verb, pid))
    for pid in children:
        _end(pid)


def _fork(control: socket.socket, handed: int) -> int:
    pid = os.fork()
    if pid:
        os.close(handed)
        return pid
    control.close()
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    code = 1
    with contextlib.suppress(BaseException), socket.socket(fileno=handed) as connection:
        answer(connection)
        code = 0
    os._exit(code)


def _end(pid: int) -> None:
    """End a process of ours that was not waited for yet: its number cannot be another's."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
