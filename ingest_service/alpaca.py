"""Alpaca's data API over HTTP: its client library, paced, timed out, retried, with a receipt per request.

The only module that calls Alpaca or imports its client library. alpaca-py is used through its public `get`,
one page at a time, because `get_stock_bars` buffers all pages, loses them when one fails and has no timeout
(https://github.com/alpacahq/alpaca-py). The clients of single endpoints add models, which import pandas.

What a page's body says is left to `pages.py` and `alpaca_actions.py`, what a refusal means to `refusals.py`,
when a request may leave to `throttle.py`, what a row's values are to `normalize.py`.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import logging
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit

import requests
import urllib3
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from pydantic import SecretStr

from barlake.clock import Clock, clock_of
from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.keys import SYNTHETIC_FEED
from barlake.receipts import Receipt
from barlake.settings import ALPACA_DATA_URL, ALPACA_TRADING_URL, Settings
from ingest_service.asking import Asker
from ingest_service.paced_http import Line, PacedAdapter, breakage, shared_throttle, sleep_until, timeouts
from ingest_service.page_table import read_table
from ingest_service.pages import BarsPage, Page, PageRequest, Request, Stray, page_request
from ingest_service.refusals import WHERE_KEYS_GO, TransientError, refusal
from ingest_service.throttle import Throttle

__all__ = ["AlpacaSource", "BarsPage", "Stray", "account_throttle", "data_url", "resolve_feed"]

logger = logging.getLogger(__name__)

PageT = TypeVar("PageT", bound=Page)

EMBARGO = dt.timedelta(minutes=16)
"""Distance kept from the present for SIP bars: the free plan withholds the newest 15 minutes."""

_LONGEST_BACKOFF_SECONDS = 30.0
_LONGEST_QUOTE = 200
_REDIRECTIONS = range(300, 400)
_TRADING_REQUESTS_PER_MINUTE = 200
_TRADING_HOSTS = frozenset({"paper-api.alpaca.markets", "api.alpaca.markets"})


class AlpacaSource:
    """Raw minute bars and corporate actions from Alpaca, one page per call.

    For one thread: requests' sessions are not documented as thread-safe. Several sources with the same key
    share one `Throttle`.

    Parameters
    ----------
    client
        alpaca-py's, raw_data=True.
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
    market
        Market time where it is made up, since the server then lives by it too; None learns the server's time from
        its answers.
    """

    source = "alpaca"

    def __init__(
        self,
        client: RESTClient,
        *,
        base_url: str,
        throttle: Throttle,
        secrets: Sequence[str] = (),
        stop: threading.Event | None = None,
        attempts: int = 6,
        timeout: tuple[float, float] = (5.0, 30.0),
        backoff_seconds: float = 1.0,
        market: Clock | None = None,
    ) -> None:
        self._client = client
        self._market = market
        self.base_url = base_url
        self.secrets = tuple(secrets)
        self.line = Line(throttle, timeout)
        self.line.stop = stop
        self._asker = Asker(
            self.source,
            base_url,
            self.line,
            stop or threading.Event(),
            attempts=attempts,
            backoff_seconds=backoff_seconds,
            secrets=self.secrets,
        )
        _harden(client, self.line)
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
    ) -> Self:
        """Source for the key and address in the settings; `options` are those of the class.

        Raises
        ------
        CredentialsError
            If key or secret is absent or cannot be one.
        """
        key = _credential("ALPACA_API_KEY_ID", settings.alpaca_key_id)
        secret = _credential("ALPACA_API_SECRET_KEY", settings.alpaca_secret_key)
        base_url = data_url(settings.alpaca_data_url)
        stop = stop or threading.Event()
        client = RESTClient(base_url, key, secret, raw_data=True)
        throttle = throttle or Throttle(settings.alpaca_requests_per_minute, sleep=sleep_until(stop))
        market = clock_of(settings) if settings.clock_file else None
        options = {"market": market, "timeout": timeouts(settings.alpaca_timeout_s)} | options
        return cls(client, base_url=base_url, throttle=throttle, secrets=(key, secret), stop=stop, **options)

    @classmethod
    def trading_from_settings(cls, settings: Settings, *, stop: threading.Event | None = None, **options: Any) -> Self:
        """Source on the trading API, which has the calendar; its budget is another one than the data API's.

        Raises
        ------
        CredentialsError
            As `from_settings`.
        """
        key = _credential("ALPACA_API_KEY_ID", settings.alpaca_key_id)
        secret = _credential("ALPACA_API_SECRET_KEY", settings.alpaca_secret_key)
        base_url = _trading_url(settings)
        stop = stop or threading.Event()
        client = RESTClient(base_url, key, secret, raw_data=True)
        throttle = Throttle(_TRADING_REQUESTS_PER_MINUTE, sleep=sleep_until(stop))
        options = {"timeout": timeouts(settings.alpaca_timeout_s)} | options
        return cls(client, base_url=base_url, throttle=throttle, secrets=(key, secret), stop=stop, **options)

    def server_now(self) -> dt.datetime:
        """Present instant, UTC, by the clock of Alpaca's last responses; by the local clock before the first."""
        if self._market is not None:
            return self._market.now()
        return dt.datetime.fromtimestamp(self.line.throttle.server_time(), dt.UTC)

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

    def ask_once(self, request: Request[PageT]) -> PageT:
        """The page of one try, without retry and receipt, for those who see to both."""
        self._remember(request.page_token, (request.endpoint, request.symbol, request.start, request.end))
        outcome = self._outcome(request)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _fetch(self, request: Request[PageT], on_receipt: Callable[[Receipt], None]) -> PageT:
        return self._asker.ask(request, lambda: self._outcome(request), on_receipt)

    def _remember(self, page_token: str | None, window: tuple[object, ...]) -> None:
        if page_token is None or window != self._window:
            self._window, self._tokens_seen = window, set()
        if page_token is not None:
            self._tokens_seen.add(page_token)

    def _outcome(self, request: Request[PageT]) -> PageT | Exception:
        """Page, or the error to raise.

        Returned and not raised: the library's exceptions carry the request with its secret headers, and an
        error raised while one is handled keeps it as its context.
        """
        _, version, path = request.endpoint.split("/", maxsplit=2)
        try:
            body = self._client.get(f"/{path}", request.params(), api_version=version)
        except APIError as error:
            return refusal(
                error.status_code, self._asker.redacted(str(error)), request=str(request), base_url=self.base_url
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            return self._redirection() or self._breakage(error)
        if redirection := self._redirection():
            return redirection
        return self._page(body, request)

    def _page(self, content: Any, request: Request[PageT]) -> PageT | Exception:
        """Page of a body as it came, or what is wrong with it."""
        try:
            page = _read(content, request)
        except TransientError as error:
            return error
        except ValueError as error:
            return TransientError(self._asker.redacted(f"the body is not whole JSON ({type(error).__name__}: {error})"))
        if page.next_page_token in self._tokens_seen:
            return TransientError("its next page token came before, so its pages would never end")
        return page

    def _redirection(self) -> Exception | None:
        status = self.line.last and self.line.last.status
        if status not in _REDIRECTIONS:
            return None
        return InvalidInputError(
            f"{self.base_url} redirects (HTTP {status}), and a key is not sent after a redirection: "
            "set ALPACA_DATA_URL to the final address."
        )

    def _breakage(self, error: Exception) -> Exception:
        """What it means that no whole answer came."""
        if meaning := breakage(error):
            return TransientError(self._asker.redacted(meaning))
        return InvalidInputError(
            f"no request could be made to {self.base_url}: {type(error).__name__}. "
            "Check ALPACA_DATA_URL and the proxy settings of the environment."
        )


def account_throttle(settings: Settings) -> Throttle:
    """The one throttle of this process for the account of the settings: its budget is one, whoever asks."""
    key = settings.alpaca_key_id.get_secret_value() if settings.alpaca_key_id else ""
    return shared_throttle(settings.alpaca_data_url or "", hash(key), settings.alpaca_requests_per_minute)


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


def _read(content: bytes | None, request: Request[PageT]) -> PageT:
    """Page of a body as it came. Raises ValueError if that is no JSON, `TransientError` if it is another."""
    if isinstance(request, PageRequest) and content:
        page = read_table(content, request)
        if page is not None:
            return cast("PageT", page)
    return request.read(None if content is None else json.loads(content))


def _keep_bytes(response: requests.Response, **_options: Any) -> None:
    """Let the client hand out a body as it came, not as Python objects: those of a page of bars cost a lot."""
    response.json = lambda **_kwargs: response.content  # type: ignore[method-assign]


def _harden(client: RESTClient, line: Line) -> None:
    """Give a client the timeout and the throttle of the line on every request, and no retries of its own."""
    missing = [name for name in ("_session", "_retry", "get") if not hasattr(client, name)]
    if missing:
        raise SourceError(
            f"alpaca-py {importlib.metadata.version('alpaca-py')} has no {', '.join(missing)} any more, so its "
            "requests could not be paced or timed out, and none is made: install alpaca-py 0.44."
        )
    client._session.hooks["response"].append(_keep_bytes)  # noqa: SLF001 - the same
    PacedAdapter(line).mount_on(client._session)  # noqa: SLF001 - the library offers no public way, checked above
    client._retry = 0  # noqa: SLF001 - the same


def _credential(name: str, value: SecretStr | None) -> str:
    text = value.get_secret_value().strip() if value is not None else ""
    if not text:
        raise CredentialsError(f"{name} is not set, and Alpaca answers no request without it. {WHERE_KEYS_GO}")
    if not re.fullmatch(r"[!-~]+", text):
        raise CredentialsError(
            f"{name} holds a space, a line break or a letter no key has (its value is not shown). {WHERE_KEYS_GO}"
        )
    return text


def _trading_url(settings: Settings) -> str:
    """Address of the trading API: the one set, the address that stands in for Alpaca's data API, or Alpaca's own."""
    if settings.alpaca_trading_url is not None:
        return settings.alpaca_trading_url
    data_url = settings.alpaca_data_url
    is_alpaca = data_url is None or (urlsplit(data_url).hostname or "").endswith(".alpaca.markets")
    return ALPACA_TRADING_URL if is_alpaca or data_url is None else data_url


def data_url(setting: str | None) -> str:
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
