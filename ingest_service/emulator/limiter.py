"""The request budget of a key: a fixed number of requests in a fixed window."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Budget", "FixedWindowLimiter"]


@dataclass(frozen=True)
class Budget:
    """What is left of a key's window after a request."""

    allowed: bool
    limit: int
    remaining: int
    reset_in_seconds: float


class FixedWindowLimiter:
    """Counts requests by key; a key's window opens with its first request.

    Alpaca does not document whether its own limit is a fixed window or a token bucket; a client that
    obeys the headers is right under both.

    Parameters
    ----------
    limit, window_seconds
        So many requests are allowed in so many seconds.
    monotonic
        Seconds that only grow.
    """

    def __init__(self, limit: int, window_seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._window_seconds = window_seconds
        self._monotonic = monotonic
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, key: str) -> Budget:
        """Count one request; a refused one costs nothing."""
        now = self._monotonic()
        opened, used = self._windows.get(key, (now, 0))
        if now >= opened + self._window_seconds:
            opened, used = now, 0
        allowed = used < self._limit
        used += allowed
        self._windows[key] = (opened, used)
        return Budget(allowed, self._limit, self._limit - used, opened + self._window_seconds - now)

    def reset(self) -> None:
        """Give every key a fresh window."""
        self._windows.clear()
