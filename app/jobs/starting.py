"""A worker begun from here: a process of its own on this machine, which outlives whoever asked for it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from app.jobs.names import STARTING_S, host_name
from app.operations import Operations
from app.operations.database import OPERATIONS_FOLDER
from barlake.durable import storage_errors
from barlake.errors import InvalidInputError
from barlake.stores import folder_of

__all__ = ["StartedWorker", "start_worker", "worker_log"]

MOST_LOG_BYTES = 10_000_000

# The shell ends at once, so that nobody is left who would have to wait for the worker's end.
_DETACH = '"$@" >&2 & echo $!'


@dataclass(frozen=True)
class StartedWorker:
    """A worker that was begun: its name, its process, and the file that gets what it prints."""

    name: str
    pid: int
    log: Path


def start_worker(operations: Operations, agent: str) -> StartedWorker:
    """Begin `barlake worker --agent NAME` on this machine, with the settings of this process.

    It is among the heartbeats at once, as starting, and ends when its agent is stopped.

    Raises
    ------
    InvalidInputError
        If this is no system on which a process can be begun so.
    StorageError
        If its log cannot be written.
    """
    if os.name != "posix":
        raise InvalidInputError(f"a worker is begun by hand on this system: barlake worker --agent {agent}")
    log = worker_log(operations, agent)
    name = f"{agent}-{secrets.token_hex(4)}"
    command = [
        sys.executable, "-m", "app.entry", "worker", "--agent", agent, "--name", name, "--end-when-stopped",
        "--root", operations.settings.root,
    ]  # fmt: skip
    with storage_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        _keep_short(log)
        with log.open("ab") as stream:
            begun = subprocess.run(  # noqa: S603 - our own command line, no word of which a shell reads
                ["/bin/sh", "-c", _DETACH, "barlake", *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=stream, start_new_session=True, check=True,
            )  # fmt: skip
    worker = StartedWorker(name, int(begun.stdout), log)
    details = {"host": host_name(), "pid": worker.pid, "token": ""}
    operations.heartbeats.announce(worker=name, agent=agent, details=details, period_s=STARTING_S)
    return worker


def worker_log(operations: Operations, agent: str) -> Path:
    """The file that gets what workers print that were begun for this agent from here."""
    return folder_of(operations.settings) / OPERATIONS_FOLDER / "workers" / f"{agent}.log"


def _keep_short(log: Path) -> None:
    """Put a long log aside, in place of the one before it."""
    if log.exists() and log.stat().st_size > MOST_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
