"""The request budget of a key: so many requests in a fixed window, or a bucket that refills."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Budget", "FixedWindowLimiter", "LimitClock", "Limiter", "LimiterKind", "TokenBucketLimiter", "limiter_of"]


class LimiterKind(StrEnum):
    """How a budget comes back. Alpaca does not document which of the two its own limit is."""

    WINDOW = "window"
    BUCKET = "bucket"


class LimitClock(StrEnum):
    """By which clock budgets come back: the emulator's own at its speed, or the machine's."""

    MARKET = "market"
    MACHINE = "machine"


@dataclass(frozen=True)
class Budget:
    """What is left of a key's budget after a request, and when that changes."""

    allowed: bool
    limit: int
    remaining: int
    reset_in_seconds: float


class Limiter(Protocol):
    """Counts requests by key."""

    def take(self, key: str, limit: int | None = None) -> Budget:
        """Count one request; a refused one costs nothing. `limit` is the key's own, if it has one."""
        ...

    def reset(self) -> None:
        """Give every key its whole budget."""
        ...


class FixedWindowLimiter:
    """A key's window opens with its first request and gives the whole budget back when it ends.

    Parameters
    ----------
    limit, window_seconds
        So many requests are allowed in so many seconds.
    seconds
        Present instant; one that went back opens a new window.
    """

    def __init__(self, limit: int, window_seconds: float, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._window_seconds = window_seconds
        self._seconds = seconds
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, key: str, limit: int | None = None) -> Budget:
        """See `Limiter.take`."""
        most = self._limit if limit is None else limit
        now = self._seconds()
        opened, used = self._windows.get(key, (now, 0))
        if not opened <= now < opened + self._window_seconds:
            opened, used = now, 0
        allowed = used < most
        used += allowed
        self._windows[key] = (opened, used)
        return Budget(allowed, most, most - used, opened + self._window_seconds - now)

    def reset(self) -> None:
        """See `Limiter.reset`."""
        self._windows.clear()


class TokenBucketLimiter:
    """A key's bucket holds a whole budget at first and refills evenly; the reset is the instant of the next token.

    Parameters
    ----------
    limit, window_seconds
        So many requests flow back in so many seconds.
    seconds
        Present instant; one that went back fills the bucket.
    """

    def __init__(self, limit: int, window_seconds: float, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._window_seconds = window_seconds
        self._seconds = seconds
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str, limit: int | None = None) -> Budget:
        """See `Limiter.take`."""
        most = self._limit if limit is None else limit
        rate = most / self._window_seconds
        now = self._seconds()
        seen, tokens = self._buckets.get(key, (now, float(most)))
        tokens = min(most, tokens + (now - seen) * rate) if now >= seen else float(most)
        allowed = tokens >= 1
        tokens -= allowed
        self._buckets[key] = (now, tokens)
        return Budget(allowed, most, math.floor(tokens), (1 - (tokens - math.floor(tokens))) / rate)

    def reset(self) -> None:
        """See `Limiter.reset`."""
        self._buckets.clear()


def limiter_of(kind: LimiterKind, limit: int, window_seconds: float, *, seconds: Callable[[], float]) -> Limiter:
    """A limiter of that kind."""
    maker = FixedWindowLimiter if kind is LimiterKind.WINDOW else TokenBucketLimiter
    return maker(limit, window_seconds, seconds=seconds)
