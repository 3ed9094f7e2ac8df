"""Massive, formerly Polygon.io: raw minute and daily bars of the consolidated tape.

The only module that imports its client library, `massive`. Its iterator takes a body that is not JSON for the
end of the data, so pages are asked for by themselves, raw. Facts about the endpoint:
https://massive.com/docs/rest/stocks/aggregates/custom-bars.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import massive
import polars as pl
import urllib3
from massive.exceptions import BadResponse

from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.sessions import NEW_YORK
from barlake.settings import Settings
from ingest_service.paced_http import Line, PacedPool, line_to
from ingest_service.refusals import TransientError
from ingest_service.sources.interface import Capabilities, Dataset, SourcePage
from ingest_service.sources.keys import required_key
from ingest_service.sources.rows import Field, read_rows

__all__ = ["MassiveSource", "from_settings"]

_LIMIT = 50_000
_MINUTE = dt.timedelta(minutes=1)
_TRANSIENT = frozenset({408, 425, 429, 499, 500, 502, 503, 504})
_UNAUTHORIZED, _FORBIDDEN = 401, 403

_FIELDS = {
    "timestamp": Field("t", "instant_ms"),
    "open": Field("o", "number"),
    "high": Field("h", "number"),
    "low": Field("l", "number"),
    "close": Field("c", "number"),
    "volume": Field("v", "number"),
    "trade_count": Field("n", "count", optional=True),
    "vwap": Field("vw", "number", optional=True),
}


class MassiveSource:
    """Aggregates of Massive.

    Parameters
    ----------
    api_key
        Sent in a header.
    line
        What the requests are made over.
    """

    capabilities = Capabilities(
        name="massive",
        offers=frozenset({Dataset.MINUTE, Dataset.DAILY}),
        feeds=("sip",),
        oldest_minute=dt.date(2003, 9, 10),
        embargo=dt.timedelta(minutes=16),
        requests_per_minute=5,
        needs_key=True,
    )

    def __init__(self, api_key: str, *, base_url: str, line: Line) -> None:
        self.base_url = base_url
        self.line = line
        self.secrets = (api_key,)
        self._client = massive.RESTClient(api_key, base=base_url, retries=0, pagination=False)
        # The library's own pool, over the paced line: its headers and certificates, our timeout, no retry.
        options: dict[str, Any] = dict(self._client.client.connection_pool_kw)
        connect, read = line.timeout
        options |= {"retries": False, "timeout": urllib3.Timeout(connect=connect, read=read)}
        self._client.client = PacedPool(line, **options, headers=self._client.headers)

    def minute(
        self, symbol: str, start: dt.datetime, end: dt.datetime, *, feed: str, page_token: str | None
    ) -> SourcePage:
        """One page of the raw minute bars in [start, end)."""
        del feed  # there is one
        # Both ends of Massive's range are inclusive.
        return self._page(symbol, "minute", _ms(start), _ms(end - _MINUTE), page_token)

    def daily(self, symbol: str, start: dt.date, end: dt.date, *, page_token: str | None) -> SourcePage:
        """One page of the raw daily bars of the sessions in [start, end)."""
        page = self._page(symbol, "day", start.isoformat(), (end - dt.timedelta(days=1)).isoformat(), page_token)
        # A day's bar is stamped with the New York midnight it begins at.
        session = pl.col("timestamp").dt.convert_time_zone(NEW_YORK.key).dt.date().alias("session")
        return SourcePage(page.rows.with_columns(session), page.next_page_token, page.refused)

    def _page(self, symbol: str, timespan: str, first: str, last: str, token: str | None) -> SourcePage:
        params = None
        if token is not None:
            first, _, cursor = token.partition("|")
            params = {"cursor": cursor}
        try:
            response = self._client.list_aggs(
                symbol, 1, timespan, first, last, adjusted=False, sort="asc", limit=_LIMIT, params=params, raw=True
            )
        except BadResponse as error:
            raise self._refusal(str(error), symbol) from None
        return _read(cast("urllib3.HTTPResponse", response).data)

    def _refusal(self, body: str, symbol: str) -> Exception:
        status = self.line.last.status if self.line.last is not None else None
        told = f"{self.base_url} answered HTTP {status}: {_message(body)!r}."
        if status in _TRANSIENT:
            return TransientError(f"HTTP {status}: {_message(body)!r}")
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            return CredentialsError(
                f"Massive refused the key, or the plan behind it has no such data: {told} Check MASSIVE_API_KEY."
            )
        if status is not None and status < 500:  # noqa: PLR2004 - the statuses of HTTP
            return InvalidInputError(f"Massive refused the request for {symbol}: {told}")
        return SourceError(f"Massive failed on {symbol}: {told}")


def from_settings(settings: Settings) -> MassiveSource:
    """Massive with the key of the settings. Raises `CredentialsError` if there is none."""
    own = settings.sources.massive
    key = required_key("MASSIVE_API_KEY", own.api_key, "Massive")
    return MassiveSource(key, base_url=own.base_url, line=line_to(own.base_url, key, own.rpm, own.timeout_s))


def _read(data: bytes) -> SourcePage:
    try:
        body = json.loads(data)
    except ValueError as error:
        raise TransientError("the body is not whole JSON") from error
    rows = body.get("results") if isinstance(body, dict) else None
    # A window without bars has no `results`, but it has a status and a count.
    if not isinstance(body, dict) or "status" not in body or not isinstance(rows, list | None):
        raise TransientError("the body is not a page of aggregates")
    frame, refused = read_rows(rows or [], _FIELDS)
    return SourcePage(frame, _token(body.get("next_url")), refused)


def _token(next_url: object) -> str | None:
    """Where the next page begins: the start of its range and its cursor."""
    if not isinstance(next_url, str) or not next_url:
        return None
    parts = urlsplit(next_url)
    cursor = parse_qs(parts.query).get("cursor", [""])[0]
    if not cursor:
        raise TransientError("the address of the next page has no cursor")
    return f"{parts.path.rstrip('/').split('/')[-2]}|{cursor}"


def _message(body: str) -> str:
    try:
        fields = json.loads(body)
    except ValueError:
        return body[:200]
    return str(fields.get("error") or fields.get("message") or body)[:200] if isinstance(fields, dict) else body[:200]


def _ms(moment: dt.datetime) -> str:
    return str(int(moment.timestamp() * 1000))
