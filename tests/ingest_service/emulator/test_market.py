from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import GetCalendarRequest

from barlake.sessions import Calendar
from ingest_service.emulator.market import calendar_answer, clock_answer


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.fixture
def trading(emulate: Any) -> Any:
    visitor = emulate(now=at("2024-07-03T15:00:00+00:00"))
    client = TradingClient(visitor.config.key_id, visitor.config.secret_key, url_override=visitor.url)
    client._session = visitor.session
    return client


def test_half_day_and_holiday_in_the_calendar_of_the_real_client(trading: Any) -> None:
    asked = GetCalendarRequest(start=dt.date(2024, 7, 2), end=dt.date(2024, 7, 5))
    sessions = trading.get_calendar(asked)
    assert [(day.date, day.open.time(), day.close.time()) for day in sessions] == [
        (dt.date(2024, 7, 2), dt.time(9, 30), dt.time(16)),
        (dt.date(2024, 7, 3), dt.time(9, 30), dt.time(13)),
        (dt.date(2024, 7, 5), dt.time(9, 30), dt.time(16)),
    ]


def test_clock_of_the_real_client_follows_the_virtual_clock(trading: Any) -> None:
    clock = trading.get_clock()
    assert clock.is_open
    assert abs(clock.timestamp - at("2024-07-03T11:00:00-04:00")) < dt.timedelta(minutes=1)
    assert clock.next_close == at("2024-07-03T13:00:00-04:00")
    assert clock.next_open == at("2024-07-05T09:30:00-04:00")


def test_a_session_is_written_as_alpaca_writes_it(calendar: Calendar) -> None:
    assert calendar_answer(calendar, {"start": "2025-01-02", "end": "2025-01-02"}) == [
        {
            "date": "2025-01-02",
            "open": "09:30",
            "close": "16:00",
            "session_open": "0400",
            "session_close": "2000",
            "settlement_date": "2025-01-03",
        }
    ]


def test_extended_hours_of_a_half_day_end_at_five(calendar: Calendar) -> None:
    (day,) = calendar_answer(calendar, {"start": "2024-11-29", "end": "2024-11-29"})
    assert (day["close"], day["session_close"]) == ("13:00", "1700")


def test_wall_times_stay_the_same_over_the_change_of_the_clocks(calendar: Calendar) -> None:
    days = calendar_answer(calendar, {"start": "2024-11-01", "end": "2024-11-04"})
    assert [(day["date"], day["open"], day["close"]) for day in days] == [
        ("2024-11-01", "09:30", "16:00"),
        ("2024-11-04", "09:30", "16:00"),
    ]


def test_opening_instants_move_with_the_clocks_of_new_york(calendar: Calendar) -> None:
    summer = clock_answer(calendar, at("2024-11-01T00:00:00+00:00"))
    winter = clock_answer(calendar, at("2024-11-02T00:00:00+00:00"))
    assert summer["next_open"] == "2024-11-01T09:30:00-04:00"
    assert winter["next_open"] == "2024-11-04T09:30:00-05:00"


@pytest.mark.parametrize(
    ("instant", "is_open"),
    [
        ("2024-07-03T13:29:59+00:00", False),
        ("2024-07-03T13:30:00+00:00", True),
        ("2024-07-03T16:59:59+00:00", True),
        ("2024-07-03T17:00:00+00:00", False),
    ],
)
def test_the_exchange_is_open_from_the_open_until_the_close(calendar: Calendar, instant: str, *, is_open: bool) -> None:
    assert clock_answer(calendar, at(instant))["is_open"] is is_open


def test_a_closed_weekday_is_no_session(calendar: Calendar) -> None:
    assert calendar_answer(calendar, {"start": "2025-01-09", "end": "2025-01-09"}) == []


@pytest.mark.parametrize(
    ("traded", "settled"),
    [("2017-09-01", "2017-09-07"), ("2024-05-24", "2024-05-29"), ("2024-05-28", "2024-05-29")],
)
def test_settlement_became_faster_twice(calendar: Calendar, traded: str, settled: str) -> None:
    (day,) = calendar_answer(calendar, {"start": traded, "end": traded})
    assert day["settlement_date"] == settled


def test_a_date_that_is_none_is_400(emulate: Any) -> None:
    answer = emulate().get("/v2/calendar", start="soon")
    assert (answer.status_code, answer.json()) == (400, {"message": "invalid start: soon"})
