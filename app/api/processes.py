"""The service in several processes behind one socket: Python answers on one core at a time in each of them."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from app.api.main import create_app
from app.api.request_metrics import SHARED_COUNTS
from barlake.errors import StorageError
from barlake.settings import Settings

__all__ = ["run_processes"]

_SILENT_S = 30
"""A process that says nothing for so long is replaced."""


def run_processes(
    settings: Settings, listener: socket.socket, count: int, *, is_open: bool, options: dict[str, Any]
) -> None:
    """Have so many processes serve what comes to a socket, until this one is told to end; one that dies is replaced.

    Parameters
    ----------
    is_open
        Whether programs on this machine need no key.
    options
        What `uvicorn.Config` takes beside the application.

    Raises
    ------
    StorageError
        If the processes do not start.
    """
    share = settings.model_copy(update={"sql_concurrency": max(settings.sql_concurrency // count, 1)})
    make = functools.partial(_member, share, is_open=is_open, processes=count)
    with _environment(count):
        config = uvicorn.Config(make, factory=True, workers=count, timeout_worker_healthcheck=_SILENT_S, **options)
        members = Multiprocess(config, [listener])
        members.run()
    if any(one.exitcode == STARTUP_FAILURE for one in members.processes):
        raise StorageError("the service did not start; what it logged says why.")


@contextlib.contextmanager
def _environment(count: int) -> Iterator[None]:
    """What processes that are begun in this block find in theirs: where all of them count, and their share of cores."""
    with tempfile.TemporaryDirectory(prefix="barlake-counts-") as folder:
        cores = max((os.cpu_count() or 1) // count, 1)
        given = {"POLARS_MAX_THREADS": str(cores)} | os.environ | {SHARED_COUNTS: folder}
        before = dict(os.environ)
        os.environ.update(given)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _member(settings: Settings, *, is_open: bool, processes: int) -> FastAPI:
    """The application of one process, which does not outlive the process that began it."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    return create_app(settings, is_open=is_open, keeps_log=True, processes=processes)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
