"""Alpha Vantage: raw daily bars, and refusals that come as HTTP 200.

The only module that imports its client library, `alpha_vantage`, which has no timeout: its one method that
sends a request is replaced. Facts about the endpoint: https://www.alphavantage.co/documentation/#daily.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
from alpha_vantage.timeseries import TimeSeries

from barlake.clock import Clock, clock_of
from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.settings import Settings
from barlake.source_settings import AlphaVantageSettings
from ingest_service.paced_http import Line, PacedAdapter, line_to
from ingest_service.refusals import TransientError
from ingest_service.sources.interface import Capabilities, Dataset, SourcePage
from ingest_service.sources.keys import required_key
from ingest_service.sources.rows import Field, read_rows

__all__ = ["AlphaVantageSource", "from_settings"]

_HOME = AlphaVantageSettings.model_fields["base_url"].default
_COMPACT = dt.timedelta(days=130)
"""The short answer holds 100 sessions, which are at least this many days."""

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIRST_ERROR_STATUS = 400
_FIELDS = {
    "session": Field("date", "date"),
    "open": Field("1. open", "number"),
    "high": Field("2. high", "number"),
    "low": Field("3. low", "number"),
    "close": Field("4. close", "number"),
    "volume": Field("5. volume", "number"),
}


class AlphaVantageSource:
    """Daily series of Alpha Vantage.

    Parameters
    ----------
    api_key
        Sent in the query, and told back in refusals, so it is blanked out of every message.
    line
        What the requests are made over.
    clock
        Market time, to choose between the short answer and the whole series.
    """

    capabilities = Capabilities(
        name="alphavantage", offers=frozenset({Dataset.DAILY}), requests_per_minute=5, needs_key=True
    )

    def __init__(self, api_key: str, *, base_url: str, line: Line, clock: Clock) -> None:
        self.base_url = base_url
        self.line = line
        self.secrets = (api_key,)
        self._clock = clock
        self._client = _Client(api_key, base_url, line)

    def daily(self, symbol: str, start: dt.date, end: dt.date, *, page_token: str | None) -> SourcePage:
        """The raw daily bars of the sessions in [start, end), in one page."""
        del page_token  # there is one page
        size = "compact" if start > self._clock.now().date() - _COMPACT else "full"
        data, _ = self._client.get_daily(symbol=symbol, outputsize=size)
        frame, refused = read_rows(({"date": day, **values} for day, values in sorted(data.items())), _FIELDS)
        return SourcePage(frame.filter(pl.col("session").is_between(start, end, closed="left")), refused=refused)


class _Client(TimeSeries):  # type: ignore[misc] # the library has no types
    """The library's client over a paced line; it has no setting for the address."""

    def __init__(self, api_key: str, base_url: str, line: Line) -> None:
        super().__init__(key=api_key, output_format="json")
        rewrite = lambda url: url.replace(_HOME, base_url, 1)  # noqa: E731 - said in one line
        self._session = PacedAdapter(line, rewrite=rewrite).session()
        self._address = base_url

    def _handle_api_call(self, url: str) -> dict[str, Any]:
        response = self._session.get(url)
        status = response.status_code
        if status in _TRANSIENT:
            raise TransientError(f"HTTP {status}: {response.text[:200]!r}")
        if status >= _FIRST_ERROR_STATUS:
            raise SourceError(f"{self._address} answered HTTP {status}: {response.text[:200]!r}.")
        try:
            body = response.json()
        except ValueError:
            raise TransientError("the body is not whole JSON") from None
        if not isinstance(body, dict) or not body:
            raise TransientError("the body is not an object with anything in it")
        for name in ("Error Message", "Information", "Note"):
            if name in body:
                raise _refusal(str(body[name])[:300])
        if "Time Series (Daily)" not in body:
            raise TransientError("the body is not a daily series")
        return body


def from_settings(settings: Settings) -> AlphaVantageSource:
    """Alpha Vantage with the key of the settings. Raises `CredentialsError` if there is none."""
    own = settings.sources.alpha_vantage
    key = required_key("ALPHAVANTAGE_API_KEY", own.api_key, "Alpha Vantage")
    line = line_to(own.base_url, key, own.rpm, own.timeout_s)
    return AlphaVantageSource(key, base_url=own.base_url, line=line, clock=clock_of(settings))


def _refusal(told: str) -> Exception:
    """What a sentence in place of data means; the wordings are those people recorded."""
    words = told.lower()
    if "per day" in words or ("daily" in words and "limit" in words):
        return SourceError(f"Alpha Vantage gives no more today: {told!r} It does again after midnight.")
    if "per minute" in words or "per second" in words or "sparingly" in words or "frequency" in words:
        return TransientError(f"HTTP 200: {told!r}")
    if "apikey" in words or "api key" in words or "premium" in words:
        return CredentialsError(f"Alpha Vantage refused the key or its plan: {told!r} Check ALPHAVANTAGE_API_KEY.")
    return InvalidInputError(f"Alpha Vantage refused the request: {told!r} Check the symbol.")
