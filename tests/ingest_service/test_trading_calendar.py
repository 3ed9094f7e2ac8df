from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from barlake.settings import ALPACA_TRADING_URL, Settings
from ingest_service.alpaca import AlpacaSource
from ingest_service.refusals import TransientError
from ingest_service.trading_calendar import CalendarRequest

REQUEST = CalendarRequest(dt.date(2024, 7, 1), dt.date(2024, 7, 4))
KEYS = {"ALPACA_API_KEY_ID": "your-key-id", "ALPACA_API_SECRET_KEY": "your-secret-key"}


def test_both_of_alpacas_spellings_of_a_time_are_new_york_times() -> None:
    body = [
        {"date": "2024-07-03", "open": "09:30", "close": "1300"},
        {"date": "2024-01-02", "open": "0930", "close": "16:00"},
    ]
    assert REQUEST.read(body).hours == {
        dt.date(2024, 7, 3): (
            dt.datetime(2024, 7, 3, 13, 30, tzinfo=dt.UTC),
            dt.datetime(2024, 7, 3, 17, tzinfo=dt.UTC),
        ),
        dt.date(2024, 1, 2): (
            dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC),
            dt.datetime(2024, 1, 2, 21, tzinfo=dt.UTC),
        ),
    }


def test_alpacas_inclusive_end_is_the_last_day_of_the_range() -> None:
    assert REQUEST.params() == {"start": "2024-07-01", "end": "2024-07-03"}


@pytest.mark.parametrize(
    "body",
    [
        None,
        {"calendar": []},
        ["2024-07-03"],
        [{"date": "2024-07-03", "open": "09:30"}],
        [{"date": "2024-07-03", "open": "9h30", "close": "16:00"}],
        [{"date": "2024-07-32", "open": "09:30", "close": "16:00"}],
        [{"date": "2024-07-03", "open": "25:30", "close": "16:00"}],
    ],
)
def test_what_is_no_calendar_is_asked_for_again(body: Any) -> None:
    with pytest.raises(TransientError):
        REQUEST.read(body)


@pytest.mark.parametrize(
    ("names", "url"),
    [
        ({}, ALPACA_TRADING_URL),
        ({"ALPACA_DATA_URL": "https://data.alpaca.markets"}, ALPACA_TRADING_URL),
        ({"ALPACA_DATA_URL": "http://127.0.0.1:8900"}, "http://127.0.0.1:8900"),
        (
            {"ALPACA_DATA_URL": "http://127.0.0.1:8900", "ALPACA_TRADING_URL": "http://127.0.0.1:8901"},
            "http://127.0.0.1:8901",
        ),
    ],
)
def test_the_trading_api_is_where_the_settings_say_or_where_the_stand_in_is(names: dict[str, str], url: str) -> None:
    source = AlpacaSource.trading_from_settings(Settings.model_validate(KEYS | names))
    assert source.base_url == url
