"""Alpha Vantage's client, through our module, against a server that speaks its format."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from barlake.clock import FileClock
from barlake.errors import CredentialsError, InvalidInputError, SourceError
from barlake.receipts import Receipt
from barlake.settings import Settings
from barlake.source_settings import AlphaVantageSettings, SourceSettings
from ingest_service.sources.alpha_vantage import from_settings
from ingest_service.sources.courier import Courier
from ingest_service.sources.interface import SourcePage
from tests.scripted_server import Answer, hang, serve, status, truncated

KEY = "KEY-OF-THE-TEST"
START, END = dt.date(2024, 1, 2), dt.date(2024, 1, 4)


def alpha_vantage(url: str, clock: Path | None = None, **options: Any) -> Courier:
    own = AlphaVantageSettings(api_key=SecretStr(KEY), base_url=url, rpm=60_000, timeout_s=2.0)
    settings = Settings(sources=SourceSettings(alpha_vantage=own), BARLAKE_CLOCK=clock)
    return Courier(from_settings(settings), settings, backoff_seconds=0.01, **options)


def day(close: str = "10.5") -> dict[str, str]:
    return {"1. open": "10.0", "2. high": "11.0", "3. low": "9.0", "4. close": close, "5. volume": "1200"}


def series(**days: dict[str, str]) -> Answer:
    named = {name.removeprefix("d").replace("_", "-"): values for name, values in days.items()}
    return status(200, {"Meta Data": {"2. Symbol": "SPY"}, "Time Series (Daily)": named})


def fetch(courier: Courier, start: dt.date = START, end: dt.date = END) -> tuple[SourcePage, list[Receipt]]:
    receipts: list[Receipt] = []
    (page,) = courier.daily("SPY", start, end, on_receipt=receipts.append)
    return page, receipts


def test_days_come_oldest_first_and_only_those_asked_for() -> None:
    with serve(series(d2024_01_04=day(), d2024_01_03=day("10.7"), d2024_01_02=day(), d2023_12_29=day())) as script:
        page, (receipt,) = fetch(alpha_vantage(script.url))
    assert page.rows["session"].to_list() == [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]
    assert page.rows.row(1, named=True) | {"session": None} == {
        "session": None, "open": 10.0, "high": 11.0, "low": 9.0, "close": 10.7,
        "volume": 1200.0, "trade_count": None, "vwap": None,
    }  # fmt: skip
    assert script.seen[0].params == {
        "function": "TIME_SERIES_DAILY", "symbol": "SPY", "outputsize": "full", "apikey": KEY, "datatype": "json",
    }  # fmt: skip
    assert (receipt.endpoint, receipt.status) == ("/query", 200)


def test_recent_days_are_asked_for_by_the_short_answer() -> None:
    today = dt.datetime.now(dt.UTC).date()
    with serve(series(d2024_01_02=day())) as script:
        fetch(alpha_vantage(script.url), today - dt.timedelta(days=20), today)
    assert script.seen[0].params["outputsize"] == "compact"


def test_a_source_that_is_kept_for_months_knows_what_day_it_is(tmp_path: Path) -> None:
    path, start = tmp_path / "clock.json", dt.date(2024, 5, 1)
    FileClock.set(path, dt.datetime(2024, 6, 1, tzinfo=dt.UTC), speed=0)
    with serve(series(d2024_05_01=day()), series(d2024_05_01=day())) as script:
        courier = alpha_vantage(script.url, clock=path)
        fetch(courier, start, start + dt.timedelta(days=7))
        FileClock.set(path, dt.datetime(2024, 12, 1, tzinfo=dt.UTC), speed=0)
        fetch(courier, start, start + dt.timedelta(days=7))
    assert [one.params["outputsize"] for one in script.seen] == ["compact", "full"]


def test_a_row_that_cannot_be_read_is_told_apart() -> None:
    with serve(series(d2024_01_02=day(), d2024_01_03=day("n/a"))) as script:
        page, _ = fetch(alpha_vantage(script.url))
    assert page.rows.height == 1
    assert [one.reason for one in page.refused] == ["4. close is no number: 'n/a'"]


@pytest.mark.parametrize(
    "fault",
    [
        status(200, {"Information": "Please consider spreading out your free API requests more sparingly."}),
        status(200, {"Note": "Our standard API call frequency is 5 calls per minute."}),
        status(503, "oops"),
        status(200, '{"Meta'),
        status(200, {}),
        status(200, {"Meta Data": {}}),
        truncated,
        hang,
    ],
    ids=["sparingly", "per minute", "503", "bad json", "empty", "no series", "truncated", "hang"],
)
def test_a_passing_fault_is_asked_again(fault: Answer) -> None:
    with serve(fault, series(d2024_01_02=day())) as script:
        page, receipts = fetch(alpha_vantage(script.url))
    assert page.rows.height == 1
    assert [one.attempt for one in receipts] == [1, 2]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"Information": f"We have detected your API key as {KEY} and our rate limit is 25 requests per day. "
                         "Please subscribe to any of the premium plans."}, SourceError),
        ({"Information": "This is a premium endpoint."}, CredentialsError),
        ({"Error Message": f"the parameter apikey {KEY} is invalid or missing."}, CredentialsError),
        ({"Error Message": "Invalid API call. Please retry or visit the documentation."}, InvalidInputError),
    ],
    ids=["per day", "premium", "key", "symbol"],
)  # fmt: skip
def test_a_refusal_that_comes_as_200_is_an_error_and_shows_no_key(body: object, kind: type[Exception]) -> None:
    with serve(status(200, body)) as script, pytest.raises(kind) as caught:
        fetch(alpha_vantage(script.url))
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    assert len(script.seen) == 1
