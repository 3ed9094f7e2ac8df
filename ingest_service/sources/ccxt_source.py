"""Binance through ccxt: minute bars of pairs, at every hour of every day, without a key.

The only module that imports `ccxt`. Its raw method for klines is used, for `fetch_ohlcv` drops the number of
trades and asks for the list of all markets first. Facts about the endpoint:
https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints#klinecandlestick-data.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import ccxt
import polars as pl

from barlake.errors import InvalidInputError, SourceError
from barlake.settings import Settings
from ingest_service.paced_http import Line, PacedAdapter, line_to
from ingest_service.refusals import TransientError
from ingest_service.sources.interface import Capabilities, Dataset, SourcePage
from ingest_service.sources.rows import Field, read_rows

__all__ = ["BinanceSource", "from_settings"]

_LIMIT = 1000
_MINUTE_MS = 60_000
_BANNED = 418
_ELSEWHERE = frozenset({403, 451})
_FIELDS = {
    "timestamp": Field(0, "instant_ms"),
    "open": Field(1, "number"),
    "high": Field(2, "number"),
    "low": Field(3, "number"),
    "close": Field(4, "number"),
    "volume": Field(5, "number"),
    "turnover": Field(7, "number"),
    "trade_count": Field(8, "count"),
}


class BinanceSource:
    """Klines of Binance's spot market.

    Parameters
    ----------
    line
        What the requests are made over.
    """

    capabilities = Capabilities(
        name="binance",
        offers=frozenset({Dataset.MINUTE}),
        feeds=("binance",),
        calendar="24/7",
        oldest_minute=dt.date(2017, 8, 17),
        requests_per_minute=1200,
    )

    def __init__(self, *, base_url: str, line: Line) -> None:
        self.base_url = base_url
        self.line = line
        self._client: Any = ccxt.binance({"enableRateLimit": False})
        self._client.urls["api"]["public"] = f"{base_url}/api/v3"
        PacedAdapter(line).mount_on(self._client.session)

    def minute(
        self, symbol: str, start: dt.datetime, end: dt.datetime, *, feed: str, page_token: str | None
    ) -> SourcePage:
        """One page, at most 1,000, of the minute bars in [start, end) of a pair such as `BTC/USDT`."""
        del feed  # there is one
        first = int(page_token) if page_token is not None else _ms(start)
        last = _ms(end) - _MINUTE_MS  # Binance's end is inclusive
        question = {
            "symbol": symbol.replace("/", ""), "interval": "1m", "startTime": first, "endTime": last, "limit": _LIMIT,
        }  # fmt: skip
        try:
            rows = self._client.publicGetKlines(question)
        except ccxt.BaseError as error:
            raise self._refusal(error, symbol) from None
        if not isinstance(rows, list):
            raise TransientError("the body is not a list of klines")
        frame, refused = read_rows(rows, _FIELDS)
        vwap = pl.when(pl.col("volume") > 0).then(pl.col("turnover") / pl.col("volume"))
        return SourcePage(frame.with_columns(vwap.alias("vwap")), self._following(frame, len(rows), last), refused)

    @staticmethod
    def _following(frame: pl.DataFrame, rows: int, last: int) -> str | None:
        newest = frame["timestamp"].max()
        if rows < _LIMIT or not isinstance(newest, dt.datetime):
            return None
        following = _ms(newest) + _MINUTE_MS
        return str(following) if following <= last else None

    def _refusal(self, error: Exception, symbol: str) -> Exception:
        status = self.line.last.status if self.line.last is not None else None
        told = f"HTTP {status}: {str(error)[:200]!r}"
        if status == _BANNED:
            return SourceError(
                f"Binance has shut this address out for asking too often: {told}. Wait, and lower BINANCE_RPM."
            )
        if status in _ELSEWHERE:
            return SourceError(f"Binance does not serve this place: {told}. Take another source for {symbol}.")
        if isinstance(error, ccxt.NetworkError) or status is None:
            return TransientError(told)
        if isinstance(error, ccxt.BadSymbol | ccxt.BadRequest):
            return InvalidInputError(f"Binance refused {symbol!r}: {told}. A pair is written as BTC/USDT.")
        return SourceError(f"Binance failed on {symbol}: {told}")


def from_settings(settings: Settings) -> BinanceSource:
    """Binance at the address of the settings."""
    own = settings.sources.binance
    return BinanceSource(base_url=own.base_url, line=line_to(own.base_url, "", own.rpm, own.timeout_s))


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)
