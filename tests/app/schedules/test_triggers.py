"""When schedules are due, across summer time, half days and holidays."""

from __future__ import annotations

import bisect
import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schedules.triggers import BOUNDS, Cron, SessionBound, Trigger, next_due, parse_trigger
from barlake.errors import InvalidInputError
from barlake.sessions import Calendar

CALENDAR = Calendar.default()
SESSIONS = set(CALENDAR.frame["session"].to_list())
NEW_YORK = ZoneInfo("America/New_York")
DAILY = "30 6 * * 2-6"


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def dues(trigger: Trigger, after: str, until: str) -> list[str]:
    found = trigger.between(utc(after), utc(until), CALENDAR)
    return [f"{one.due:%m-%d %H:%M}" + (" skipped" if one.skipped else "") for one in found]


def test_the_daily_time_follows_every_session_and_does_not_leave_friday_until_monday() -> None:
    assert dues(Cron(DAILY), "2024-06-27", "2024-07-03") == ["06-27 06:30", "06-28 06:30", "06-29 06:30", "07-02 06:30"]


def test_a_time_that_no_session_came_before_is_skipped_with_its_reason() -> None:
    assert dues(Cron(DAILY), "2024-07-03", "2024-07-09 12:00") == [
        "07-03 06:30", "07-04 06:30", "07-05 06:30 skipped", "07-06 06:30", "07-09 06:30",
    ]  # fmt: skip
    # Good Friday 2024, then a Monday with trading.
    assert dues(Cron(DAILY), "2024-03-29", "2024-04-02 12:00") == ["03-29 06:30", "03-30 06:30 skipped", "04-02 06:30"]
    # Monday 2024-05-27 was Memorial Day.
    (skipped,) = Cron(DAILY).between(utc("2024-05-27"), utc("2024-05-28 07:00"), CALENDAR)
    assert skipped.skipped == "no session has ended since 2024-05-25 06:30Z"
    assert dues(Cron(DAILY, sessions_only=False), "2024-07-05", "2024-07-05 12:00") == ["07-05 06:30"]


def test_after_the_close_means_after_an_early_close_too() -> None:
    assert dues(parse_trigger("close+20m"), "2024-07-02", "2024-07-06") == ["07-02 20:20", "07-03 17:20", "07-05 20:20"]
    assert dues(parse_trigger("post_close+20m"), "2024-07-02 12:00", "2024-07-06 12:00") == [
        "07-03 00:20", "07-03 21:20", "07-06 00:20",
    ]  # fmt: skip
    assert dues(parse_trigger("open"), "2024-03-08", "2024-03-12") == ["03-08 14:30", "03-11 13:30"]


def test_a_time_that_summer_time_leaves_out_happens_at_the_change_and_one_that_comes_twice_the_first_time() -> None:
    nightly = Cron("30 2 * * *", "America/New_York", sessions_only=False)
    assert dues(nightly, "2024-03-09", "2024-03-12") == ["03-09 07:30", "03-10 07:00", "03-11 06:30"]
    twice = Cron("30 1 * * *", "America/New_York", sessions_only=False)
    assert dues(twice, "2024-11-02", "2024-11-05") == ["11-02 05:30", "11-03 05:30", "11-04 06:30"]
    often = Cron("*/30 * * * *", "America/New_York", sessions_only=False)
    assert dues(often, "2024-03-10 06:00", "2024-03-10 08:00") == [
        "03-10 06:30", "03-10 07:00", "03-10 07:30", "03-10 08:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0 30 2 *", "never happens"),
        ("61 * * * *", "not five fields"),
        ("* * * * * *", "not five fields"),
        ("@daily", "not five fields"),
        ("", "not five fields"),
        ("clos+5m", "Did you mean 'close'"),
        ("close+13h", "further from its session than 12 hours"),
    ],
)
def test_what_is_no_trigger_is_refused_with_its_rule(text: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        parse_trigger(text)
    with pytest.raises(InvalidInputError, match="is not known"):
        Cron(DAILY, "New York")


seconds = st.integers(int(utc("2015-01-01").timestamp()), int(utc("2026-12-01").timestamp()))
instants = seconds.map(lambda one: dt.datetime.fromtimestamp(one, dt.UTC))
spans = st.timedeltas(dt.timedelta(0), dt.timedelta(days=20))
bounds = st.builds(
    SessionBound, st.sampled_from(BOUNDS), st.integers(-720, 720).map(lambda minutes: dt.timedelta(minutes=minutes))
)
crons = st.builds(
    Cron,
    st.sampled_from([DAILY, "0 * * * *", "*/30 1-3 * * *", "15 2 * * 0", "30 1 1 * *", "0 0 * * 1-5", "5 4 * * 7"]),
    st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.booleans(),
)


@given(crons | bounds, instants, spans)
def test_instants_only_increase_and_lie_in_the_range(trigger: Trigger, after: dt.datetime, span: dt.timedelta) -> None:
    found = [one.due for one in trigger.between(after, after + span, CALENDAR)]
    assert all(earlier < later for earlier, later in itertools.pairwise(found))
    assert all(after < due <= after + span for due in found)


@given(crons | bounds, instants, spans, st.floats(0, 1))
def test_a_range_seen_in_two_parts_is_the_range(
    trigger: Trigger, after: dt.datetime, span: dt.timedelta, share: float
) -> None:
    middle = after + span * share
    whole = list(trigger.between(after, after + span, CALENDAR))
    parts = [*trigger.between(after, middle, CALENDAR), *trigger.between(middle, after + span, CALENDAR)]
    assert parts == whole


@given(bounds, instants, spans)
def test_what_is_bound_to_sessions_is_due_once_for_each_and_never_for_a_closed_day(
    trigger: SessionBound, after: dt.datetime, span: dt.timedelta
) -> None:
    found = [one.session for one in trigger.between(after, after + span, CALENDAR)]
    assert set(found) <= SESSIONS
    assert len(set(found)) == len(found)
    instant = pl.col(trigger.bound) + trigger.offset
    assert CALENDAR.frame.filter((instant > after) & (instant <= after + span)).height == len(found)


@given(crons, instants, spans)
def test_a_time_is_skipped_exactly_when_no_session_ended_since_the_time_before(
    trigger: Cron, after: dt.datetime, span: dt.timedelta
) -> None:
    every = Cron(trigger.expression, trigger.zone, sessions_only=False)
    only = Cron(trigger.expression, trigger.zone, sessions_only=True)
    times = [one.due for one in every.between(after, after + span, CALENDAR)]
    closes = CALENDAR.frame["close"].to_list()
    for earlier, due, judged in zip(
        times, times[1:], list(only.between(after, after + span, CALENDAR))[1:], strict=False
    ):
        ended = bisect.bisect_right(closes, due) - bisect.bisect_right(closes, earlier)
        assert (judged.skipped is None) == (ended > 0)


def test_the_next_time_is_the_first_that_is_not_skipped() -> None:
    found = next_due(Cron(DAILY), utc("2024-07-04 07:00"), CALENDAR)
    assert found is not None
    assert found.due == utc("2024-07-06 06:30")
    assert next_due(Cron("0 0 29 2 *"), utc("2025-01-01 00:00"), CALENDAR) is None
