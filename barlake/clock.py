"""Market time: the clock by which sessions open, close and become due.

It is real time, unless `BARLAKE_CLOCK` names a file that says otherwise: then every process that reads the same
file, the emulator among them, lives at the same made-up instant and speed, and a trading day can pass in a
minute. What concerns machines (heartbeats, retries, timeouts) stays on machine time.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from barlake.durable import write_durably
from barlake.errors import InvalidInputError
from barlake.settings import Settings

__all__ = ["Clock", "FileClock", "RealClock", "clock_of"]

_LONGEST_NAP_S = 0.05
"""A made-up clock may be set while someone sleeps by it: so often it is looked at again."""


class Clock(Protocol):
    """Market time."""

    @property
    def speed(self) -> float:
        """Seconds of market time in one of machine time."""
        ...

    def now(self) -> dt.datetime:
        """Present instant, UTC."""
        ...

    def wait_until(self, instant: dt.datetime, stop: threading.Event) -> bool:
        """Sleep until an instant of market time; true when `stop` was set before it came."""
        ...


class RealClock:
    """Real time."""

    speed = 1.0

    def now(self) -> dt.datetime:
        """Present instant, UTC."""
        return dt.datetime.now(dt.UTC)

    def wait_until(self, instant: dt.datetime, stop: threading.Event) -> bool:
        """Sleep until an instant; true when `stop` was set before it came."""
        # Waits are short beside a suspended machine: a monotonic wait would oversleep by that suspension.
        while (left := (instant - self.now()).total_seconds()) > 0:
            if stop.wait(min(left, 60.0)):
                return True
        return stop.is_set()


@dataclass(frozen=True)
class _Setting:
    """Market time was `instant` when the machine's clock showed `set_at` (epoch seconds), and ran at `speed`."""

    instant: dt.datetime
    set_at: float
    speed: float

    def at(self, machine: float) -> dt.datetime:
        return self.instant + dt.timedelta(seconds=(machine - self.set_at) * self.speed)


class FileClock:
    """Made-up time, shared by all who read one file.

    The file is JSON: `{"instant": "2024-07-03T13:25:00+00:00", "set_at": 1760000000.0, "speed": 480.0}`.

    Parameters
    ----------
    path
        Read again whenever it is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._setting = self._read()

    @property
    def speed(self) -> float:
        """Seconds of market time in one of machine time."""
        self._refresh()
        return self._setting.speed

    def now(self) -> dt.datetime:
        """Present instant, UTC."""
        self._refresh()
        return self._setting.at(time.time())

    def wait_until(self, instant: dt.datetime, stop: threading.Event) -> bool:
        """Sleep until an instant of market time; true when `stop` was set before it came."""
        while (left := (instant - self.now()).total_seconds()) > 0:
            nap = left / self._setting.speed if self._setting.speed else _LONGEST_NAP_S
            if stop.wait(min(nap, _LONGEST_NAP_S)):
                return True
        return stop.is_set()

    @staticmethod
    def set(path: Path, instant: dt.datetime, *, speed: float) -> None:
        """Make it this instant for everyone who reads the file; speed 0 stops the time.

        Raises
        ------
        InvalidInputError
            If the instant has no zone or the speed is negative.
        """
        if instant.tzinfo is None:
            raise InvalidInputError(f"instant {instant} has no time zone: give an aware one, such as UTC.")
        if not (math.isfinite(speed) and speed >= 0):
            raise InvalidInputError(f"speed {speed!r} is not a speed: give 1 for real time, 60 for a minute a second.")
        setting = {"instant": instant.astimezone(dt.UTC).isoformat(), "set_at": time.time(), "speed": speed}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, json.dumps(setting).encode())

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError as error:
            raise InvalidInputError(f"BARLAKE_CLOCK names {self._path}, which is not there any more.") from error
        if (found.st_mtime_ns, found.st_ino) != self._seen:
            self._setting = self._read()

    def _read(self) -> _Setting:
        try:
            found = self._path.stat()
            said = json.loads(self._path.read_bytes())
            setting = _Setting(dt.datetime.fromisoformat(said["instant"]), float(said["set_at"]), float(said["speed"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInputError(
                f"BARLAKE_CLOCK names {self._path}, which tells no time: {error}. Leave it unset for real time."
            ) from error
        self._seen = (found.st_mtime_ns, found.st_ino)
        return setting


def clock_of(settings: Settings) -> Clock:
    """The clock that the settings name: real time unless `BARLAKE_CLOCK` is set.

    Raises
    ------
    InvalidInputError
        If the file cannot be read or tells no time.
    """
    return RealClock() if settings.clock_file is None else FileClock(settings.clock_file)
