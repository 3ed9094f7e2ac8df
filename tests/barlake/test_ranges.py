"""Ranges are half-open; a date is a New York session, an instant carries its zone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from barlake.ranges import parse_session_range, time_range
from barlake.sessions import NEW_YORK

DAYS = st.dates(dt.date(1990, 1, 1), dt.date(2100, 12, 31))
INSTANTS = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001 - hypothesis adds the zone


@given(DAYS, st.integers(1, 400))
def test_dates_cover_exactly_their_sessions(start: dt.date, count: int) -> None:
    end = start + dt.timedelta(days=count)
    span = time_range(start, end)
    assert (span.first_session, span.end_session) == (start, end)
    assert span.start is not None
    assert span.start.astimezone(NEW_YORK).time() == dt.time()
    assert time_range(start.isoformat(), end.isoformat()) == span


@given(INSTANTS, st.timedeltas(dt.timedelta(microseconds=1), dt.timedelta(days=3)))
def test_sessions_of_a_range_of_instants_hold_all_of_it_and_no_more(start: dt.datetime, length: dt.timedelta) -> None:
    span = time_range(start, start + length)
    last_inside = start + length - dt.timedelta(microseconds=1)
    assert span.first_session == start.astimezone(NEW_YORK).date()
    assert span.end_session == last_inside.astimezone(NEW_YORK).date() + dt.timedelta(days=1)


@given(st.text(max_size=30) | st.datetimes() | st.dates() | st.integers() | st.floats() | st.none())
def test_whatever_is_given_is_read_or_refused(value: Any) -> None:
    for start, end in ((value, None), (None, value)):
        try:
            span = time_range(start, end)
            _ = span.first_session, span.end_session
        except InvalidInputError as error:
            assert "start" in str(error) or "end" in str(error)  # noqa: PT017 - both outcomes are right


def test_an_instant_in_any_zone_is_the_same_instant() -> None:
    one = time_range("2024-01-02T14:30:00Z", "2024-01-02T16:00:00-05:00")
    assert one.start == dt.datetime(2024, 1, 2, 14, 30, tzinfo=dt.UTC)
    assert one.end == dt.datetime(2024, 1, 2, 21, tzinfo=dt.UTC)


def test_a_date_is_new_york_midnight_on_both_sides_of_the_clock_change() -> None:
    span = time_range("2024-03-10", "2024-03-11")
    assert span.start == dt.datetime(2024, 3, 10, 5, tzinfo=dt.UTC)
    assert span.end == dt.datetime(2024, 3, 11, 4, tzinfo=dt.UTC)


@pytest.mark.parametrize("value", ["2024-01-02T14:30:00", dt.datetime(2024, 1, 2, 14, 30)])  # noqa: DTZ001 - it is what must be refused
def test_an_instant_without_zone_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"start '2024-01-02T14:30:00' has no time zone: write .*Z"):
        time_range(value, None)


@pytest.mark.parametrize("value", ["2024-02-30", "yesterday", "", "02.01.2024", 20240102, 1.5])
def test_what_is_no_date_is_refused_with_an_example(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"end .* is not a date: write a session such as"):
        time_range(None, value)


@pytest.mark.parametrize("end", ["2024-01-02", "2024-01-01"])
def test_a_reversed_or_empty_range_is_refused(end: str) -> None:
    with pytest.raises(InvalidInputError, match="start '2024-01-02' is not before end"):
        time_range("2024-01-02", end)
    with pytest.raises(InvalidInputError, match="start '2024-01-02' is not before end"):
        parse_session_range("2024-01-02", end)


@pytest.mark.parametrize("side", [None, "2024-01-02T14:30:00Z"])
def test_a_range_of_sessions_takes_dates_only(side: str | None) -> None:
    with pytest.raises(InvalidInputError, match="is not a session"):
        parse_session_range("2024-01-01", side)
