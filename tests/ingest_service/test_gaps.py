from __future__ import annotations

import datetime as dt
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.records import AnswerStatus
from barlake.sessions import Calendar
from ingest_service.gaps import (
    MAX_ATTEMPTS,
    MAX_EMPTY_ATTEMPTS,
    missing_sessions,
    request_windows,
    suspicious_sessions,
)

CALENDAR = Calendar.default()
YEAR = CALENDAR.in_range(dt.date(2024, 1, 1), dt.date(2025, 1, 1))
SESSIONS: list[dt.date] = YEAR["session"].to_list()
WEEK = SESSIONS[:5]
HALF_DAY = dt.date(2024, 7, 3)

some_sessions = st.sets(st.sampled_from(SESSIONS), max_size=60).map(sorted)


def expected(days: list[dt.date]) -> pl.DataFrame:
    return YEAR.filter(pl.col("session").is_in(days))


def held(rows: dict[dt.date, int]) -> pl.DataFrame:
    """What `Manifest.held` says of sessions with so many regular bars each."""
    return pl.DataFrame(
        {"session": list(rows), "regular_rows": list(rows.values())},
        schema={"session": pl.Date, "regular_rows": pl.Int64},
    )


def answers(given: dict[dt.date, tuple[AnswerStatus, int]]) -> pl.DataFrame:
    """What `Manifest.answers` says: session -> status and attempts."""
    return pl.DataFrame(
        {
            "session": list(given),
            "status": [status.value for status, _ in given.values()],
            "attempts": [attempts for _, attempts in given.values()],
        },
        schema={"session": pl.Date, "status": pl.String, "attempts": pl.Int64},
    )


def suspicious(wanted: pl.DataFrame, present: pl.DataFrame, said: pl.DataFrame) -> list[dt.date]:
    return suspicious_sessions(wanted, present, said, CALENDAR.frame)


def complete(days: list[dt.date], attempts: int = 1) -> dict[dt.date, tuple[AnswerStatus, int]]:
    return dict.fromkeys(days, (AnswerStatus.COMPLETE, attempts))


# --- which sessions are missing --------------------------------------------------------------


@given(some_sessions, some_sessions)
def test_missing_is_what_nobody_answered_for(wanted: list[dt.date], answered: list[dt.date]) -> None:
    found = missing_sessions(expected(wanted), answers(complete(answered)))
    assert found == sorted(set(wanted) - set(answered))


@pytest.mark.parametrize("status", list(AnswerStatus))
def test_every_kind_of_answer_counts_as_one(status: AnswerStatus) -> None:
    assert missing_sessions(expected(WEEK), answers(dict.fromkeys(WEEK, (status, 1)))) == []


# --- which windows are asked for -------------------------------------------------------------


@given(some_sessions)
def test_windows_cover_exactly_the_sessions_in_their_order(days: list[dt.date]) -> None:
    windows = request_windows(days, CALENDAR.frame)
    assert [day for window in windows for day in window.sessions] == days


@given(some_sessions)
def test_no_session_lies_in_a_window_that_did_not_ask_for_it(days: list[dt.date]) -> None:
    for window in request_windows(days, CALENDAR.frame):
        inside = [day for day in SESSIONS if window.start <= day < window.end]
        assert inside == list(window.sessions)


def is_whole_year(days: tuple[dt.date, ...]) -> bool:
    return list(days) == [day for day in SESSIONS if day.year == days[0].year]


@given(some_sessions)
def test_a_window_that_is_no_whole_year_never_reaches_into_another_month(days: list[dt.date]) -> None:
    for window in request_windows(days, CALENDAR.frame):
        if not is_whole_year(window.sessions):
            assert {(day.year, day.month) for day in window.sessions} == {(window.start.year, window.start.month)}


@given(some_sessions)
def test_neighbours_of_one_month_are_never_asked_for_apart(days: list[dt.date]) -> None:
    for before, after in pairwise(request_windows(days, CALENDAR.frame)):
        adjacent = SESSIONS.index(after.sessions[0]) == SESSIONS.index(before.sessions[-1]) + 1
        same_month = (before.start.year, before.start.month) == (after.start.year, after.start.month)
        assert not (adjacent and same_month)


def test_a_whole_year_takes_one_window_and_a_year_that_lacks_a_session_one_a_month() -> None:
    year = [day for day in CALENDAR.frame["session"] if day.year == 2023]
    (window,) = request_windows(year, CALENDAR.frame)
    assert (window.start, window.end, len(window.sessions)) == (year[0], year[-1] + dt.timedelta(days=1), len(year))
    assert [window.start.month for window in request_windows(year[1:], CALENDAR.frame)] == list(range(1, 13))


def test_a_weekend_and_a_holiday_do_not_part_a_window() -> None:
    friday, tuesday = dt.date(2024, 1, 12), dt.date(2024, 1, 16)
    (window,) = request_windows([friday, tuesday], CALENDAR.frame)
    assert (window.start, window.end) == (friday, dt.date(2024, 1, 17))


def test_the_same_month_of_two_years_is_two_windows() -> None:
    days = [dt.date(2023, 1, 31), dt.date(2024, 1, 2)]
    assert len(request_windows(days, CALENDAR.frame)) == 2


# --- which answered sessions are asked for again ----------------------------------------------


def test_a_session_that_lacks_minutes_is_suspicious_where_the_others_have_all() -> None:
    rows = dict.fromkeys(WEEK, 390) | {WEEK[2]: 389}
    assert suspicious(expected(WEEK), held(rows), answers(complete(WEEK))) == [WEEK[2]]


def test_a_half_day_with_all_its_minutes_is_not_suspicious() -> None:
    days = [dt.date(2024, 7, 2), HALF_DAY, dt.date(2024, 7, 5)]
    rows = {days[0]: 390, HALF_DAY: 210, days[2]: 390}
    assert suspicious(expected(days), held(rows), answers(complete(days))) == []


def test_a_thinly_traded_symbol_is_not_asked_for_again() -> None:
    rows = dict.fromkeys(WEEK, 150) | {WEEK[2]: 20}
    assert suspicious(expected(WEEK), held(rows), answers(complete(WEEK))) == []


def test_an_empty_session_between_full_ones_is_suspicious_also_for_a_thin_symbol() -> None:
    rows = {WEEK[0]: 90, WEEK[4]: 120}
    said = complete([WEEK[0], WEEK[4]]) | {WEEK[2]: (AnswerStatus.EMPTY, 1)}
    assert suspicious(expected(WEEK), held(rows), answers(said)) == [WEEK[2]]


def test_empty_sessions_before_the_first_and_after_the_last_bar_are_believed() -> None:
    said = complete(WEEK[1:4]) | dict.fromkeys((WEEK[0], WEEK[4]), (AnswerStatus.EMPTY, 1))
    rows = dict.fromkeys(WEEK[1:4], 390)
    assert suspicious(expected(WEEK), held(rows), answers(said)) == []


def test_a_symbol_without_any_bar_is_believed() -> None:
    said = dict.fromkeys(WEEK, (AnswerStatus.EMPTY, 1))
    assert suspicious(expected(WEEK), held({}), answers(said)) == []


def test_a_session_that_nobody_answered_for_is_missing_not_suspicious() -> None:
    rows = dict.fromkeys(WEEK, 390) | {WEEK[2]: 100}
    said = complete([day for day in WEEK if day != WEEK[2]])
    assert suspicious(expected(WEEK), held(rows), answers(said)) == []


@pytest.mark.parametrize("status", [AnswerStatus.SPARSE, AnswerStatus.IMPORTED])
def test_a_confirmed_or_an_imported_session_is_left_alone(status: AnswerStatus) -> None:
    rows = dict.fromkeys(WEEK, 390) | {WEEK[2]: 100}
    said = complete(WEEK) | {WEEK[2]: (status, 1)}
    assert suspicious(expected(WEEK), held(rows), answers(said)) == []


def test_only_sessions_of_the_range_are_asked_for_again() -> None:
    rows = dict.fromkeys(WEEK, 390) | {WEEK[0]: 1, WEEK[4]: 1}
    assert suspicious(expected(WEEK[:2]), held(rows), answers(complete(WEEK))) == [WEEK[0]]


def test_what_is_usual_for_a_symbol_is_judged_by_all_its_sessions_not_by_the_range_alone() -> None:
    rows = dict.fromkeys(WEEK, 390) | {WEEK[4]: 150}
    assert suspicious(expected([WEEK[4]]), held(rows), answers(complete(WEEK))) == [WEEK[4]]


def test_an_empty_answer_is_not_doubted_where_a_file_brought_the_bars() -> None:
    said = complete(WEEK) | {WEEK[2]: (AnswerStatus.EMPTY, 1)}
    assert suspicious(expected(WEEK), held(dict.fromkeys(WEEK, 390)), answers(said)) == []


@pytest.mark.parametrize(
    ("status", "limit"), [(AnswerStatus.COMPLETE, MAX_ATTEMPTS), (AnswerStatus.EMPTY, MAX_EMPTY_ATTEMPTS)]
)
def test_asking_again_ends_after_a_bounded_number_of_attempts(status: AnswerStatus, limit: int) -> None:
    rows = dict.fromkeys(WEEK, 390) | {WEEK[2]: 1}
    if status is AnswerStatus.EMPTY:
        del rows[WEEK[2]]
    asked = [
        attempts
        for attempts in range(1, 10)
        if suspicious(expected(WEEK), held(rows), answers(complete(WEEK) | {WEEK[2]: (status, attempts)}))
    ]
    assert asked == list(range(1, limit))


@given(
    st.lists(st.integers(0, 390), min_size=5, max_size=5),
    st.lists(st.sampled_from(list(AnswerStatus)), min_size=5, max_size=5),
    st.lists(st.integers(1, 4), min_size=5, max_size=5),
)
def test_whatever_was_answered_a_suspicious_session_is_one_that_lacks_minutes(
    rows: list[int], statuses: list[AnswerStatus], attempts: list[int]
) -> None:
    present = {day: count for day, count in zip(WEEK, rows, strict=True) if count}
    said = dict(zip(WEEK, zip(statuses, attempts, strict=True), strict=True))
    for day in suspicious(expected(WEEK), held(present), answers(said)):
        assert present.get(day, 0) < 390
        assert said[day][1] < MAX_ATTEMPTS
