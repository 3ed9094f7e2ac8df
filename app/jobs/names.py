"""Who is alive: every worker has a name of its own, and a dead one is told from a slow one by watching.

Heartbeats carry the clock of the machine they come from, and clocks differ: what counts here is whether a beat
changed while this process watched. A worker of the same machine whose process is gone is dead at once.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.operations.heartbeats import STARTING, Heartbeat, Heartbeats
from barlake.errors import InvalidInputError

__all__ = ["STARTING_S", "Identity", "Roster", "has_ended", "host_name"]

STARTING_S = 20.0
"""Three of these may pass before a worker that has not begun yet counts as stalled: its imports take seconds."""

_MISSED_BEATS = 3
_LOOK_S = 0.1


@dataclass(frozen=True)
class Identity:
    """A worker: its name, the machine and process it is, and what tells it from an earlier one of that name."""

    name: str
    host: str
    pid: int
    token: str

    @classmethod
    def here(cls, name: str | None = None) -> Identity:
        """Identity of this process; without a name it gets one that nobody else has."""
        token = secrets.token_hex(4)
        return cls(name or f"{socket.gethostname()}-{os.getpid()}-{token[:4]}", host_name(), os.getpid(), token)

    def details(self) -> dict[str, str | int]:
        """What a heartbeat says of it."""
        return {"host": self.host, "pid": self.pid, "token": self.token}


class Roster:
    """The workers there are, as this one sees them.

    Parameters
    ----------
    period_s
        Seconds between two of this worker's beats.
    """

    def __init__(
        self,
        heartbeats: Heartbeats,
        me: Identity,
        *,
        period_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._heartbeats = heartbeats
        self._me = me
        self._period_s = period_s
        self._clock = clock
        self._rows: dict[str, list[Heartbeat]] = {}
        self._seen: dict[str, tuple[object, float]] = {}

    def claim(self, stop: threading.Event, agents: Collection[str] = ()) -> None:
        """Take the name, from a dead worker if need be, and say that these agents are starting under it.

        What was announced of this worker is overwritten, never absent: else another would be begun in its place.

        Raises
        ------
        InvalidInputError
            If a live worker has it.
        """
        self.look()
        found = self._last_beat(self._me.name)
        while not self.is_dead(self._me.name) and not stop.wait(_LOOK_S):
            self.look()
            if self._last_beat(self._me.name) != found:
                raise InvalidInputError(
                    f"worker {self._me.name!r} is at work already, {self._where(self._me.name)}: give this one "
                    "another --name, or none, and it takes one that nobody has."
                )
        for agent in agents:
            self._heartbeats.beat(
                worker=self._me.name, agent=agent, state=STARTING, details=self._me.details(), period_s=STARTING_S
            )
        for row in self._rows.get(self._me.name, []):
            if row.agent not in agents:
                self._heartbeats.forget(row.worker, row.agent)

    def is_mine(self) -> bool:
        """Whether nobody else beats under this worker's name."""
        return all(row.details.get("token") == self._me.token for row in self._rows.get(self._me.name, []))

    def look(self) -> None:
        """See who has beaten since the last look."""
        self._rows = {}
        for row in self._heartbeats.all():
            self._rows.setdefault(row.worker, []).append(row)
        for worker in {*self._rows, *self._seen}:
            self._note(worker)

    def is_dead(self, worker: str) -> bool:
        """Whether a worker gave no sign of life for three beats, or its process on this machine is gone."""
        rows = self._rows.get(worker, [])
        if any(self._has_ended(row) for row in rows):
            return True
        if worker not in self._seen:
            self._note(worker)
        patience = _MISSED_BEATS * max([self._period_s, *(row.period_s for row in rows)])
        return (not rows and worker == self._me.name) or self._clock() - self._seen[worker][1] > patience

    def others(self) -> list[str]:
        """Names of the other workers, dead or alive."""
        return sorted(self._rows.keys() - {self._me.name})

    def _note(self, worker: str) -> None:
        beat = self._last_beat(worker)
        if worker not in self._seen or self._seen[worker][0] != beat:
            self._seen[worker] = (beat, self._clock())

    def _last_beat(self, worker: str) -> object:
        return max((row.beat_at for row in self._rows.get(worker, [])), default=None)

    def _has_ended(self, row: Heartbeat) -> bool:
        if row.details.get("host") != self._me.host or row.details.get("token") == self._me.token:
            return False
        pid = row.details.get("pid")
        # Two processes cannot share a number: whoever had mine has ended.
        return pid == self._me.pid or (isinstance(pid, int) and not _runs(pid))

    def _where(self, worker: str) -> str:
        details = self._rows[worker][0].details if self._rows.get(worker) else {}
        return f"process {details.get('pid')} on {str(details.get('host', '')).split('/', maxsplit=1)[0]}"


def has_ended(details: Mapping[str, Any]) -> bool:
    """Whether the process that beats with these details was one of this machine, and is gone."""
    pid = details.get("pid")
    return details.get("host") == host_name() and isinstance(pid, int) and not _runs(pid)


def host_name() -> str:
    """The machine, and within it what shares its process numbers: containers may have one host name."""
    try:
        return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _runs(pid: int) -> bool:
    if os.name != "posix":
        return True  # asking would end it there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
