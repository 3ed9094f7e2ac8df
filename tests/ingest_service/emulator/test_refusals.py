from __future__ import annotations

import base64
import datetime as dt
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame

NOON = dt.datetime(2024, 11, 4, 17, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize("missing", ["APCA-API-KEY-ID", "APCA-API-SECRET-KEY"])
def test_a_missing_key_is_401(emulate: Any, folder: Path, missing: str) -> None:
    visitor = emulate(bars=folder)
    keys = {name: value for name, value in visitor.keys.items() if name != missing}
    assert visitor.get("/v2/stocks/bars", headers=keys, symbols="AAA", timeframe="1Min").status_code == 401


@pytest.mark.parametrize("path", ["/v2/stocks/bars", "/v2/stocks/AAA/bars", "/v2/calendar", "/v2/clock"])
def test_a_wrong_key_is_403_on_every_path(emulate: Any, folder: Path, path: str) -> None:
    visitor = emulate(bars=folder)
    answer = visitor.get(path, headers=visitor.keys | {"APCA-API-SECRET-KEY": "another"})
    assert (answer.status_code, answer.json()) == (403, {"message": "forbidden."})


def test_the_accepted_pair_can_be_chosen(emulate: Any, folder: Path) -> None:
    assert emulate(bars=folder, key_id="mine", secret_key="too").bars("AAA").status_code == 200  # noqa: S106 - made up


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"symbols": "AAA,BRK-B"}, "invalid symbol: BRK-B"),
        ({"symbols": "aaa"}, "invalid symbol: aaa"),
        ({"symbols": ""}, "symbols is required"),
        ({"timeframe": "1min"}, "invalid timeframe: 1min"),
        ({"timeframe": "1Week"}, "invalid timeframe: 1Week"),
        ({"limit": 0}, "invalid limit: 0, must be between 1 and 10000"),
        ({"limit": 10_001}, "invalid limit: 10001, must be between 1 and 10000"),
        ({"limit": "ten"}, "invalid limit: ten, must be between 1 and 10000"),
        ({"feed": "iex"}, "invalid feed: iex"),
        ({"feed": "synthetic"}, "invalid feed: synthetic"),
        ({"adjustment": "most"}, "invalid adjustment: most"),
        ({"sort": "up"}, "invalid sort: up"),
        ({"asof": "yesterday"}, "invalid asof: yesterday"),
        ({"start": "yesterday"}, "invalid start: yesterday"),
        ({"start": "2024-01-02T09:30:00"}, "invalid start: 2024-01-02T09:30:00"),
        ({"end": "2024-02-30"}, "invalid end: 2024-02-30"),
        ({"start": "2024-02-02", "end": "2024-02-01"}, "end should not be before start"),
        ({"page_token": "???"}, "invalid page_token"),
        ({"page_token": base64.b64encode(b"AAA|D|1").decode()}, "invalid page_token"),
        ({"page_token": base64.b64encode(b"ZZZ|M|1").decode()}, "invalid page_token"),
    ],
)
def test_a_wrong_parameter_is_400_and_named(emulate: Any, folder: Path, wrong: dict[str, object], message: str) -> None:
    answer = emulate(bars=folder).bars(**({"symbols": "AAA"} | wrong))
    assert (answer.status_code, answer.json()) == (400, {"message": message})
    assert "X-RateLimit-Remaining" in answer.headers


@pytest.mark.parametrize("feed", ["sip", "iex", "otc"])
def test_made_up_bars_are_refused_under_any_real_feed(emulate: Any, feed: str) -> None:
    answer = emulate().bars("SYNA", feed=feed)
    assert (answer.status_code, answer.json()) == (400, {"message": f"invalid feed: {feed}"})


def test_made_up_bars_are_refused_to_a_client_that_names_no_feed(emulate: Any) -> None:
    visitor = emulate()
    answer = visitor.get("/v2/stocks/bars", symbols="SYNA", timeframe="1Min", start="2024-01-01")
    assert (answer.status_code, answer.json()) == (400, {"message": "invalid feed: sip"})
    request = StockBarsRequest(symbol_or_symbols="SYNA", timeframe=TimeFrame.Minute)
    with pytest.raises(APIError, match="invalid feed: sip"):
        visitor.alpaca_client().get_stock_bars(request)


@pytest.mark.parametrize("path", ["//v2/stocks/bars", "/v2/v2/stocks/bars", "/v2/stocks/trades"])
def test_a_wrong_path_is_404(emulate: Any, folder: Path, path: str) -> None:
    assert emulate(bars=folder).get(path, symbols="AAA", timeframe="1Min").status_code == 404


def test_recent_sip_is_withheld(emulate: Any, folder: Path) -> None:
    answer = emulate(bars=folder, now=NOON).bars("AAA", end="2024-11-04T16:46:00Z")
    assert answer.status_code == 403
    assert answer.json() == {
        "code": 42210000,
        "message": "subscription does not permit querying recent SIP data",
    }


def test_sip_is_served_up_to_a_quarter_of_an_hour_ago(emulate: Any, folder: Path) -> None:
    assert emulate(bars=folder, now=NOON).bars("AAA", end="2024-11-04T16:45:00Z").status_code == 200


def test_other_feeds_know_no_embargo(emulate: Any, folder: Path) -> None:
    assert emulate(bars=folder, feed="iex", now=NOON).bars("AAA", end="2024-11-04T17:00:00Z").status_code == 200


def test_an_omitted_end_is_a_quarter_of_an_hour_ago_for_sip(emulate: Any, folder: Path) -> None:
    now = dt.datetime(2024, 11, 1, 15, 0, 10, tzinfo=dt.UTC)
    page = emulate(bars=folder, now=now).bars("AAA").json()
    assert page["bars"]["AAA"][-1]["t"] == "2024-11-01T14:45:00Z"


def test_the_clock_can_be_set_and_reset_brings_it_back(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, now=NOON)
    late = "2024-11-04T16:50:00Z"
    visitor.control("/_emu/clock", {"now": "2024-11-04T17:10:00Z"})
    assert visitor.bars("AAA", end=late).status_code == 200
    visitor.control("/_emu/reset")
    assert visitor.bars("AAA", end=late).status_code == 403


def test_date_and_request_id_stand_on_every_answer(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, now=NOON)
    answers = [visitor.bars("AAA"), visitor.bars("aaa"), visitor.get("/v2/clock"), visitor.get("//v2/clock")]
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 4
    for answer in answers:
        assert abs(parsedate_to_datetime(answer.headers["Date"]) - NOON) < dt.timedelta(minutes=1)


def test_budget_counts_down_in_the_headers_until_429(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, requests_per_window=3, window_seconds=60, now=NOON)
    answers = [visitor.bars("AAA") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
    assert answers[3].json() == {"message": "too many requests."}
    assert 55 <= int(answers[3].headers["X-RateLimit-Reset"]) - NOON.timestamp() <= 62


def test_budget_returns_when_the_window_ends(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, requests_per_window=1, window_seconds=0.2)
    deadline = dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=5)
    assert visitor.bars("AAA").status_code == 200
    while visitor.bars("AAA").status_code == 429:
        assert dt.datetime.now(tz=dt.UTC) < deadline


def test_trading_paths_have_a_budget_of_their_own(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder, requests_per_window=1)
    assert [visitor.bars("AAA").status_code, visitor.get("/v2/clock").status_code] == [200, 200]
    refused = visitor.get("/v2/clock")
    assert (refused.status_code, refused.json()["code"]) == (429, 42910000)


def test_the_log_tells_what_was_asked_and_holds_no_secret(emulate: Any, folder: Path) -> None:
    visitor = emulate(bars=folder)
    visitor.bars("AAA", limit=5)
    visitor.bars("aaa")
    first, second = visitor.log()
    assert (first["path"], first["query"]["symbols"], first["status"], first["rows"]) == (
        "/v2/stocks/bars",
        "AAA",
        200,
        5,
    )
    assert (second["status"], second["rows"]) == (400, None)
    assert visitor.config.secret_key not in str(visitor.log())
    visitor.control("/_emu/reset")
    assert visitor.log() == []
