"""Yahoo Finance through yfinance: daily bars of anything, and the minutes of the last 30 days.

The only module that imports `yfinance` and the HTTP library it insists on, `curl_cffi`. Yahoo has no contract
with anyone who asks: its terms forbid automated use and passing the data on. It adjusts all prices for splits.
Facts about the library: https://ranaroussi.github.io/yfinance.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import yfinance
from curl_cffi import requests as curl
from yfinance.data import YfData
from yfinance.exceptions import YFPricesMissingError, YFRateLimitError, YFTzMissingError

from barlake.errors import InvalidInputError, SourceError
from barlake.keys import Adjustment
from barlake.sessions import NEW_YORK
from barlake.settings import Settings
from barlake.source_settings import YahooSettings
from barlake.stores import folder_of
from ingest_service.paced_http import Line, line_to
from ingest_service.refusals import TransientError
from ingest_service.sources.interface import Capabilities, Dataset, SourcePage

__all__ = ["YahooSource", "from_settings"]

_HOME = YahooSettings.model_fields["base_url"].default
_DAY = dt.timedelta(days=1)
_FIRST_SERVER_ERROR = 500
_NAMES = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}

_one_at_a_time = threading.Lock()
"""yfinance keeps one session and one set of options for the whole process."""


class YahooSource:
    """Charts of Yahoo Finance.

    Parameters
    ----------
    base_url
        Where the requests go instead of to the hosts of Yahoo that yfinance names.
    line
        What they are made over.
    """

    capabilities = Capabilities(
        name="yahoo",
        offers=frozenset({Dataset.DAILY, Dataset.MINUTE}),
        feeds=("yahoo",),
        recent_minutes=dt.timedelta(days=29),
        longest_span=dt.timedelta(days=7),
        adjusted={Dataset.DAILY: Adjustment.SPLIT},
        requests_per_minute=60,
    )

    def __init__(self, *, base_url: str, line: Line) -> None:
        self.base_url = base_url
        self.line = line
        self._session = _PacedSession(line, base_url)

    def minute(
        self, symbol: str, start: dt.datetime, end: dt.datetime, *, feed: str, page_token: str | None
    ) -> SourcePage:
        """The minute bars in [start, end), before and after hours included, in one page.

        Raises
        ------
        SourceError
            If the symbol was split since: Yahoo has adjusted those minutes, and they are not raw any more.
        """
        del feed, page_token  # there is one of each
        since = start.astimezone(NEW_YORK).date()
        splits = [when for when in self._splits(symbol, since) if when > since]
        if splits:
            raise SourceError(
                f"Yahoo has adjusted the minutes of {symbol} before {splits[-1]}, when it was split, and raw ones are "
                "kept: take them from another source."
            )
        frame = self._history(symbol, start=start, end=end, interval="1m", prepost=True)
        if frame is None:
            return SourcePage(pl.DataFrame(schema={"timestamp": pl.Datetime("us", "UTC"), **_NUMBERS}))
        stamps = pl.Series("timestamp", [moment.to_pydatetime() for moment in frame.index.tz_convert("UTC")])
        return SourcePage(_numbers(frame).insert_column(0, stamps.cast(pl.Datetime("us", "UTC"))))

    def daily(self, symbol: str, start: dt.date, end: dt.date, *, page_token: str | None) -> SourcePage:
        """The daily bars of the sessions in [start, end), in terms of the shares of today, in one page."""
        del page_token  # there is one
        frame = self._history(symbol, start=start, end=end, interval="1d")
        if frame is None:
            return SourcePage(pl.DataFrame(schema={"session": pl.Date(), **_NUMBERS}))
        days = pl.Series("session", [moment.date() for moment in frame.index], dtype=pl.Date())
        return SourcePage(_numbers(frame).insert_column(0, days))

    def _splits(self, symbol: str, since: dt.date) -> list[dt.date]:
        """Dates of the splits from that date to now."""
        frame = self._history(symbol, start=since, interval="1d")
        return [] if frame is None else [moment.date() for moment in frame.index[frame["Stock Splits"] > 0]]

    def _history(self, symbol: str, **options: Any) -> Any:
        """The library's table, or None when there is nothing in the window."""
        with _one_at_a_time, _said_aloud():
            # The library remembers the bodies of past windows, also one that came broken.
            YfData.cache_get.cache_clear()
            try:
                ticker = yfinance.Ticker(symbol, session=self._session)
                frame = ticker.history(**options, auto_adjust=False, actions=True, timeout=self.line.timeout[1])
            except YFRateLimitError:
                raise TransientError("HTTP 429: Yahoo asks for fewer requests") from None
            except YFTzMissingError:
                raise self._nothing(symbol, "it has no such symbol") from None
            except YFPricesMissingError as error:
                if error.yahoo_reason is None and not self._failed():
                    if "symbol" in ticker.get_history_metadata():
                        return None
                    raise TransientError("the body is not a chart") from None
                raise self._nothing(symbol, error.yahoo_reason or "it gave no prices") from None
            except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
                # The library reads whatever came as if it were a chart.
                raise TransientError(f"no chart could be read ({type(error).__name__}: {error})"[:200]) from None
        return None if frame.empty else frame

    def _failed(self) -> bool:
        status = self.line.last.status if self.line.last is not None else None
        return status is None or status >= _FIRST_SERVER_ERROR

    def _nothing(self, symbol: str, reason: str) -> Exception:
        if self._failed():
            status = self.line.last.status if self.line.last is not None else None
            return TransientError(f"HTTP {status}: {reason}")
        return InvalidInputError(f"Yahoo has no {symbol} to give: {reason}. Its indices are named as in ^GSPC.")


class _PacedSession(curl.Session[curl.Response]):
    """The session that yfinance wants, paced, timed out, and led to another address where the settings name one."""

    def __init__(self, line: Line, base_url: str) -> None:
        super().__init__(impersonate="chrome")
        self._line = line
        self._base_url = base_url

    def request(self, method: Any, url: str, **options: Any) -> Any:  # type: ignore[override] # options pass through
        """Response of the server, at a permitted moment."""
        if self._base_url != _HOME:
            url = f"{self._base_url}{urlsplit(url).path}"
        self._line.leave(url)
        try:
            response = super().request(method, url, **options | {"timeout": self._line.timeout})
        except BaseException:
            self._line.broke()
            raise
        self._line.arrived(response.status_code, {name.lower(): text or "" for name, text in response.headers.items()})
        return response


def from_settings(settings: Settings) -> YahooSource:
    """Yahoo at the address of the settings."""
    own = settings.sources.yahoo
    # Else the library keeps what it remembers in the home of whoever runs it; it makes the folder when it needs it.
    yfinance.set_tz_cache_location(str(folder_of(settings) / "operations" / "yahoo"))
    return YahooSource(base_url=own.base_url, line=line_to(own.base_url, "", own.rpm, own.timeout_s))


@contextmanager
def _said_aloud() -> Iterator[None]:
    """While inside, the library raises its errors and does not turn them into empty tables."""
    before = yfinance.config.debug.hide_exceptions
    yfinance.config.debug.hide_exceptions = False
    try:
        yield
    finally:
        yfinance.config.debug.hide_exceptions = before


_NUMBERS: dict[str, pl.DataType] = dict.fromkeys(_NAMES.values(), pl.Float64())


def _numbers(frame: Any) -> pl.DataFrame:
    return pl.DataFrame({name: frame[theirs].to_numpy(dtype="float64") for theirs, name in _NAMES.items()})
