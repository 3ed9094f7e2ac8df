"""How often a key may ask, and how often an address may be wrong."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.exceptions import HTTPException

from app.operations.api_keys import ApiKey

__all__ = ["Rate", "Rates"]

WRONG_KEYS_PER_MINUTE = 30
_MINUTE_S = 60


@dataclass(frozen=True)
class Rate:
    """What is left of a key's requests: so many now, one more after so many seconds."""

    limit: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """As https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ has them."""
        return {
            "RateLimit-Policy": f'"minute";q={self.limit};w={_MINUTE_S}',
            "RateLimit": f'"minute";r={self.remaining};t={self.reset_s}',
        }


class Rates:
    """Requests of the last 60 seconds, counted in this process.

    Parameters
    ----------
    per_minute
        Of a key that says nothing else.
    processes
        How many count; each grants its share, and one at least: more than a key may ask only where that is fewer.
    """

    def __init__(self, per_minute: int, processes: int = 1) -> None:
        self._per_minute = per_minute
        self._processes = processes
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._wrong = RateLimitItemPerMinute(self._share(WRONG_KEYS_PER_MINUTE))

    def take(self, key: ApiKey) -> Rate:
        """Count one request of a key; what is left.

        Raises
        ------
        HTTPException
            429 when nothing was left.
        """
        limit = self._share(key.requests_per_minute or self._per_minute)
        item = RateLimitItemPerMinute(limit)
        is_granted = self._window.hit(item, "key", key.key_id)
        reset_at, remaining = self._window.get_window_stats(item, "key", key.key_id)
        rate = Rate(limit, remaining, _seconds_until(reset_at))
        if not is_granted:
            headers = {"Retry-After": str(rate.reset_s), **rate.headers}
            whom = f" each of {self._processes} processes" if self._processes > 1 else ""
            raise HTTPException(
                429,
                f"key {key.name!r} may ask{whom} {limit:,} times a minute: go on in {rate.reset_s} s.",
                headers=headers,
            )
        return rate

    def count_wrong(self, address: str) -> None:
        """Count a wrong key from an address; right ones go on being served, for others may share the address.

        Raises
        ------
        HTTPException
            429 when there were too many in the last minute.
        """
        if not self._window.hit(self._wrong, "wrong", address):
            wait_s = _seconds_until(self._window.get_window_stats(self._wrong, "wrong", address)[0])
            raise HTTPException(
                429, f"too many wrong keys from {address}: go on in {wait_s} s.", headers={"Retry-After": str(wait_s)}
            )

    def _share(self, limit: int) -> int:
        return max(limit // self._processes, 1)


def _seconds_until(at: float) -> int:
    return max(math.ceil(at - time.time()), 1)
