"""The emulator's idea of now: real time, or any instant that runs on from when it was set, at any speed."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path

from barlake.clock import FileClock
from barlake.errors import InvalidInputError

__all__ = ["VirtualClock"]


class VirtualClock:
    """A clock that can be set and then advances at its speed.

    Everything the emulator says about time follows it: the embargo, the default `end`, the newest bar, the stream,
    `/v2/clock`, the `Date` header and the reset instants of the rate limit.

    Parameters
    ----------
    start
        Aware instant the clock shows now; None shows real time, or what the file says already.
    speed
        Seconds of market time in one of machine time; 0 stops the clock.
    file
        File of `BARLAKE_CLOCK`, which this clock keeps for all who read it; None keeps the time in memory.
    monotonic
        Seconds that only grow; a file goes by the machine's clock.
    """

    def __init__(
        self,
        start: dt.datetime | None = None,
        *,
        speed: float = 1.0,
        file: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if speed < 0:
            raise InvalidInputError(f"speed {speed!r} is negative: give 1 for real time, 60 for a minute a second.")
        self._monotonic = monotonic
        self._path = file
        self._file: FileClock | None = None
        self._begin = (start, speed)
        self.restart()

    def restart(self) -> None:
        """Show what it showed at first; a file that was there before it was given an instant stays as it is."""
        start, speed = self._begin
        if self._path is not None and start is None and self._path.exists():
            self._file = FileClock(self._path)
            return
        if start is None and speed != 1.0:
            start = dt.datetime.now(tz=dt.UTC)
        self.set(start, speed=speed)

    def set(self, instant: dt.datetime | None, *, speed: float | None = None) -> None:
        """Show this aware instant from now on; None goes back to real time. The speed stays unless it is given."""
        self._speed = 1.0 if instant is None else (self.speed if speed is None else speed)
        self._start = None if instant is None else instant.astimezone(dt.UTC)
        self._set_at = self._monotonic()
        if self._path is not None:
            FileClock.set(self._path, self._start or dt.datetime.now(tz=dt.UTC), speed=self._speed)
            self._file = FileClock(self._path)

    @property
    def speed(self) -> float:
        """Seconds of market time in one of machine time."""
        return self._speed if self._file is None else self._file.speed

    def now(self) -> dt.datetime:
        """The current instant, UTC."""
        if self._file is not None:
            return self._file.now()
        if self._start is None:
            return dt.datetime.now(tz=dt.UTC)
        return self._start + dt.timedelta(seconds=(self._monotonic() - self._set_at) * self._speed)

    def seconds(self) -> float:
        """The current instant, seconds since the epoch."""
        return self.now().timestamp()
