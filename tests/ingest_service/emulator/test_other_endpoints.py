"""What there is beside minute bars of stocks: longer bars, the newest ones, coins, news."""

from __future__ import annotations

import base64
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from alpaca.data.historical import CryptoHistoricalDataClient, NewsClient
from alpaca.data.requests import (
    CryptoBarsRequest,
    NewsRequest,
    StockLatestBarRequest,
    StockSnapshotRequest,
)
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient

NOW = dt.datetime(2024, 12, 2, 15, 0, 20, tzinfo=dt.UTC)
SATURDAY = dt.datetime(2024, 11, 30, tzinfo=dt.UTC)


@pytest.fixture
def visitor(emulate: Any) -> Any:
    return emulate(now=NOW, speed=0)


# --- longer bars -------------------------------------------------------------------------------------


def test_five_minutes_are_the_sum_of_their_minutes(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder)
    bars = visitor.bars("AAA", timeframe="5Min", limit=2).json()["bars"]["AAA"]
    assert [(bar["t"], bar["v"], bar["n"], bar["o"], bar["c"]) for bar in bars] == [
        ("2024-11-01T13:30:00Z", 15, 15, 100.01, 100.06),
        ("2024-11-01T13:35:00Z", 40, 40, 100.06, 100.11),
    ]


@pytest.mark.parametrize("timeframe", ["5Min", "1Hour"])
@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_pages_of_longer_bars_hold_every_one_once(emulate: Any, folder: Path, timeframe: str, sort: str) -> None:
    visitor = emulate(bars=folder)
    asked: dict[str, object] = {"timeframe": timeframe, "sort": sort, "limit": 3}
    whole = visitor.bars("AAA", **(asked | {"limit": 1000})).json()["bars"]["AAA"]
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = visitor.bars("AAA", **asked, **token).json()
        found += page["bars"]["AAA"]
        if page["next_page_token"] is None:
            break
        token = {"page_token": page["next_page_token"]}
    assert found == whole
    assert sum(bar["v"] for bar in whole) == sum(range(1, 251))


def test_days_have_regular_prices_all_volume_and_a_label_at_midnight(visitor: Any) -> None:
    days = visitor.bars("SYNA", timeframe="1Day", start="2024-11-27", end="2024-11-30").json()["bars"]["SYNA"]
    assert [day["t"] for day in days] == ["2024-11-27T05:00:00Z", "2024-11-29T05:00:00Z"]
    asked = {"start": "2024-11-29T05:00:00Z", "end": "2024-11-30T04:59:00Z", "limit": 10_000}
    minutes = visitor.bars("SYNA", **asked).json()["bars"]["SYNA"]
    regular = [row for row in minutes if "T14:30" <= row["t"][10:16] < "T18:00"]
    assert (days[1]["o"], days[1]["c"]) == (regular[0]["o"], regular[-1]["c"])
    assert (days[1]["h"], days[1]["l"]) == (max(r["h"] for r in regular), min(r["l"] for r in regular))
    assert days[1]["v"] == sum(row["v"] for row in minutes)


def test_the_present_day_is_the_day_so_far(visitor: Any) -> None:
    today = visitor.bars("SYNA", timeframe="1Day", start="2024-12-02").json()["bars"]["SYNA"][-1]
    visitor.control("/_emu/clock", {"now": "2024-12-02T16:00:00Z", "speed": 0})
    later = visitor.bars("SYNA", timeframe="1Day", start="2024-12-02").json()["bars"]["SYNA"][-1]
    assert (today["t"], today["o"]) == (later["t"], later["o"])
    assert today["v"] < later["v"]


def test_the_real_client_reads_days(visitor: Any) -> None:
    asked = {"symbols": "SYNA", "timeframe": str(TimeFrame.Day), "start": "2024-11-01", "feed": "synthetic"}
    assert len(visitor.alpaca_client().get("/stocks/bars", asked)["bars"]["SYNA"]) == 21


# --- the newest --------------------------------------------------------------------------------------


def test_the_newest_bar_follows_the_clock(emulate: Any, folder: Path) -> None:
    now = dt.datetime(2024, 11, 1, 14, 0, 30, tzinfo=dt.UTC)
    visitor = emulate(bars=folder, feed="iex", now=now, speed=0)
    request = StockLatestBarRequest(symbol_or_symbols=["AAA", "BBB", "ZZZ"], feed="iex")  # type: ignore[arg-type]
    newest: Any = visitor.alpaca_client(raw_data=False).get_stock_latest_bar(request)
    assert {symbol: bar.volume for symbol, bar in newest.items()} == {"AAA": 30, "BBB": 30}


def test_a_snapshot_has_the_day_so_far_and_the_day_before(visitor: Any) -> None:
    found = visitor.get("/v2/stocks/snapshots", symbols="SYNA,NONE", feed="synthetic").json()
    assert found["NONE"] is None
    snapshot = found["SYNA"]
    assert snapshot["minuteBar"]["t"] == "2024-12-02T14:59:00Z"
    assert (snapshot["dailyBar"]["t"], snapshot["prevDailyBar"]["t"]) == (
        "2024-12-02T05:00:00Z",
        "2024-11-29T05:00:00Z",
    )
    assert snapshot["latestTrade"]["p"] == snapshot["minuteBar"]["c"]


def test_the_real_client_reads_a_snapshot(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, feed="iex", now=dt.datetime(2024, 11, 1, 14, 0, 30, tzinfo=dt.UTC), speed=0)
    request = StockSnapshotRequest(symbol_or_symbols=["AAA"], feed="iex")  # type: ignore[arg-type]
    found: Any = visitor.alpaca_client(raw_data=False).get_stock_snapshot(request)
    assert found["AAA"].minute_bar.volume == 30
    assert found["AAA"].previous_daily_bar is None


def test_the_real_client_reads_what_is_listed(visitor: Any) -> None:
    client = TradingClient(visitor.config.key_id, visitor.config.secret_key, url_override=visitor.url)
    client._session = visitor.session
    assets: Any = client.get_all_assets()
    assert {"SYNA", "HALT", "BTC/USD"} <= {asset.symbol for asset in assets}


# --- coins -------------------------------------------------------------------------------------------


def test_coins_trade_on_saturdays_through_the_real_client(visitor: Any) -> None:
    client = CryptoHistoricalDataClient(visitor.config.key_id, visitor.config.secret_key, url_override=visitor.url)
    client._session = visitor.session
    request = CryptoBarsRequest(
        symbol_or_symbols=["BTC/USD", "ETH/USD"],
        timeframe=TimeFrame.Minute,
        start=SATURDAY,
        end=SATURDAY + dt.timedelta(hours=24, minutes=-1),
    )
    found: Any = client.get_crypto_bars(request)
    assert {symbol: len(bars) for symbol, bars in found.data.items()} == {"BTC/USD": 1440, "ETH/USD": 1440}
    assert any(bar.volume != int(bar.volume) for bar in found.data["BTC/USD"])


def test_a_day_of_a_coin_is_a_day_of_utc(visitor: Any) -> None:
    asked = {"symbols": "BTC/USD", "start": "2024-11-29", "end": "2024-11-30"}
    days = visitor.get("/v1beta3/crypto/us/bars", timeframe="1Day", **asked).json()["bars"]["BTC/USD"]
    minutes = visitor.get("/v1beta3/crypto/us/bars", timeframe="1Min", limit=10_000, **asked).json()["bars"]["BTC/USD"]
    assert [day["t"] for day in days] == ["2024-11-29T00:00:00Z", "2024-11-30T00:00:00Z"]
    assert days[0]["o"] == minutes[0]["o"]
    assert days[0]["c"] == minutes[1439]["c"]


def test_a_stock_is_no_pair_and_a_pair_no_stock(visitor: Any) -> None:
    assert visitor.get("/v1beta3/crypto/us/bars", symbols="SYNA", timeframe="1Min").status_code == 400
    assert visitor.bars("BTC/USD").status_code == 400


def test_coins_do_not_depend_on_what_else_is_asked(visitor: Any) -> None:
    asked = {"symbols": "SOL/USD", "timeframe": "1Min", "end": "2024-11-02T00:10:00Z"}
    long = visitor.get("/v1beta3/crypto/us/bars", start="2024-11-01T12:00:00Z", limit=10_000, **asked).json()
    short = visitor.get("/v1beta3/crypto/us/bars", start="2024-11-02T00:00:00Z", **asked).json()
    assert long["bars"]["SOL/USD"][-11:] == short["bars"]["SOL/USD"]


# --- news --------------------------------------------------------------------------------------------


def all_news(visitor: Any, **parameters: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = visitor.get("/v1beta1/news", limit=50, **parameters, **token).json()
        found += page["news"]
        if page["next_page_token"] is None:
            return found
        token = {"page_token": page["next_page_token"]}


def test_pages_of_news_hold_every_article_once_by_its_last_change(visitor: Any) -> None:
    for sort in ("asc", "desc"):
        found = all_news(visitor, start="2024-11-01T00:00:00Z", end="2024-11-30T00:00:00Z", sort=sort)
        assert len(found) > 100
        assert len({article["id"] for article in found}) == len(found)
        stamps = [article["updated_at"] for article in found]
        assert stamps == sorted(stamps, reverse=sort == "desc")


def test_an_article_is_revised_and_moves(visitor: Any) -> None:
    revised = next(a for a in all_news(visitor, start="2024-11-01T00:00:00Z") if a["updated_at"] > a["created_at"])
    just_before = dt.datetime.fromisoformat(revised["updated_at"]) - dt.timedelta(seconds=1)
    visitor.control("/_emu/clock", {"now": just_before.isoformat(), "speed": 0})
    early = {article["id"]: article for article in all_news(visitor, start="2024-11-01T00:00:00Z")}[revised["id"]]
    assert early["updated_at"] == early["created_at"] == revised["created_at"]
    assert revised["headline"] == f"{early['headline']}, revised"


def test_news_are_of_the_symbols_that_were_asked_for_and_of_today_by_default(visitor: Any) -> None:
    assert all("SYNA" in one["symbols"] for one in all_news(visitor, start="2024-11-01T00:00:00Z", symbols="SYNA,XX"))
    assert all(one["updated_at"] >= "2024-12-02" for one in all_news(visitor))


def test_the_token_of_news_names_the_last_article(visitor: Any) -> None:
    page = visitor.get("/v1beta1/news", start="2024-11-01T00:00:00Z", limit=3).json()
    nanoseconds, identity = base64.b64decode(page["next_page_token"]).decode().split("|")
    assert int(identity) == page["news"][-1]["id"]
    assert (
        dt.datetime.fromtimestamp(int(nanoseconds) / 1e9, dt.UTC).isoformat()[:19]
        == page["news"][-1]["updated_at"][:19]
    )


@pytest.mark.parametrize("wrong", [{"limit": 51}, {"page_token": "???"}, {"start": "soon"}])
def test_a_wrong_question_for_news_is_400(visitor: Any, wrong: dict[str, object]) -> None:
    assert visitor.get("/v1beta1/news", **wrong).status_code == 400


def test_the_real_client_reads_all_news(visitor: Any) -> None:
    client = NewsClient(visitor.config.key_id, visitor.config.secret_key, url_override=visitor.url)
    client._session = visitor.session
    request = NewsRequest(symbols="SYNA", start=dt.datetime(2024, 11, 1, tzinfo=dt.UTC), include_content=True)
    found: Any = client.get_news(request)
    articles = found.data["news"]
    assert len(articles) == len(all_news(visitor, start="2024-11-01T00:00:00Z", symbols="SYNA"))
    assert {article.source for article in articles} == {"synthetic"}
    assert "made up" in articles[0].content


# --- pages -------------------------------------------------------------------------------------------


def test_pages_may_be_shorter_than_asked_for(emulate: Any, folder: Path) -> None:
    first = emulate(bars=folder, short_pages=True).bars("AAA", limit=100).json()
    assert len(first["bars"]["AAA"]) == 75
    assert first["next_page_token"]


def test_a_last_full_page_may_have_a_token(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, trailing_token=True)
    first = visitor.bars("AAA", limit=250).json()
    assert visitor.bars("AAA", limit=250, page_token=first["next_page_token"]).json() == {
        "bars": {},
        "next_page_token": None,
    }
