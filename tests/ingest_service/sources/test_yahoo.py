"""yfinance with the HTTP library it insists on, through our module, against a server that speaks Yahoo's format."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("yfinance", reason="pip install 'barlake[yahoo]'")

from yfinance.cache import get_tz_cache
from yfinance.data import YfData

from barlake.errors import InvalidInputError, SourceError
from barlake.receipts import Receipt
from barlake.settings import Settings
from barlake.source_settings import SourceSettings, YahooSettings
from barlake.testing import temporary_lake
from ingest_service.record_fetching import fetch_daily
from ingest_service.sources.courier import Courier
from ingest_service.sources.failover import Failover
from ingest_service.sources.interface import SourcePage
from ingest_service.sources.yahoo import from_settings
from tests.scripted_server import Answer, hang, serve, status, truncated

START, END = dt.date(2024, 1, 2), dt.date(2024, 1, 5)
CHART = "/v8/finance/chart/SPY"
OPENED = int(dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC).timestamp())

NOTHING = {"quoteSummary": {"result": None, "error": {"code": "Not Found", "description": "No such quote"}}}
COOKIES = {"/v8/": None, "/v10/": status(404, NOTHING), "/": status(200, "crumb")}
"""What yfinance asks for besides charts."""


def yahoo(url: str, tmp_path: Path, **options: Any) -> Courier:
    own = YahooSettings(base_url=url, rpm=600_000, timeout_s=2.0)
    settings = Settings(root=str(tmp_path), sources=SourceSettings(yahoo=own))  # type: ignore[call-arg]
    source = from_settings(settings)
    get_tz_cache().store("SPY", "America/New_York")  # a symbol's zone is asked for once and then kept on disk
    return Courier(source, settings, backoff_seconds=0.01, **options)


def chart(moments: list[int], *, closes: list[Any] | None = None, events: dict[str, Any] | None = None) -> Answer:
    closes = closes or [10.5] * len(moments)
    quote = {
        "open": [10.0] * len(moments), "high": [11.0] * len(moments), "low": [9.0] * len(moments),
        "close": closes, "volume": [100] * len(moments),
    }  # fmt: skip
    meta = {
        "currency": "USD", "symbol": "SPY", "instrumentType": "EQUITY", "exchangeTimezoneName": "America/New_York",
        "timezone": "EST", "gmtoffset": -18000, "regularMarketTime": OPENED, "priceHint": 2,
        "validRanges": ["1d", "5d", "max"], "dataGranularity": "1d", "range": "",
        "currentTradingPeriod": {
            name: {"timezone": "EST", "start": OPENED, "end": OPENED + 23400, "gmtoffset": -18000}
            for name in ("pre", "regular", "post")
        },
    }  # fmt: skip
    result = {
        "meta": meta, "timestamp": moments, "events": events or {},
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": closes}]},
    }  # fmt: skip
    return status(200, {"chart": {"result": [result], "error": None}})


def refusal(code: int, description: str) -> Answer:
    return status(code, {"chart": {"result": None, "error": {"code": "Not Found", "description": description}}})


def daily(courier: Courier, symbol: str = "SPY") -> tuple[SourcePage, list[Receipt]]:
    receipts: list[Receipt] = []
    (page,) = courier.daily(symbol, START, END, on_receipt=receipts.append)
    return page, receipts


@pytest.fixture(autouse=True)
def _a_new_process() -> None:
    """The library keeps its cookie for the whole process."""
    data = YfData()
    data._crumb = data._cookie = None


def test_days_are_read_in_the_terms_yahoo_gives_them(tmp_path: Path) -> None:
    answer = chart([OPENED, OPENED + 86400])
    with serve(answer, beside=COOKIES) as script:
        page, receipts = daily(yahoo(script.url, tmp_path))
    assert page.rows["session"].to_list() == [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    assert page.rows.row(0, named=True) | {"session": None} == {
        "session": None, "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5,
        "volume": 100.0, "trade_count": None, "vwap": None,
    }  # fmt: skip
    asked = script.seen[-1]
    assert (asked.path, asked.params["interval"]) == (CHART, "1d")
    assert receipts[-1].endpoint == CHART


def test_after_a_split_all_days_are_asked_for_anew(tmp_path: Path) -> None:
    late = OPENED + 28 * 86400
    now = dt.datetime(2024, 2, 1, 15, tzinfo=dt.UTC)
    answers = [
        chart([OPENED, late], closes=[10.0, 10.0]),
        chart([late], closes=[10.05]),  # a price is mended
        chart([late], closes=[5.0]),  # two shares for one
        *[refusal(404, "not now")] * 2,  # the library tries once more by itself
        chart([OPENED, late], closes=[5.0, 5.0]),
    ]
    with serve(*answers, beside=COOKIES) as script, temporary_lake(now=lambda: now) as lake:
        sources = Failover([yahoo(script.url, tmp_path)])
        closes = []
        for _ in range(4):
            fetch_daily(lake, sources, ["SPY"], START)
            closes.append(lake.daily("SPY")["close"].to_list())
        # What is interrupted in the middle of it is done by the next run.
        assert closes == [[10.0, 10.0], [10.0, 10.05], [10.0, 5.0], [5.0, 5.0]]
        assert lake.daily("SPY", known_by=now - dt.timedelta(hours=1))["close"].to_list() == [10.0, 10.0]


def test_minutes_of_a_symbol_that_was_not_split_since_are_raw(tmp_path: Path) -> None:
    start = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    with serve(chart([OPENED]), chart([OPENED, OPENED + 60]), beside=COOKIES) as script:
        page = yahoo(script.url, tmp_path).fetch_page(
            "SPY", start, start + dt.timedelta(hours=1), feed="yahoo", on_receipt=lambda _one: None
        )
    assert page.rows["timestamp"].to_list() == [start, start + dt.timedelta(minutes=1)]  # type: ignore[call-overload]
    assert script.seen[-1].params["interval"] == "1m"


def test_minutes_before_a_split_are_refused(tmp_path: Path) -> None:
    when = OPENED + 86400
    events = {"splits": {str(when): {"date": when, "numerator": 2, "denominator": 1, "splitRatio": "2:1"}}}
    start = dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    answers = [chart([OPENED, when], events=events)]
    with serve(*answers, beside=COOKIES) as script, pytest.raises(SourceError, match="when it was split"):
        yahoo(script.url, tmp_path).fetch_page(
            "SPY", start, start + dt.timedelta(hours=1), feed="yahoo", on_receipt=lambda _one: None
        )


def test_a_long_window_of_minutes_is_asked_for_a_week_at_a_time(tmp_path: Path) -> None:
    start = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    end = start + dt.timedelta(days=9)
    answers = (chart([OPENED]), chart([OPENED]), chart([OPENED]), chart([OPENED + 8 * 86400]))
    with serve(*answers, beside=COOKIES) as script:
        courier = yahoo(script.url, tmp_path)
        one = courier.fetch_page("SPY", start, end, feed="yahoo", on_receipt=lambda _one: None)
        two = courier.fetch_page(
            "SPY", start, end, feed="yahoo", page_token=one.next_page_token, on_receipt=lambda _one: None
        )
    assert two.next_page_token is None
    windows = [
        (int(s.params["period1"]), int(s.params["period2"])) for s in script.seen if s.params["interval"] == "1m"
    ]
    first = int(start.timestamp())
    assert windows == [(first, first + 7 * 86400), (first + 7 * 86400, first + 9 * 86400)]


@pytest.mark.parametrize(
    "fault", [status(500, "oops"), status(200, '{"chart": {"res'), status(200, {"a": 1}), truncated, hang],
    ids=["500", "bad json", "no chart", "truncated", "hang"],
)  # fmt: skip
def test_a_passing_fault_is_asked_again(tmp_path: Path, fault: Answer) -> None:
    with serve(fault, chart([OPENED]), beside=COOKIES) as script:
        page, _ = daily(yahoo(script.url, tmp_path))
    assert page.rows.height == 1


def test_too_many_requests_for_ever_is_an_outage(tmp_path: Path) -> None:
    answers = [status(429, "Too Many Requests", Retry_After="0")] * 8
    with serve(*answers, beside=COOKIES) as script, pytest.raises(SourceError, match="fewer requests"):
        daily(yahoo(script.url, tmp_path, attempts=2))


def test_an_unknown_symbol_is_a_wrong_request(tmp_path: Path) -> None:
    none = refusal(404, "No data found, symbol may be delisted")
    with serve(*[none] * 8, beside=COOKIES) as script, pytest.raises(InvalidInputError, match="Yahoo has no ZZZZ"):
        daily(yahoo(script.url, tmp_path), "ZZZZ")
