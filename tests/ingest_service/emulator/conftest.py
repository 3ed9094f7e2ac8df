"""Emulators on real sockets, clients that talk to them, and a small folder of bars."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests
from alpaca.data.historical import StockHistoricalDataClient

from barlake.sessions import Calendar
from ingest_service.emulator import EmulatorConfig, serve


@dataclass
class Visitor:
    """Plain requests to one emulator, with its keys unless told otherwise."""

    url: str
    config: EmulatorConfig
    session: requests.Session

    @property
    def keys(self) -> dict[str, str]:
        return {"APCA-API-KEY-ID": self.config.key_id, "APCA-API-SECRET-KEY": self.config.secret_key}

    def get(
        self, path: str, *, headers: dict[str, str] | None = None, timeout: float = 10, **parameters: object
    ) -> requests.Response:
        return self.session.get(
            self.url + path,
            params={name: str(value) for name, value in parameters.items()},
            headers=self.keys if headers is None else headers,
            timeout=timeout,
        )

    def bars(self, symbols: str, *, timeout: float = 10, **parameters: object) -> requests.Response:
        asked: dict[str, Any] = {"timeframe": "1Min", "feed": self.config.served_feed, "start": "2024-01-01"}
        return self.get("/v2/stocks/bars", symbols=symbols, timeout=timeout, **(asked | parameters))

    def control(self, path: str, body: object = None) -> Any:
        answer = self.session.post(self.url + path, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def log(self) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self.session.get(self.url + "/_emu/log", timeout=60).json()
        return answer

    def alpaca_client(self, *, raw_data: bool = True) -> StockHistoricalDataClient:
        client = StockHistoricalDataClient(
            self.config.key_id, self.config.secret_key, url_override=self.url, raw_data=raw_data
        )
        client._session = self.session
        return client


Emulate = Callable[..., Visitor]


@pytest.fixture(autouse=True)
def _straight_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    return Calendar.default()


@pytest.fixture(scope="session")
def _running(calendar: Calendar) -> Iterator[Emulate]:
    visitors: dict[EmulatorConfig, Visitor] = {}
    ends: list[contextlib.ExitStack] = []

    def visitor_of(config: EmulatorConfig) -> Visitor:
        if config not in visitors:
            ends.append(contextlib.ExitStack())
            url = ends[-1].enter_context(serve(config, calendar=calendar))
            visitors[config] = Visitor(url, config, ends[-1].enter_context(requests.Session()))
        return visitors[config]

    yield visitor_of
    with ThreadPoolExecutor() as together:
        list(together.map(contextlib.ExitStack.close, ends))


@pytest.fixture
def emulate(_running: Emulate) -> Emulate:
    """An emulator of that configuration, as if just started; equal ones share a server."""

    def start(**settings: Any) -> Visitor:
        visitor = _running(EmulatorConfig(**settings))
        visitor.control("/_emu/reset")
        return visitor

    return start


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two symbols: AAA has 250 bars and BBB 130, every minute from 2024-11-01 13:30 UTC."""
    path = tmp_path_factory.mktemp("bars")
    for symbol, count in (("AAA", 250), ("BBB", 130)):
        counted(symbol, count).write_parquet(path / f"{symbol}.parquet")
    return path


def counted(symbol: str, count: int) -> pl.DataFrame:
    """Bars whose every value tells its place: the n-th has volume n."""
    place = pl.int_range(1, count + 1, eager=True)
    start = dt.datetime(2024, 11, 1, 13, 30, tzinfo=dt.UTC)
    price = 100 + place / 100
    return pl.DataFrame(
        {
            "symbol": [symbol] * count,
            "timestamp": [start + dt.timedelta(minutes=n) for n in range(count)],
            "open": price,
            "high": (price + 0.02).round(2),
            "low": (price - 0.02).round(2),
            "close": (price + 0.01).round(2),
            "volume": place,
            "trade_count": place,
            "vwap": (price + 0.001234).round(6),
        },
        schema_overrides={"timestamp": pl.Datetime("us", "UTC"), "volume": pl.Int64, "trade_count": pl.Int64},
    )
