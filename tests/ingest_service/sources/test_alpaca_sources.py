"""Alpaca's daily bars, news and coins: its own client, through our modules, against a server that speaks its format."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from barlake.errors import CredentialsError, InvalidInputError
from barlake.receipts import Receipt
from barlake.settings import Settings
from ingest_service.sources.courier import Courier
from ingest_service.sources.interface import SourcePage
from ingest_service.sources.registry import source_named
from tests.scripted_server import Answer, serve, status

KEY, SECRET = "KEY-OF-THE-TEST", "SECRET/OF+THE-TEST"
START, END = dt.datetime(2024, 1, 2, tzinfo=dt.UTC), dt.datetime(2024, 1, 3, tzinfo=dt.UTC)


def alpaca(url: str, name: str = "alpaca") -> Courier:
    settings = Settings(ALPACA_API_KEY_ID=KEY, ALPACA_API_SECRET_KEY=SECRET, ALPACA_DATA_URL=url, ALPACA_RPM=60_000)
    return source_named(name, settings)


def bars(symbol: str, *rows: dict[str, Any], then: str | None = None) -> Answer:
    return status(200, {"bars": {symbol: list(rows)}, "next_page_token": then})


def bar(moment: str, **changes: Any) -> dict[str, Any]:
    return {"t": moment, "o": 1, "h": 2, "l": 1, "c": 2, "v": 10, "n": 3, "vw": 1.5} | changes


def article(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number, "headline": "Dividend", "summary": "", "content": "<p>x</p>", "author": "A. Writer",
        "created_at": "2024-01-02T14:00:00Z", "updated_at": "2024-01-02T15:00:00Z", "url": "https://example.com/1",
        "symbols": ["AAPL", "TSLA"], "images": [], "source": "benzinga",
    } | changes  # fmt: skip


def news(*rows: dict[str, Any], then: str | None = None) -> Answer:
    return status(200, {"news": list(rows), "next_page_token": then})


def test_days_are_raw_and_dated_by_new_york() -> None:
    winter, summer = bar("2024-01-02T05:00:00Z"), bar("2024-06-21T04:00:00Z", c="x")
    with serve(bars("SPY", winter, then="more"), bars("SPY", summer)) as script:
        receipts: list[Receipt] = []
        one, two = alpaca(script.url).daily(
            "SPY", dt.date(2024, 1, 2), dt.date(2024, 6, 22), on_receipt=receipts.append
        )
    assert one.rows["session"].to_list() == [dt.date(2024, 1, 2)]
    assert [row.reason for row in two.refused] == ["c is no number: 'x'"]
    assert script.seen[0].path == "/v2/stocks/bars"
    asked = script.seen[1].params
    assert (asked["timeframe"], asked["adjustment"], asked["feed"]) == ("1Day", "raw", "sip")
    assert (asked["start"], asked["end"], asked["page_token"]) == ("2024-01-02", "2024-06-21", "more")
    assert [(one.rows, one.complete) for one in receipts] == [(1, False), (0, True)]


def fetch_news(courier: Courier, symbols: list[str]) -> list[SourcePage]:
    return list(courier.news(symbols, START, END, on_receipt=lambda _one: None))


def test_news_come_page_by_page_with_their_revisions() -> None:
    with serve(news(article(1), then="t"), news(article(1, headline="Dividend raised"))) as script:
        one, two = fetch_news(alpaca(script.url), ["AAPL", "TSLA"])
    assert one.rows.row(0, named=True) == {
        "article_id": "1", "created_at": dt.datetime(2024, 1, 2, 14, tzinfo=dt.UTC),
        "updated_at": dt.datetime(2024, 1, 2, 15, tzinfo=dt.UTC), "headline": "Dividend", "summary": None,
        "content": "<p>x</p>", "author": "A. Writer", "url": "https://example.com/1", "symbols": ["AAPL", "TSLA"],
    }  # fmt: skip
    assert two.rows["headline"].to_list() == ["Dividend raised"]
    assert script.seen[0].path == "/v1beta1/news"
    asked = script.seen[0].params
    assert (asked["symbols"], asked["start"], asked["end"]) == (
        "AAPL,TSLA", "2024-01-02T00:00:00Z", "2024-01-02T23:59:59Z",
    )  # fmt: skip
    assert (asked["sort"], asked["limit"]) == ("asc", "50")


def test_news_of_no_symbol_are_all_news() -> None:
    with serve(news()) as script:
        (page,) = fetch_news(alpaca(script.url), [])
    assert "symbols" not in script.seen[0].params
    assert page.rows.is_empty()


def test_a_page_that_is_none_is_asked_for_again() -> None:
    with serve(status(200, {"message": "hello"}), news(article(1))) as script:
        (page,) = fetch_news(alpaca(script.url), [])
    assert page.rows.height == 1


def test_coins_have_fractions_and_every_hour() -> None:
    saturday = dt.datetime(2024, 1, 6, tzinfo=dt.UTC)
    with serve(bars("BTC/USD", bar("2024-01-06T00:00:00Z", v=0.25))) as script:
        page = alpaca(script.url, "alpaca-crypto").fetch_page(
            "BTC/USD", saturday, saturday + dt.timedelta(days=1), feed="alpaca-crypto", on_receipt=lambda _one: None
        )
    assert page.rows["volume"].to_list() == [0.25]  # type: ignore[call-overload]
    assert script.seen[0].path == "/v1beta3/crypto/us/bars"
    assert script.seen[0].params["end"] == "2024-01-06T23:59:00Z"
    assert "adjustment" not in script.seen[0].params


def test_stocks_by_the_minute_are_those_of_the_source_backfill_knows() -> None:
    strange = status(200, {"bars": {"SPY": [bar("2024-01-02T14:30:00Z")], "QQQ": [bar("2024-01-02T14:30:00Z")]}})
    with serve(strange) as script:
        page = alpaca(script.url).fetch_page("SPY", START, END, feed="iex", on_receipt=lambda _one: None)
    assert page.rows["volume"].to_list() == [10]  # type: ignore[call-overload]
    assert [one.reason for one in page.strays] == ["symbol 'QQQ' was not asked for"]
    assert script.seen[0].params["feed"] == "iex"


def test_only_sip_is_kept_at_a_distance() -> None:
    courier = alpaca("http://127.0.0.1:9")
    assert courier.latest_allowed_end("iex") - courier.latest_allowed_end("sip") == dt.timedelta(minutes=16)


@pytest.mark.parametrize(("code", "kind"), [(403, CredentialsError), (400, InvalidInputError)])
def test_a_refusal_is_said_without_the_key_and_not_asked_again(code: int, kind: type[Exception]) -> None:
    with serve(status(code, {"message": f"no: {SECRET}"})) as script, pytest.raises(kind) as caught:
        fetch_news(alpaca(script.url), [])
    assert SECRET not in str(caught.value)
    assert len(script.seen) == 1
