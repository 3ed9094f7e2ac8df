"""The emulator's idea of now: real time, or any instant that runs on from when it was set."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

__all__ = ["VirtualClock"]


class VirtualClock:
    """A clock that can be set and then advances with real time.

    Everything the emulator says about time follows it: the embargo, the default `end`, `/v2/clock`,
    the `Date` header and the reset instants of the rate limit.

    Parameters
    ----------
    start
        Aware instant the clock shows now; None shows real time.
    monotonic
        Seconds that only grow.
    """

    def __init__(self, start: dt.datetime | None = None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.set(start)

    def set(self, instant: dt.datetime | None) -> None:
        """Show this aware instant from now on; None goes back to real time."""
        self._start = None if instant is None else instant.astimezone(dt.UTC)
        self._set_at = self._monotonic()

    def now(self) -> dt.datetime:
        """The current instant, UTC."""
        if self._start is None:
            return dt.datetime.now(tz=dt.UTC)
        return self._start + dt.timedelta(seconds=self._monotonic() - self._set_at)
