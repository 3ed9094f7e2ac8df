"""Alpaca behind the interface: stocks by the minute and by the day, news, and coins as a source of their own.

`alpaca.py` sends the requests, and its client, key and limits are shared by all of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from barlake.keys import SYNTHETIC_FEED
from barlake.settings import Settings
from ingest_service.alpaca import EMBARGO, AlpacaSource, account_throttle, resolve_feed
from ingest_service.normalize import normalize_bars
from ingest_service.pages import page_request
from ingest_service.sources.alpaca_requests import CoinBarsRequest, DailyRequest, NewsRequest
from ingest_service.sources.interface import Capabilities, Dataset, RefusedRow, SourcePage

__all__ = ["AlpacaCoins", "AlpacaStocks", "coins", "stocks"]


class AlpacaStocks:
    """Stocks and news of Alpaca.

    Parameters
    ----------
    daily_feed
        Feed of daily bars: those of all exchanges are free, whatever feed minute bars are taken from.
    """

    capabilities = Capabilities(
        name="alpaca",
        offers=frozenset({Dataset.MINUTE, Dataset.DAILY, Dataset.NEWS}),
        feeds=("sip", "iex", "boats", "otc", SYNTHETIC_FEED),
        oldest_minute=dt.date(2016, 1, 4),
        embargo=EMBARGO,
        requests_per_minute=200,
        needs_key=True,
    )

    def __init__(self, alpaca: AlpacaSource, *, daily_feed: str = "sip") -> None:
        self._alpaca = alpaca
        self._daily_feed = daily_feed
        self.line, self.base_url, self.secrets = alpaca.line, alpaca.base_url, alpaca.secrets

    def server_now(self) -> dt.datetime:
        """Present instant by Alpaca's clock."""
        return self._alpaca.server_now()

    def latest_allowed_end(self, feed: str) -> dt.datetime:
        """Latest whole minute that may end a window: only SIP is withheld for a while."""
        return self._alpaca.latest_allowed_end(feed)

    def minute(
        self, symbol: str, start: dt.datetime, end: dt.datetime, *, feed: str, page_token: str | None
    ) -> SourcePage:
        """One page of the raw minute bars in [start, end)."""
        page = self._alpaca.ask_once(page_request(symbol, start, end, feed, page_token))
        rows = normalize_bars(page.rows)
        refused = [RefusedRow(raw, reason) for reason, raw in rows.bad.select("reason", "raw").iter_rows()]
        refused += [RefusedRow(stray.row, stray.reason) for stray in page.strays]
        return SourcePage(rows.good, page.next_page_token, refused)

    def daily(self, symbol: str, start: dt.date, end: dt.date, *, page_token: str | None) -> SourcePage:
        """One page of the raw daily bars of the sessions in [start, end)."""
        return self._alpaca.ask_once(DailyRequest(symbol, start, end, self._daily_feed, page_token))

    def news(
        self, symbols: Sequence[str], start: dt.datetime, end: dt.datetime, *, page_token: str | None
    ) -> SourcePage:
        """One page of the articles published or revised in [start, end)."""
        return self._alpaca.ask_once(NewsRequest(tuple(symbols), start, end, page_token))


class AlpacaCoins:
    """Pairs of coins at Alpaca, at every hour of every day."""

    capabilities = Capabilities(
        name="alpaca-crypto",
        offers=frozenset({Dataset.MINUTE}),
        feeds=("alpaca-crypto",),
        calendar="24/7",
        oldest_minute=dt.date(2021, 1, 1),
        requests_per_minute=200,
        needs_key=True,
    )

    def __init__(self, alpaca: AlpacaSource) -> None:
        self._alpaca = alpaca
        self.line, self.base_url, self.secrets = alpaca.line, alpaca.base_url, alpaca.secrets

    def server_now(self) -> dt.datetime:
        """Present instant by Alpaca's clock."""
        return self._alpaca.server_now()

    def minute(
        self, symbol: str, start: dt.datetime, end: dt.datetime, *, feed: str, page_token: str | None
    ) -> SourcePage:
        """One page of the minute bars in [start, end)."""
        del feed  # there is one
        return self._alpaca.ask_once(CoinBarsRequest(symbol, start, end, page_token))


def stocks(settings: Settings) -> AlpacaStocks:
    """Alpaca's stocks and news with the key of the settings. Raises `CredentialsError` if there is none."""
    feed = resolve_feed(settings.alpaca_feed)
    return AlpacaStocks(_alpaca(settings), daily_feed=feed if feed == SYNTHETIC_FEED else "sip")


def coins(settings: Settings) -> AlpacaCoins:
    """Alpaca's coins with the same key."""
    return AlpacaCoins(_alpaca(settings))


def _alpaca(settings: Settings) -> AlpacaSource:
    return AlpacaSource.from_settings(settings, throttle=account_throttle(settings))
