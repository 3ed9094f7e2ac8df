"""Alpaca's daily bars, bars of coins and news: how a page is asked for, and what its body says. Pure.

Requests are sent by `alpaca.py`. Facts about the endpoints: https://docs.alpaca.markets/reference/stockbars,
https://docs.alpaca.markets/reference/cryptobars-1 and https://docs.alpaca.markets/reference/news-3.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from barlake.sessions import NEW_YORK
from ingest_service.refusals import TransientError
from ingest_service.sources.interface import RefusedRow, SourcePage
from ingest_service.sources.rows import Field, read_rows

__all__ = ["CoinBarsRequest", "DailyRequest", "NewsRequest"]

_BARS_LIMIT, _NEWS_LIMIT = 10_000, 50
_DAY = dt.timedelta(days=1)
_MINUTE = dt.timedelta(minutes=1)

_BAR = {
    "timestamp": Field("t", "instant"),
    "open": Field("o", "number"),
    "high": Field("h", "number"),
    "low": Field("l", "number"),
    "close": Field("c", "number"),
    "volume": Field("v", "number"),
    "trade_count": Field("n", "count", optional=True),
    "vwap": Field("vw", "number", optional=True),
}
_ARTICLE = {
    "article_id": Field("id", "text"),
    "created_at": Field("created_at", "instant"),
    "updated_at": Field("updated_at", "instant", optional=True),
    "headline": Field("headline", "text"),
    "summary": Field("summary", "text", optional=True),
    "content": Field("content", "text", optional=True),
    "author": Field("author", "text", optional=True),
    "url": Field("url", "text", optional=True),
    "symbols": Field("symbols", "texts", optional=True),
}


@dataclass(frozen=True)
class DailyRequest:
    """Raw daily bars of one stock of the sessions in [first, beyond)."""

    symbol: str
    first: dt.date
    beyond: dt.date
    feed: str
    page_token: str | None = None
    endpoint = "/v2/stocks/bars"

    @property
    def start(self) -> dt.datetime:
        """New York midnight of the first session."""
        return _midnight(self.first)

    @property
    def end(self) -> dt.datetime:
        """New York midnight of the first session left out."""
        return _midnight(self.beyond)

    def params(self) -> dict[str, str | int]:
        """Query of the request, in Alpaca's words; its dates are those of sessions, and its end is inclusive."""
        params: dict[str, str | int] = {
            "symbols": self.symbol, "timeframe": "1Day", "start": self.first.isoformat(),
            "end": (self.beyond - _DAY).isoformat(), "limit": _BARS_LIMIT, "adjustment": "raw", "asof": "-",
            "feed": self.feed, "sort": "asc",
        }  # fmt: skip
        return _continued(params, self.page_token)

    def read(self, body: Any) -> SourcePage:
        """Page of an answer's body; a day's bar is stamped with the New York midnight it begins at."""
        page = _bars(body, self.symbol)
        session = pl.col("timestamp").dt.convert_time_zone(NEW_YORK.key).dt.date().alias("session")
        return SourcePage(page.rows.with_columns(session), page.next_page_token, page.refused)

    def __str__(self) -> str:
        return f"daily bars of {self.symbol} [{self.first}, {self.beyond})"


@dataclass(frozen=True)
class CoinBarsRequest:
    """Minute bars in [start, end) of one pair of coins, such as `BTC/USD`."""

    symbol: str
    start: dt.datetime
    end: dt.datetime
    page_token: str | None = None
    endpoint = "/v1beta3/crypto/us/bars"
    feed = "alpaca-crypto"

    def params(self) -> dict[str, str | int]:
        """Query of the request, in Alpaca's words; its end is inclusive."""
        params: dict[str, str | int] = {
            "symbols": self.symbol, "timeframe": "1Min", "start": _wire(self.start),
            "end": _wire(self.end - _MINUTE), "limit": _BARS_LIMIT, "sort": "asc",
        }  # fmt: skip
        return _continued(params, self.page_token)

    def read(self, body: Any) -> SourcePage:
        """Page of an answer's body."""
        return _bars(body, self.symbol)

    def __str__(self) -> str:
        return f"minute bars of {self.symbol} [{_wire(self.start)}, {_wire(self.end)})"


@dataclass(frozen=True)
class NewsRequest:
    """Articles published or revised in [start, end), about some symbols or about anything."""

    symbols: tuple[str, ...]
    start: dt.datetime
    end: dt.datetime
    page_token: str | None = None
    endpoint = "/v1beta1/news"
    feed = "-"

    @property
    def symbol(self) -> str:
        """The symbols, for a receipt."""
        return ",".join(self.symbols) or "*"

    def params(self) -> dict[str, str | int]:
        """Query of the request, in Alpaca's words; oldest revision first, for pages end where the newest begin."""
        params: dict[str, str | int] = {
            "start": _wire(self.start), "end": _wire(self.end - dt.timedelta(seconds=1)), "limit": _NEWS_LIMIT,
            "sort": "asc", "include_content": "true",
        }  # fmt: skip
        if self.symbols:
            params["symbols"] = ",".join(self.symbols)
        return _continued(params, self.page_token)

    def read(self, body: Any) -> SourcePage:
        """Page of an answer's body."""
        if not isinstance(body, dict) or not isinstance(body.get("news"), list):
            raise TransientError("the body is not a page of news")
        frame, refused = read_rows(body["news"], _ARTICLE)
        return SourcePage(frame, _token(body), refused)

    def __str__(self) -> str:
        return f"news of {self.symbol} [{_wire(self.start)}, {_wire(self.end)})"


def _bars(body: Any, symbol: str) -> SourcePage:
    # An object with neither key says nothing about bars, and must not pass for "there are none".
    if not isinstance(body, dict) or not {"bars", "next_page_token"} & body.keys():
        raise TransientError("the body is not a page of bars")
    by_symbol: Mapping[str, Sequence[Any] | None] = body.get("bars") or {}
    if not isinstance(by_symbol, dict) or not all(isinstance(rows, list | None) for rows in by_symbol.values()):
        raise TransientError("the bars of a symbol are not a list")
    foreign = [
        RefusedRow(row, f"symbol {name!r} was not asked for")
        for name, rows in by_symbol.items()
        if name != symbol
        for row in rows or ()
    ]
    frame, refused = read_rows(by_symbol.get(symbol) or (), _BAR)
    return SourcePage(frame, _token(body), [*refused, *foreign])


def _token(body: Mapping[str, Any]) -> str | None:
    token = body.get("next_page_token")
    if not isinstance(token, str | None):
        raise TransientError("the page token is not text")
    return token or None


def _continued(params: dict[str, str | int], token: str | None) -> dict[str, str | int]:
    return params if token is None else params | {"page_token": token}


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=NEW_YORK).astimezone(dt.UTC)


def _wire(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
