"""Requests that leave at a permitted moment and do not wait for ever, for the HTTP libraries of the sources.

A client library is used as it is, over the transport given to it here: requests' adapter, or urllib3's pool.
Each notes what a receipt says of a request, and feeds the limit headers to the throttle.
"""

from __future__ import annotations

import datetime as dt
import functools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from barlake.errors import SourceError
from ingest_service.throttle import Throttle

__all__ = [
    "Exchange",
    "Line",
    "PacedAdapter",
    "PacedPool",
    "breakage",
    "line_to",
    "raise_if_set",
    "shared_throttle",
    "sleep_until",
    "timeouts",
]

_LONGEST_QUOTE = 200
_LONGEST_CONNECT_SECONDS = 5.0


@dataclass
class Exchange:
    """What was seen of one request; of the headers only what a receipt may hold, of the address only the path."""

    requested_at: dt.datetime
    started: float
    path: str = ""
    status: int | None = None
    request_id: str | None = None
    rate_limit_remaining: int | None = None


class Line:
    """The way to one server with one key.

    Parameters
    ----------
    throttle
        Shared by all lines with the same server and key.
    timeout
        Seconds to connect, and seconds between two bytes of an answer.

    Attributes
    ----------
    stop
        Ends a wait at once when set.
    reserve_share
        Share of the limit that is left to those who are in a hurry.
    last
        The last request; None when none was made since somebody set it so.
    """

    def __init__(self, throttle: Throttle, timeout: tuple[float, float] = (5.0, 30.0)) -> None:
        self.throttle = throttle
        self.timeout = timeout
        self.stop: threading.Event | None = None
        self.reserve_share = 0.0
        self.last: Exchange | None = None

    def leave(self, url: str = "") -> None:
        """Wait until a request may leave, and begin its record. Raises `SourceError` once `stop` is set."""
        self.last = None
        self.throttle.acquire(None if self.stop is None else sleep_until(self.stop), reserve_share=self.reserve_share)
        self.last = Exchange(dt.datetime.now(dt.UTC), time.monotonic(), urlsplit(url).path)

    def arrived(self, status: int, headers: Mapping[str, str]) -> None:
        """Take note of a response; `headers` ignores case."""
        self.throttle.observe(status, headers)
        if self.last is not None:
            self.last.status = status
            self.last.request_id = headers.get("x-request-id")
            remaining = headers.get("x-ratelimit-remaining", "")
            self.last.rate_limit_remaining = int(remaining) if remaining.isdecimal() else None

    def broke(self) -> None:
        """Take note that a request ended without a response."""
        self.throttle.release()


class PacedAdapter(HTTPAdapter):
    """Transport for a session of requests.

    Parameters
    ----------
    rewrite
        Makes the address a request goes to out of the one the library chose; for libraries without a setting.
    """

    def __init__(self, line: Line, *, rewrite: Callable[[str], str] | None = None) -> None:
        self.line = line
        self._rewrite = rewrite
        super().__init__()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - the signature of requests
        timeout: Any = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002 - the signature of requests
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Response of the server, at a permitted moment."""
        if self._rewrite is not None and request.url is not None:
            request.url = self._rewrite(request.url)
        self.line.leave(request.url or "")
        del timeout  # libraries that set one round it to whole seconds, or mean another
        try:
            response = super().send(request, stream, self.line.timeout, verify, cert, proxies)
        except BaseException:
            self.line.broke()
            raise
        self.line.arrived(response.status_code, response.headers)
        return response

    def session(self) -> requests.Session:
        """A new session with this transport."""
        made = requests.Session()
        self.mount_on(made)
        return made

    def mount_on(self, session: requests.Session) -> None:
        """Be the only transport of a session."""
        for scheme in ("https://", "http://"):
            session.mount(scheme, self)


class PacedPool(urllib3.PoolManager):
    """Transport for a library on urllib3; `options` are those of the pool."""

    def __init__(self, line: Line, **options: Any) -> None:
        self.line = line
        super().__init__(**options)

    def urlopen(  # type: ignore[override] # urllib3 says more about `redirect` than is passed on
        self,
        method: str,
        url: str,
        redirect: bool = True,  # noqa: FBT001, FBT002 - the signature of urllib3
        **kw: Any,
    ) -> urllib3.BaseHTTPResponse:
        """Response of the server, at a permitted moment."""
        self.line.leave(url)
        try:
            response = super().urlopen(method, url, redirect, **kw)
        except BaseException:
            self.line.broke()
            raise
        self.line.arrived(response.status, response.headers)
        return response


def line_to(base_url: str, key: str, requests_per_minute: int, timeout_s: float) -> Line:
    """A line to a server; all lines of this process with the same server and key share one throttle."""
    throttle = shared_throttle(base_url, hash(key), requests_per_minute)
    return Line(throttle, timeouts(timeout_s))


def timeouts(timeout_s: float) -> tuple[float, float]:
    """Seconds to connect, and seconds between two bytes of an answer."""
    return min(_LONGEST_CONNECT_SECONDS, timeout_s), timeout_s


@functools.cache
def shared_throttle(server: str, key: int, requests_per_minute: int) -> Throttle:
    """The one throttle of this process for a server and a key, of which the hash is enough."""
    del server, key
    return Throttle(requests_per_minute)


_BREAKAGES: tuple[tuple[type[Exception], str], ...] = (
    (requests.Timeout, "no answer in time"),
    (requests.exceptions.ChunkedEncodingError, "the body ended early"),
    (requests.exceptions.ContentDecodingError, "the body could not be unpacked"),
    (requests.exceptions.JSONDecodeError, "the body is not whole JSON"),
    (requests.exceptions.InvalidHeader, "the headers of the answer contradict each other"),
    (requests.ConnectionError, "the connection could not be made or broke"),
    (urllib3.exceptions.TimeoutError, "no answer in time"),
    (urllib3.exceptions.HTTPError, "the connection broke"),
)
"""Failures worth another try, most special first, and what each means."""


def breakage(error: BaseException) -> str | None:
    """What it means that no whole answer came, if another try may help; None if it cannot."""
    for kind, meaning in _BREAKAGES:
        if isinstance(error, kind):
            return f"{meaning} ({_innermost(error)[:_LONGEST_QUOTE]})"
    return None


def sleep_until(stop: threading.Event) -> Callable[[float], None]:
    """Sleep that ends with a `SourceError` as soon as `stop` is set."""

    def sleep(seconds: float) -> None:
        stop.wait(seconds)
        raise_if_set(stop)

    return sleep


def raise_if_set(stop: threading.Event) -> None:
    """Raise `SourceError` if whoever waits for the page wants it no more."""
    if stop.is_set():
        raise SourceError("stopped before the page was fetched: run the same command again to go on.")


def _innermost(error: BaseException) -> str:
    cause: Any = error
    while args := getattr(cause, "args", ()):
        inner = getattr(args[0], "reason", args[0])
        if not isinstance(inner, Exception) or inner is cause:
            break
        cause = inner
    return f"{type(cause).__name__}: {cause}"
