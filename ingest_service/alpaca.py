"""Alpaca's data API over HTTP: its client library, paced, timed out, retried, with a receipt per request.

The only module that calls Alpaca or imports its client library. alpaca-py is used through its public `get`,
one page at a time, because `get_stock_bars` buffers all pages, loses them when one fails and has no timeout
(https://github.com/alpacahq/alpaca-py).

What a page's body says is left to `pages.py` and `alpaca_actions.py`, what a refusal means to `refusals.py`,
when a request may leave to `throttle.py`, what a row's values are to `normalize.py`.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import itertools
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3
from alpaca.common.exceptions import APIError
from alpaca.data.historical.stock import StockHistoricalDataClient
from pydantic import SecretStr
from requests.adapters import HTTPAdapter

from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.keys import SYNTHETIC_FEED
from barlake.receipts import Receipt
from barlake.settings import ALPACA_DATA_URL, Settings
from ingest_service.pages import BarsPage, Page, Request, Stray, page_request
from ingest_service.refusals import WHERE_KEYS_GO, TransientError, refusal
from ingest_service.throttle import Throttle

__all__ = ["AlpacaSource", "BarsPage", "Stray", "resolve_feed"]

logger = logging.getLogger(__name__)

PageT = TypeVar("PageT", bound=Page)

EMBARGO = dt.timedelta(minutes=16)
"""Distance kept from the present for SIP bars: the free plan withholds the newest 15 minutes."""

_LONGEST_BACKOFF_SECONDS = 30.0
_LONGEST_QUOTE = 200
_REDIRECTIONS = range(300, 400)
_TRADING_HOSTS = frozenset({"paper-api.alpaca.markets", "api.alpaca.markets"})


@dataclass
class _Exchange:
    """What the adapter saw of one request; of the headers only what a receipt may hold."""

    requested_at: dt.datetime
    started: float
    status: int | None = None
    request_id: str | None = None
    rate_limit_remaining: int | None = None


class PacedAdapter(HTTPAdapter):
    """Every request waits for the throttle and has a timeout; every response feeds the throttle."""

    def __init__(self, throttle: Throttle, timeout: tuple[float, float]) -> None:
        self.throttle = throttle
        self.timeout = timeout
        self.last: _Exchange | None = None
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
        self.last = None
        self.throttle.acquire()
        exchange = self.last = _Exchange(dt.datetime.now(dt.UTC), time.monotonic())
        timeout = self.timeout if timeout is None else timeout
        try:
            response = super().send(request, stream, timeout, verify, cert, proxies)
        except BaseException:
            self.throttle.release()
            raise
        self.throttle.observe(response.status_code, response.headers)
        exchange.status = response.status_code
        exchange.request_id = response.headers.get("X-Request-ID")
        remaining = response.headers.get("X-RateLimit-Remaining", "")
        exchange.rate_limit_remaining = int(remaining) if remaining.isdecimal() else None
        return response


class AlpacaSource:
    """Raw minute bars and corporate actions from Alpaca, one page per call.

    For one thread: requests' sessions are not documented as thread-safe. Several sources with the same key
    share one `Throttle`.

    Parameters
    ----------
    client
        alpaca-py's client, raw_data=True.
    base_url
        Address the client was made with; kept for messages.
    throttle
        Paces the requests of this source.
    secrets
        Texts to blank out wherever the server repeats them in an error body.
    stop
        Ends waits and retries at once when set; `fetch_page` then raises `SourceError`.
    attempts
        Tries for one page, at least 1.
    timeout
        Seconds to connect, and seconds between two bytes of an answer.
    backoff_seconds
        Mean first wait after a failure that names no instant; doubles at each further one, up to 30 s.
    """

    source = "alpaca"

    def __init__(
        self,
        client: StockHistoricalDataClient,
        *,
        base_url: str,
        throttle: Throttle,
        secrets: Sequence[str] = (),
        stop: threading.Event | None = None,
        attempts: int = 6,
        timeout: tuple[float, float] = (5.0, 30.0),
        backoff_seconds: float = 1.0,
    ) -> None:
        self._client = client
        self.base_url = base_url
        self._throttle = throttle
        self._secrets = tuple(secrets)
        self._stop = stop or threading.Event()
        self._attempts = attempts
        self._backoff_seconds = backoff_seconds
        self._adapter = _harden(client, throttle, timeout)
        self._window: tuple[object, ...] = ()
        self._tokens_seen: set[str] = set()

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        stop: threading.Event | None = None,
        throttle: Throttle | None = None,
        **options: Any,
    ) -> AlpacaSource:
        """Source for the key and address in the settings; `options` are those of the class.

        Raises
        ------
        CredentialsError
            If key or secret is absent or cannot be one.
        """
        key = _credential("ALPACA_API_KEY_ID", settings.alpaca_key_id)
        secret = _credential("ALPACA_API_SECRET_KEY", settings.alpaca_secret_key)
        base_url = _data_url(settings.alpaca_data_url)
        stop = stop or threading.Event()
        client = StockHistoricalDataClient(key, secret, raw_data=True, url_override=base_url)
        throttle = throttle or Throttle(settings.alpaca_requests_per_minute, sleep=_sleep_until(stop))
        return cls(client, base_url=base_url, throttle=throttle, secrets=(key, secret), stop=stop, **options)

    def server_now(self) -> dt.datetime:
        """Present instant, UTC, by the clock of Alpaca's last responses; by the local clock before the first."""
        return dt.datetime.fromtimestamp(self._throttle.server_time(), dt.UTC)

    def latest_allowed_end(self, feed: str) -> dt.datetime:
        """Latest whole minute that may end a window: 16 minutes ago for `sip`, else the running minute."""
        distance = EMBARGO if feed == "sip" else dt.timedelta(0)
        return (self.server_now() - distance).replace(second=0, microsecond=0)

    def fetch_page(
        self,
        symbol: str,
        start: dt.datetime,
        end: dt.datetime,
        *,
        feed: str,
        page_token: str | None = None,
        on_receipt: Callable[[Receipt], None],
    ) -> BarsPage:
        """One page, at most 10,000, of the raw minute bars in [start, end), oldest first.

        `start` and `end` are aware and whole minutes. Transient failures are retried, after the wait the
        server names or an exponential one. `on_receipt` gets one receipt per HTTP request, failed or not.

        Raises
        ------
        InvalidInputError
            If the window is not one, or Alpaca calls the symbol or another parameter invalid.
        CredentialsError
            If Alpaca refuses the key.
        SourceError
            If no attempt gave a usable page, or `stop` was set.
        """
        request = page_request(symbol, start, end, feed, page_token)
        self._remember(page_token, (symbol, start, end, feed))
        return self._fetch(request, on_receipt)

    def fetch(self, request: Request[PageT], *, on_receipt: Callable[[Receipt], None]) -> PageT:
        """The page of any endpoint that a request describes, with the pacing, retries and errors of `fetch_page`."""
        self._remember(request.page_token, (request.endpoint, request.symbol, request.start, request.end))
        return self._fetch(request, on_receipt)

    def _fetch(self, request: Request[PageT], on_receipt: Callable[[Receipt], None]) -> PageT:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=tenacity.wait_exception(self._wait_after),
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(self._attempts), tenacity.stop_when_event_set(self._stop)
            ),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=tenacity.before_sleep_log(logger, logging.INFO),
            reraise=True,
        )
        attempts = itertools.count(1)
        try:
            return retrying(lambda: self._attempt(request, next(attempts), on_receipt))
        except TransientError as error:
            raise SourceError(
                f"no usable page of {request} from {self.base_url} after {error.attempt} attempt(s); the "
                f"last one: {error}. Check the network and the address, wait a little, and run the same "
                "command again: what is already stored is kept and not asked for again."
            ) from error

    def _remember(self, page_token: str | None, window: tuple[object, ...]) -> None:
        if page_token is None or window != self._window:
            self._window, self._tokens_seen = window, set()
        if page_token is not None:
            self._tokens_seen.add(page_token)

    def _wait_after(self, error: BaseException) -> float:
        blocked = self._throttle.blocked_seconds()
        if blocked > 0 or not isinstance(error, TransientError):
            return blocked
        exponential = self._backoff_seconds * 2.0 ** (error.attempt - 1)
        return min(exponential, _LONGEST_BACKOFF_SECONDS) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter

    def _attempt(self, request: Request[PageT], attempt: int, on_receipt: Callable[[Receipt], None]) -> PageT:
        _raise_if_set(self._stop)
        self._adapter.last = None
        outcome = self._outcome(request)
        if isinstance(outcome, TransientError):
            outcome.attempt = attempt
        if self._adapter.last is not None:
            on_receipt(_receipt(request, attempt, self._adapter.last, outcome))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _outcome(self, request: Request[PageT]) -> PageT | Exception:
        """Page, or the error to raise.

        Returned and not raised: the library's exceptions carry the request with its secret headers, and an
        error raised while one is handled keeps it as its context.
        """
        _, version, path = request.endpoint.split("/", maxsplit=2)
        try:
            body = self._client.get(f"/{path}", request.params(), api_version=version)
        except APIError as error:
            return refusal(error.status_code, self._redacted(str(error)), request=str(request), base_url=self.base_url)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            return self._redirection() or self._breakage(error)
        if redirection := self._redirection():
            return redirection
        try:
            page = request.read(body)
        except TransientError as error:
            return error
        if page.next_page_token in self._tokens_seen:
            return TransientError("its next page token came before, so its pages would never end")
        return page

    def _redirection(self) -> Exception | None:
        status = self._adapter.last and self._adapter.last.status
        if status not in _REDIRECTIONS:
            return None
        return InvalidInputError(
            f"{self.base_url} redirects (HTTP {status}), and a key is not sent after a redirection: "
            "set ALPACA_DATA_URL to the final address."
        )

    def _breakage(self, error: Exception) -> Exception:
        """What it means that no whole answer came."""
        for kind, meaning in _BREAKAGES:
            if isinstance(error, kind):
                return TransientError(self._redacted(f"{meaning} ({_innermost(error)[:_LONGEST_QUOTE]})"))
        return InvalidInputError(
            f"no request could be made to {self.base_url}: {type(error).__name__}. "
            "Check ALPACA_DATA_URL and the proxy settings of the environment."
        )

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def resolve_feed(setting: str) -> str:
    """Feed for history: `auto` is `sip`, which is free when it is 15 minutes old; the others are themselves.

    Examples
    --------
    >>> resolve_feed("auto"), resolve_feed("IEX")
    ('sip', 'iex')
    """
    feed = setting.strip().lower()
    if feed not in {"auto", "sip", "iex", SYNTHETIC_FEED}:
        raise InvalidInputError(f"feed {setting!r} is not one Alpaca has for stocks: use auto, sip or iex.")
    return "sip" if feed == "auto" else feed


_BREAKAGES: tuple[tuple[type[Exception], str], ...] = (
    (requests.Timeout, "no answer in time"),
    (requests.exceptions.ChunkedEncodingError, "the body ended early"),
    (requests.exceptions.ContentDecodingError, "the body could not be unpacked"),
    (requests.exceptions.JSONDecodeError, "the body is not whole JSON"),
    (requests.exceptions.InvalidHeader, "the headers of the answer contradict each other"),
    (requests.ConnectionError, "the connection could not be made or broke"),
    (urllib3.exceptions.HTTPError, "the connection broke"),
)
"""Failures worth another try, most special first, and what each means."""


def _harden(client: StockHistoricalDataClient, throttle: Throttle, timeout: tuple[float, float]) -> PacedAdapter:
    """Client with a timeout and the throttle on every request, and without retries of its own."""
    missing = [name for name in ("_session", "_retry", "get") if not hasattr(client, name)]
    if missing:
        raise SourceError(
            f"alpaca-py {importlib.metadata.version('alpaca-py')} has no {', '.join(missing)} any more, so its "
            "requests could not be paced or timed out, and none is made: install alpaca-py 0.44."
        )
    adapter = PacedAdapter(throttle, timeout)
    for scheme in ("https://", "http://"):
        client._session.mount(scheme, adapter)  # noqa: SLF001 - the library offers no public way, checked above
    client._retry = 0  # noqa: SLF001 - the same
    return adapter


def _credential(name: str, value: SecretStr | None) -> str:
    text = value.get_secret_value().strip() if value is not None else ""
    if not text:
        raise CredentialsError(f"{name} is not set, and Alpaca answers no request without it. {WHERE_KEYS_GO}")
    if not re.fullmatch(r"[!-~]+", text):
        raise CredentialsError(
            f"{name} holds a space, a line break or a letter no key has (its value is not shown). {WHERE_KEYS_GO}"
        )
    return text


def _data_url(setting: str | None) -> str:
    """Address of the data API, also when the setting names the trading API, as people often copy it."""
    if setting is None:
        return ALPACA_DATA_URL
    parts = urlsplit(setting)
    host = parts.hostname or ""
    if host in _TRADING_HOSTS:
        logger.warning("%s is Alpaca's trading API, which has no bars: using %s instead.", setting, ALPACA_DATA_URL)
        return ALPACA_DATA_URL
    if parts.scheme == "http" and host.endswith(".alpaca.markets"):
        logger.warning("%s would send the key unencrypted: using https instead.", setting)
        return f"https{setting.removeprefix('http')}"
    return setting


def _sleep_until(stop: threading.Event) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        stop.wait(seconds)
        _raise_if_set(stop)

    return sleep


def _raise_if_set(stop: threading.Event) -> None:
    if stop.is_set():
        raise SourceError("stopped before the page was fetched: run the same command again to go on.")


def _receipt(request: Request[Page], attempt: int, exchange: _Exchange, outcome: Page | Exception) -> Receipt:
    page = None if isinstance(outcome, Exception) else outcome
    return Receipt(
        requested_at=exchange.requested_at,
        source=AlpacaSource.source,
        endpoint=request.endpoint,
        feed=request.feed,
        symbol=request.symbol,
        start=request.start,
        end=request.end,
        page_token=request.page_token,
        next_page_token=page.next_page_token if page is not None else None,
        rows=len(page.rows) if page is not None else 0,
        status=exchange.status,
        complete=page is not None and page.next_page_token is None,
        attempt=attempt,
        duration_ms=(time.monotonic() - exchange.started) * 1000.0,
        request_id=exchange.request_id,
        rate_limit_remaining=exchange.rate_limit_remaining,
        error=None if page is not None else str(outcome),
    )


def _innermost(error: Exception) -> str:
    cause: Any = error
    while args := getattr(cause, "args", ()):
        inner = getattr(args[0], "reason", args[0])
        if not isinstance(inner, Exception) or inner is cause:
            break
        cause = inner
    return f"{type(cause).__name__}: {cause}"
