from __future__ import annotations

import base64
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame

ALL_VOLUMES = {"AAA": list(range(1, 251)), "BBB": list(range(1, 131))}


def all_pages(visitor: Any, symbols: str, **parameters: object) -> list[dict[str, Any]]:
    pages = [visitor.bars(symbols, **parameters).json()]
    while token := pages[-1]["next_page_token"]:
        pages.append(visitor.bars(symbols, **parameters, page_token=token).json())
    return pages


def volumes(pages: list[dict[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for page in pages:
        for symbol, rows in page["bars"].items():
            found.setdefault(symbol, []).extend(row["v"] for row in rows)
    return found


def test_pages_of_two_symbols_hold_every_row_once_and_in_order(emulate: Any, folder: Path) -> None:
    pages = all_pages(emulate(bars=folder), "BBB,AAA", limit=100)
    assert volumes(pages) == ALL_VOLUMES
    counts = [{symbol: len(rows) for symbol, rows in page["bars"].items()} for page in pages]
    assert counts == [{"AAA": 100}, {"AAA": 100}, {"AAA": 50, "BBB": 50}, {"BBB": 80}]


def test_descending_pages_hold_every_row_once_newest_first(emulate: Any, folder: Path) -> None:
    pages = all_pages(emulate(bars=folder), "AAA,BBB", limit=90, sort="desc")
    assert volumes(pages) == {symbol: rows[::-1] for symbol, rows in ALL_VOLUMES.items()}


def test_last_full_page_has_no_token(emulate: Any, folder: Path) -> None:
    assert len(all_pages(emulate(bars=folder), "AAA", limit=125)) == 2


def test_token_names_the_last_row_of_its_page(emulate: Any, folder: Path) -> None:
    token = emulate(bars=folder).bars("AAA", limit=2).json()["next_page_token"]
    instant = dt.datetime(2024, 11, 1, 13, 31, tzinfo=dt.UTC)
    assert base64.b64decode(token).decode() == f"AAA|M|{int(instant.timestamp())}000000000"


def test_limit_is_a_thousand_unless_asked_otherwise(emulate: Any) -> None:
    page = emulate().bars("SYNA").json()
    assert len(page["bars"]["SYNA"]) == 1000


def test_both_ends_of_a_range_are_inclusive(emulate: Any, folder: Path) -> None:
    page = emulate(bars=folder).bars("AAA", start="2024-11-01T13:31:00Z", end="2024-11-01T09:33:00-04:00").json()
    assert [row["t"] for row in page["bars"]["AAA"]] == [f"2024-11-01T13:{minute}:00Z" for minute in (31, 32, 33)]


def test_a_date_is_midnight_in_new_york(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder)
    assert visitor.bars("AAA", end="2024-11-01").json()["bars"] == {}
    assert len(visitor.bars("AAA", start="2024-11-01", end="2024-11-02").json()["bars"]["AAA"]) == 250


def test_a_row_has_the_eight_fields_of_a_bar(emulate: Any, folder: Path) -> None:
    page = emulate(bars=folder).bars("AAA", limit=1).json()
    assert page["bars"]["AAA"] == [
        {"t": "2024-11-01T13:30:00Z", "o": 100.01, "h": 100.03, "l": 99.99, "c": 100.02}
        | {"v": 1, "n": 1, "vw": 100.011234}
    ]
    assert set(page) == {"bars", "next_page_token"}


def test_currency_is_named_only_when_it_was_asked_for(emulate: Any, folder: Path) -> None:
    assert emulate(bars=folder).bars("AAA", currency="USD").json()["currency"] == "USD"


def test_unknown_symbol_is_silently_absent(emulate: Any, folder: Path) -> None:
    answer = emulate(bars=folder).bars("AAA,ZZZ", limit=10_000)
    assert answer.status_code == 200
    assert set(answer.json()["bars"]) == {"AAA"}


def test_nothing_found_is_an_empty_object_for_many_and_null_for_one(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder)
    assert visitor.bars("ZZZ").json() == {"bars": {}, "next_page_token": None}
    one = visitor.get("/v2/stocks/ZZZ/bars", timeframe="1Min", start="2024-01-01")
    assert one.json() == {"bars": None, "symbol": "ZZZ", "next_page_token": None}


def test_single_symbol_path_pages_through_a_list(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder)
    asked = {"timeframe": "1Min", "start": "2024-01-01", "limit": 200}
    first = visitor.get("/v2/stocks/AAA/bars", **asked).json()
    second = visitor.get("/v2/stocks/AAA/bars", **asked, page_token=first["next_page_token"]).json()
    assert [row["v"] for row in first["bars"] + second["bars"]] == ALL_VOLUMES["AAA"]
    assert second["next_page_token"] is None


def test_alpaca_client_reads_all_pages_in_both_modes(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder)
    request = StockBarsRequest(
        symbol_or_symbols=["AAA", "BBB"], timeframe=TimeFrame.Minute, start=dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    )
    raw = visitor.alpaca_client().get_stock_bars(request)
    models = visitor.alpaca_client(raw_data=False).get_stock_bars(request)
    assert {symbol: [row["v"] for row in rows] for symbol, rows in raw.items()} == ALL_VOLUMES
    assert [bar.volume for bar in models["BBB"]] == ALL_VOLUMES["BBB"]
    assert models["BBB"][0].timestamp == dt.datetime(2024, 11, 1, 13, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(("level", "encoding"), [(1, "gzip"), (0, None)])
def test_a_long_answer_is_compressed_if_that_is_switched_on(
    emulate: Any, folder: Path, level: int, encoding: str | None
) -> None:
    answer = emulate(bars=folder, gzip_level=level).bars("AAA")
    assert answer.headers.get("Content-Encoding") == encoding
    assert len(answer.json()["bars"]["AAA"]) == 250


def test_a_client_that_accepts_no_compression_gets_none(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder)
    plain = visitor.keys | {"Accept-Encoding": "identity"}
    answer = visitor.get("/v2/stocks/bars", headers=plain, symbols="AAA", timeframe="1Min", start="2024-01-01")
    assert "Content-Encoding" not in answer.headers


def test_the_minute_that_still_runs_has_no_bar(emulate: Any, folder: Path) -> None:
    now = dt.datetime(2024, 11, 1, 14, 0, 10, tzinfo=dt.UTC)
    page = emulate(bars=folder, feed="iex", now=now).bars("AAA").json()
    assert page["bars"]["AAA"][-1]["t"] == "2024-11-01T13:59:00Z"


def test_a_page_that_is_asked_for_again_is_the_same(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder)
    first, again = (visitor.bars("AAA", asof="-") for _ in range(2))
    assert first.content == again.content
    assert [entry["rows"] for entry in visitor.log()] == [250, 250]
    order = {"symbol": "AAA", "timestamp": "2024-11-01T13:30:00Z", "values": {"volume": 777}}
    visitor.control("/_emu/revise", order)
    assert visitor.bars("AAA", asof="-").json()["bars"]["AAA"][0]["v"] == 777


@pytest.mark.parametrize("room", [0, 1, 100_000])
def test_pages_are_right_however_few_are_kept(emulate: Any, folder: Path, room: int) -> None:
    visitor = emulate(bars=folder, cached_page_bytes=room)
    for _ in range(3):
        assert volumes(all_pages(visitor, "AAA,BBB", limit=70)) == ALL_VOLUMES
