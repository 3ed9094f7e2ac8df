"""Names of feeds, symbols, timeframes and periods: one spelling each."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from barlake.keys import Period, PeriodLength, SessionFilter, Timeframe, parse_feed, parse_symbol

DAYS = st.dates(dt.date(1900, 1, 1), dt.date(2199, 12, 31))
LENGTHS = st.sampled_from(list(PeriodLength))


@given(DAYS, LENGTHS)
def test_a_period_reads_back_from_its_label(day: dt.date, length: PeriodLength) -> None:
    period = Period.of(day, length)
    assert Period.parse(period.label) == period
    assert period.start <= day < period.end


@given(DAYS, LENGTHS)
def test_the_day_after_a_period_starts_the_next_one(day: dt.date, length: PeriodLength) -> None:
    period = Period.of(day, length)
    assert Period.of(period.end, length).start == period.end
    assert Period.of(period.end - dt.timedelta(days=1), length) == period


@given(DAYS)
def test_a_year_covers_its_months_and_a_month_its_sessions(day: dt.date) -> None:
    session, month, year = Period.of_session(day), Period.of_month(day), Period.of_year(day)
    assert year.covers(month)
    assert month.covers(session)
    assert not session.covers(month)
    assert not month.covers(year)


def test_a_leap_february_has_twenty_nine_days() -> None:
    assert Period.parse("2024-02").end == dt.date(2024, 3, 1)
    assert Period.parse("2024-02").covers(Period.parse("2024-02-29"))
    assert not Period.parse("2023-02").covers(Period.parse("2023-03-01"))


@pytest.mark.parametrize("label", ["2024-02-30", "2024-13", "0000", "24-01-02", "2024-1-2", "", "2024-01-02 ", "All"])
def test_a_label_that_is_no_period_is_refused(label: str) -> None:
    with pytest.raises(InvalidInputError, match="period"):
        Period.parse(label)


@pytest.mark.parametrize("value", ["spy", " SPY ", "Spy"])
def test_a_symbol_has_one_spelling(value: str) -> None:
    assert parse_symbol(value) == "SPY"


@pytest.mark.parametrize("value", ["BRK.B", "BTC/USD", "^GSPC", "ES=F", "BF-B", "7203", "A" * 32])
def test_symbols_of_every_kind_of_market_are_taken(value: str) -> None:
    assert parse_symbol(value) == value


@pytest.mark.parametrize(
    "value", ["", " ", "..", "../SPY", "SPY QQQ", "SPY,QQQ", "É", "A" * 33, "SPY\n/x", "*", "\u017fpy"]
)
def test_what_is_no_symbol_is_refused_with_the_rule(value: str) -> None:
    with pytest.raises(InvalidInputError, match="use 1 to 32"):
        parse_symbol(value)


@pytest.mark.parametrize("value", ["", "1feed", "a/b", "..", "a b", "a" * 33])
def test_what_is_no_feed_is_refused_with_the_rule(value: str) -> None:
    with pytest.raises(InvalidInputError, match="use 1 to 32"):
        parse_feed(value)


def test_timeframes_and_session_parts_are_read_in_any_case() -> None:
    assert Timeframe.parse("5min") is Timeframe.MINUTE_5
    assert SessionFilter.parse("REGULAR") is SessionFilter.REGULAR


def test_an_unknown_timeframe_or_part_lists_those_there_are() -> None:
    with pytest.raises(InvalidInputError, match="1Min, 5Min, 15Min, 1Hour, 1Day"):
        Timeframe.parse("7Min")
    with pytest.raises(InvalidInputError, match="regular, pre, post, all"):
        SessionFilter.parse("night")
