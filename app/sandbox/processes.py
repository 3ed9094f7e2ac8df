"""A process for a query, from the side of those who ask."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import app
from app.sandbox.orders import END, FORK, ORDER
from barlake.errors import InvalidInputError, StorageError

__all__ = ["query_process"]

_PATIENCE_S = 20.0
"""The first process waits for imports, on a busy machine."""

_ENVIRONMENT = {
    "PYTHONPATH": str(Path(app.__file__).parent.parent),
    "LC_ALL": "C.UTF-8",
    # Others reserve a gigabyte of address space at a time, which is bound; DuckDB's threads crash without any.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
}
"""All that the processes of queries inherit: no word of ours, and no secret."""


class _ForkServer:
    """One for each process that asks; begun at its first query, and again should it be gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._owner = 0

    def fork(self, connection: socket.socket) -> int:
        """The number of a new process that answers at a socket."""
        with self._lock:
            try:
                return self._order(FORK, 0, connection)
            except OSError:
                self._stop()  # it was ended by somebody; the next one is as good
                return self._order(FORK, 0, connection)

    def end(self, pid: int) -> None:
        """End a process, which may have ended by itself, and wait for that."""
        with self._lock:
            try:
                self._order(END, pid)
            except OSError:
                self._stop()

    def close(self) -> None:
        """End everything that was begun here."""
        with self._lock:
            self._stop()

    def _order(self, verb: bytes, pid: int, connection: socket.socket | None = None) -> int:
        control = self._running()
        handed = [] if connection is None else [connection.fileno()]
        socket.send_fds(control, [ORDER.pack(verb, pid)], handed)
        answer = b""
        while len(answer) < ORDER.size:
            part = control.recv(ORDER.size - len(answer))
            if not part:
                raise ConnectionError("the process that begins queries is gone")
            answer += part
        return int(ORDER.unpack(answer)[1])

    def _running(self) -> socket.socket:
        if self._control is not None and self._owner == os.getpid():
            return self._control
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.sandbox.fork_server"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_ENVIRONMENT,
            )
        ours.settimeout(_PATIENCE_S)
        self._control, self._owner = ours, os.getpid()
        return ours

    def _stop(self) -> None:
        if self._owner == os.getpid() and self._process is not None and self._control is not None:
            self._control.close()
            self._process.kill()
            self._process.wait()
        self._process = self._control = None


_server = _ForkServer()
atexit.register(_server.close)


@contextlib.contextmanager
def query_process() -> Iterator[socket.socket]:
    """The near end of a socket at whose far end a new process answers; it is ended with the block.

    Raises
    ------
    InvalidInputError
        On systems that cannot make one.
    StorageError
        If no process could be begun.
    """
    if not hasattr(os, "fork"):
        raise InvalidInputError("SQL in a sandbox needs Linux, macOS or WSL; `barlake sql` asks without a sandbox.")
    near, far = socket.socketpair()
    with near:
        try:
            with far:
                pid = _server.fork(far)
        except OSError as error:
            raise StorageError(f"no process could be begun for the query: {error}. Try again.") from error
        try:
            yield near
        finally:
            near.close()
            _server.end(pid)
