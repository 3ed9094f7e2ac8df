"""ccxt's Binance, through our module, against a server that speaks Binance's format."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from barlake.errors import InvalidInputError, SourceError
from barlake.receipts import Receipt
from barlake.settings import Settings
from barlake.source_settings import BinanceSettings, SourceSettings
from ingest_service.pages import BarsPage
from ingest_service.sources.ccxt_source import from_settings
from ingest_service.sources.courier import Courier
from tests.scripted_server import Answer, hang, serve, status, truncated

START = dt.datetime(2024, 1, 6, tzinfo=dt.UTC)  # a Saturday
END = dt.datetime(2024, 1, 7, tzinfo=dt.UTC)
MINUTE_MS = 60_000


def binance(url: str, **options: Any) -> Courier:
    own = BinanceSettings(base_url=url, rpm=60_000, timeout_s=2.0)
    settings = Settings(sources=SourceSettings(binance=own))
    return Courier(from_settings(settings), settings, backoff_seconds=0.01, **options)


def kline(minute: int = 0) -> list[Any]:
    opened = int(START.timestamp() * 1000) + minute * MINUTE_MS
    return [
        opened, "44000.5", "44010.0", "43990.0", "44005.0", "2.50000000", opened + MINUTE_MS - 1, "110010.00000000",
        40, "1.0", "44000.0", "0",
    ]  # fmt: skip


def fetch(courier: Courier, token: str | None = None) -> tuple[BarsPage, list[Receipt]]:
    receipts: list[Receipt] = []
    page = courier.fetch_page("BTC/USDT", START, END, feed="binance", page_token=token, on_receipt=receipts.append)
    return page, receipts


def test_klines_are_asked_for_and_read_with_their_trades_and_average_price() -> None:
    with serve(status(200, [kline(), kline(1)], X_MBX_USED_WEIGHT_1M="2")) as script:
        page, (receipt,) = fetch(binance(script.url))
    first = int(START.timestamp() * 1000)
    (seen,) = script.seen
    assert seen.path == "/api/v3/klines"
    assert seen.params == {
        "symbol": "BTCUSDT", "interval": "1m", "startTime": str(first),
        "endTime": str(int(END.timestamp() * 1000) - MINUTE_MS), "limit": "1000",
    }  # fmt: skip
    assert page.rows.row(0, named=True) == {
        "timestamp": START, "open": 44000.5, "high": 44010.0, "low": 43990.0, "close": 44005.0,
        "volume": 2.5, "trade_count": 40, "vwap": 44004.0,
    }  # fmt: skip
    assert page.next_page_token is None
    assert (receipt.source, receipt.feed, receipt.symbol, receipt.status) == ("binance", "binance", "BTC/USDT", 200)


def test_a_full_page_is_followed_by_the_minute_after_its_last() -> None:
    with serve(status(200, [kline(number) for number in range(1000)]), status(200, [kline(1000)])) as script:
        courier = binance(script.url)
        one, _ = fetch(courier)
        two, _ = fetch(courier, one.next_page_token)
    assert script.seen[1].params["startTime"] == str(int(START.timestamp() * 1000) + 1000 * MINUTE_MS)
    assert (one.rows.height, two.rows.height, two.next_page_token) == (1000, 1, None)


@pytest.mark.parametrize(
    "fault",
    [
        status(429, {"code": -1003, "msg": "Too many requests."}, Retry_After="0"),
        status(500, "oops"),
        status(200, "[[17"),
        status(200, {"hello": 1}),
        truncated,
        hang,
    ],
    ids=["429", "500", "bad json", "no list", "truncated", "hang"],
)
def test_a_passing_fault_is_asked_again(fault: Answer) -> None:
    with serve(fault, status(200, [kline()])) as script:
        page, receipts = fetch(binance(script.url))
    assert len(page.rows) == 1
    assert [one.attempt for one in receipts] == [1, 2]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            status(418, {"code": -1003, "msg": "Too much; IP banned."}),
            SourceError,
            "shut this address out",
        ),
        (status(451, {"code": 0, "msg": "Service unavailable from a restricted location"}), SourceError, "this place"),
        (status(400, {"code": -1121, "msg": "Invalid symbol."}), InvalidInputError, "BTC/USDT"),
    ],
    ids=["418", "451", "symbol"],
)
def test_a_refusal_is_not_asked_again(answer: Answer, kind: type[Exception], words: str) -> None:
    with serve(answer) as script, pytest.raises(kind, match=words):
        fetch(binance(script.url))
    assert len(script.seen) == 1
