"""FRED, the macro series of the Federal Reserve Bank of St. Louis, with every release of every value.

The only module that imports its client library, `fredapi`, which has no timeout: its one method that sends a
request is replaced. Facts about the endpoint: https://fred.stlouisfed.org/docs/api/fred/series_observations.html.
"""

from __future__ import annotations

import datetime as dt
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import fredapi
import polars as pl

from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.sessions import NEW_YORK
from barlake.settings import Settings
from ingest_service.paced_http import Line, PacedAdapter, line_to
from ingest_service.refusals import TransientError
from ingest_service.sources.interface import COLUMNS, Capabilities, Dataset, SourcePage
from ingest_service.sources.keys import required_key

__all__ = ["FredSource", "from_settings"]

_EARLIEST = dt.date(1776, 7, 4)
_FIRST_PART_ENDS = dt.date(1990, 1, 1)
_PART_YEARS = 5
"""FRED refuses a request that covers more than 2,000 releases; a daily series has 250 a year since about 1990."""

_DAY = dt.timedelta(days=1)
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_FIRST_ERROR_STATUS = 400


class FredSource:
    """Series of FRED.

    Parameters
    ----------
    api_key
        Sent in the query, so it is blanked out of every message.
    line
        What the requests are made over.
    """

    capabilities = Capabilities(name="fred", offers=frozenset({Dataset.MACRO}), requests_per_minute=90, needs_key=True)

    def __init__(self, api_key: str, *, base_url: str, line: Line) -> None:
        self.base_url = base_url
        self.line = line
        self.secrets = (api_key,)
        self._client = _Client(api_key, base_url, line)

    def macro(self, series: str, start: dt.date, end: dt.date, *, page_token: str | None) -> SourcePage:
        """Every value of a series released in [start, end), a few years of releases at a time.

        FRED knows the date of a release and not its hour, so a value is known from the next New York midnight.
        A value that the source does not have is null.
        """
        first = max(start if page_token is None else dt.date.fromisoformat(page_token), _EARLIEST)
        beyond = min(_part_end(first), end)
        # A value that was valid before the window is dated to its first day: that day is asked for and left out.
        asked = max(first - _DAY, _EARLIEST)
        releases = self._client.get_series_all_releases(series, asked.isoformat(), (beyond - _DAY).isoformat())
        rows = [row for row in _rows(releases) if row[3] >= first]
        schema = {**COLUMNS[Dataset.MACRO], "released": pl.Date()}
        return SourcePage(pl.DataFrame(rows, schema=schema, orient="row"), beyond.isoformat() if beyond < end else None)


class _Client(fredapi.Fred):  # type: ignore[misc] # the library has no types
    """The library's client over a paced line."""

    def __init__(self, api_key: str, base_url: str, line: Line) -> None:
        super().__init__(api_key=api_key)
        self.root_url = base_url
        self._session = PacedAdapter(line).session()

    def _Fred__fetch_data(self, url: str) -> ET.Element:  # noqa: N802 - the library's own name for it
        response = self._session.get(f"{url}&api_key={self.api_key}")
        try:
            root = ET.fromstring(response.content)  # noqa: S314 - the same
        except ET.ParseError:
            if response.status_code < _FIRST_ERROR_STATUS:
                raise TransientError("the body is not whole XML") from None
            root = ET.Element("error", message=response.text[:200])
        if response.status_code >= _FIRST_ERROR_STATUS:
            raise _refusal(response.status_code, root.get("message") or "", self.root_url)
        if root.tag != "observations":
            raise TransientError(f"the body is <{root.tag}>, not observations")
        return root


def from_settings(settings: Settings) -> FredSource:
    """FRED with the key of the settings. Raises `CredentialsError` if there is none."""
    own = settings.sources.fred
    key = required_key("FRED_API_KEY", own.api_key, "FRED")
    return FredSource(key, base_url=own.base_url, line=line_to(own.base_url, key, own.rpm, own.timeout_s))


def _rows(releases: Any) -> Iterator[tuple[dt.date, float | None, dt.datetime, dt.date]]:
    """Date, value, first instant it may be used, date of release; of an empty answer none."""
    for record in releases.to_dict("records"):
        released = record["realtime_start"].date()
        value = record["value"]  # a page without a single value has NaT for NaN
        known = dt.datetime.combine(released + _DAY, dt.time(), tzinfo=NEW_YORK).astimezone(dt.UTC)
        yield (
            record["date"].date(),
            float(value) if isinstance(value, float) and not math.isnan(value) else None,
            known,
            released,
        )


def _part_end(first: dt.date) -> dt.date:
    if first < _FIRST_PART_ENDS:
        return _FIRST_PART_ENDS
    return dt.date(first.year + _PART_YEARS, 1, 1)


def _refusal(status: int, message: str, base_url: str) -> Exception:
    told = f"{base_url} answered HTTP {status}: {message!r}."
    if status in _TRANSIENT:
        return TransientError(f"HTTP {status}: {message!r}")
    if "api_key" in message or status in {401, 403}:
        return CredentialsError(f"FRED refused the key: {told} Check FRED_API_KEY.")
    if status < 500:  # noqa: PLR2004 - the statuses of HTTP
        return InvalidInputError(f"FRED refused the request: {told} Check the name of the series.")
    return SourceError(f"FRED failed: {told}")
