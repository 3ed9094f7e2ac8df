"""When the next request may leave, learned from the limit headers of every response.

Pure logic on an injected clock and sleep; it knows header names and nothing else of HTTP. Alpaca does not
say whether its limit is a fixed window or a bucket that refills, so neither is assumed: a request leaves
while the server says some remain, else it waits for the instant at which the server says that changes.

The budget belongs to the account: every client with the same key shares one `Throttle`, other processes are
noticed through the headers.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

__all__ = ["Throttle"]

MARGIN_SECONDS = 0.25
"""Waited beyond a reset, which is stated in whole seconds."""

_JITTER_SECONDS = 0.25
_POLL_SECONDS = 0.05
_DATE_RESOLUTION_SECONDS = 2.0
_TOO_MANY_REQUESTS = 429
_FIRST_ERROR_STATUS = 400


@dataclass(frozen=True)
class _Limits:
    """What one response said; None for each thing it did not say. `reset` and `date` are epoch seconds."""

    limit: float | None
    remaining: float | None
    reset: float | None
    retry_after: float | None
    date: float | None


class Throttle:
    """Gate before each request, fed by each response. Thread-safe.

    Parameters
    ----------
    requests_per_minute
        Local pace while the server states no limit.
    reserve
        Requests left unused in each window, for what the headers did not know yet.
    cap_seconds
        Longest wait for any instant the server names, however far away it is.
    scout_seconds
        How long the one request that finds out about a new window may stay unanswered before another may go.
    clock
        Monotonic seconds.
    wall_clock
        Epoch seconds of the local machine, used until the first response tells the server's time.
    sleep
        Called with seconds. It may raise, to abandon the wait; the throttle stays usable.
    jitter
        Uniform in [0, 1), spreads waiters.
    """

    def __init__(
        self,
        requests_per_minute: int = 200,
        *,
        reserve: int = 1,
        cap_seconds: float = 65.0,
        scout_seconds: float = 40.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._interval = 60.0 / requests_per_minute
        self._limit = float(requests_per_minute)
        self._reserve = reserve
        self._cap = cap_seconds
        self._scout_seconds = scout_seconds
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter

        self._lock = threading.Lock()
        # Server time is kept as its distance from the monotonic clock, so that setting the machine's clock
        # moves nothing.
        self._server_offset = wall_clock() - clock()
        self._server_clock_known = False
        self._remaining: float | None = None
        self._reset_epoch = -math.inf
        self._reset_at = -math.inf  # this and the following instants are by the monotonic clock
        self._blocked_until = -math.inf
        self._next_slot = -math.inf
        self._scout_until = -math.inf
        self._in_flight = 0
        self._strikes = 0

    def acquire(self, sleep: Callable[[float], object] | None = None, *, reserve_share: float = 0.0) -> float:
        """Seconds waited until a request may leave. Each call is answered by one `observe` or `release`.

        Parameters
        ----------
        sleep
            The caller's own, for one who waits only as long as somebody wants the answer.
        reserve_share
            Share of the limit that the caller leaves to those who are in a hurry.
        """
        waited = 0.0
        while pause := self.try_acquire(reserve_share):
            (sleep or self._sleep)(pause)
            waited += pause
        return waited

    def try_acquire(self, reserve_share: float = 0.0) -> float:
        """0.0 if a request may leave now, and it is counted; else seconds after which to ask again."""
        with self._lock:
            now = self._clock()
            pause = self._pause(now, max(self._reserve, math.ceil(self._limit * reserve_share)))
            if pause <= 0:
                self._in_flight += 1
                self._next_slot = max(now, self._next_slot) + self._interval
                if self._remaining is not None:
                    self._remaining -= 1
            return max(pause, 0.0)

    def release(self) -> None:
        """Take note that a request ended without a response."""
        with self._lock:
            self._in_flight = max(self._in_flight - 1, 0)
            self._scout_until = -math.inf

    def observe(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from a response; `headers` ignores case or has lower-case names."""
        limits = _read(headers)
        with self._lock:
            now = self._clock()
            self._in_flight = max(self._in_flight - 1, 0)
            self._scout_until = -math.inf
            if limits.date is not None:
                self._learn_server_time(limits.date - now)
            self._limit = limits.limit or self._limit
            self._learn_remaining(limits, now)
            if status == _TOO_MANY_REQUESTS:
                self._refused(limits, now)
            else:
                self._strikes = 0
                if status >= _FIRST_ERROR_STATUS and limits.retry_after is not None:
                    self._blocked_until = max(self._blocked_until, now + self._capped(limits.retry_after))

    def blocked_seconds(self) -> float:
        """Seconds until the server accepts requests again, after it refused one; 0.0 if it did not."""
        with self._lock:
            return max(self._blocked_until - self._clock(), 0.0)

    def server_time(self) -> float:
        """Epoch seconds by the server's clock, about a second late at most; the local one's at first."""
        with self._lock:
            return self._clock() + self._server_offset

    def _pause(self, now: float, reserve: int) -> float:
        if now < self._blocked_until:
            return self._blocked_until - now
        if self._remaining is None:
            return self._next_slot - now
        if self._remaining > reserve:
            return 0.0
        if now < self._reset_at:
            return self._reset_at - now
        # The stated window is over and nobody knows the next one: one request goes and finds out.
        if now < self._scout_until:
            return min(_POLL_SECONDS, self._scout_until - now)
        self._scout_until = now + self._scout_seconds
        return 0.0

    def _learn_server_time(self, offset: float) -> None:
        # `Date` is cut to whole seconds and travels: among close samples the largest is the nearest.
        close = abs(offset - self._server_offset) < _DATE_RESOLUTION_SECONDS
        known = self._server_clock_known
        self._server_offset = max(offset, self._server_offset) if known and close else offset
        self._server_clock_known = True

    def _learn_remaining(self, limits: _Limits, now: float) -> None:
        if limits.remaining is None or limits.reset is None:
            # Without both there is nothing to wait for; the local pace takes over once the window is past.
            if now >= self._reset_at:
                self._remaining = None
            return
        # Requests still under way may not be counted in what the server says remains.
        remaining = limits.remaining - self._in_flight
        reset = min(limits.reset, now + self._server_offset + self._cap)
        if self._remaining is not None and reset < self._reset_epoch and now < self._reset_at:
            return  # an answer from before the current window, overtaken on its way
        if self._remaining is not None and reset == self._reset_epoch:
            remaining = min(remaining, self._remaining)
        self._remaining = remaining
        self._reset_epoch = reset
        self._reset_at = now + self._capped(reset - self._server_offset - now)

    def _refused(self, limits: _Limits, now: float) -> None:
        self._strikes += 1
        wait = limits.retry_after
        if wait is None and limits.reset is not None:
            wait = limits.reset - self._server_offset - now
        if wait is None or wait <= 0:  # no instant, or one that is past: back off further at each refusal
            wait = 2.0 ** min(self._strikes - 1, 10) * (0.5 + self._jitter())
        self._blocked_until = max(self._blocked_until, now + self._capped(wait))
        self._remaining = 0.0
        self._reset_at = self._blocked_until
        # The next answer states the budget anew, also when it names the window that was known before.
        self._reset_epoch = -math.inf

    def _capped(self, wait: float) -> float:
        return min(wait + MARGIN_SECONDS + _JITTER_SECONDS * self._jitter(), self._cap)


def _read(headers: Mapping[str, str]) -> _Limits:
    date = _http_date(headers.get("date"))
    retry_after = _number(headers.get("retry-after"))
    if retry_after is None and date is not None:
        # The other form of the header is an instant: RFC 9110, section 10.2.3.
        until = _http_date(headers.get("retry-after"))
        retry_after = None if until is None else until - date
    return _Limits(
        limit=_number(headers.get("x-ratelimit-limit")),
        remaining=_number(headers.get("x-ratelimit-remaining")),
        reset=_number(headers.get("x-ratelimit-reset")),
        retry_after=retry_after,
        date=date,
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _http_date(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
