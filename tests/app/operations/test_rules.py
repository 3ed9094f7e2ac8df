"""Rules of alerts: plain facts in, findings out; the dates are worked out by hand from the calendar of New York."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from app.jobs.job import JobRecord, JobState
from app.operations.heartbeats import Heartbeat
from app.operations.rules import disk_fills, failed_jobs, failing_sources, late_sessions, stalled
from barlake.freshness import LastRequest
from barlake.sessions import Calendar

NOON = dt.datetime(2024, 7, 3, 12, tzinfo=dt.UTC)
LONG_AGO = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
TUESDAY, HALF_DAY, FRIDAY = dt.date(2024, 7, 2), dt.date(2024, 7, 3), dt.date(2024, 7, 5)
SESSIONS = Calendar.default().in_range(TUESDAY, dt.date(2024, 7, 6))


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def late(now: str, **facts: object) -> list[tuple[str, list[str]]]:
    usual = {"watched": {"SPY": LONG_AGO, "QQQ": LONG_AGO}, "feed": "sip", "answered": set(), "provisional": set()}
    found = late_sessions(SESSIONS, at(now), **{**usual, **facts})  # type: ignore[arg-type]
    return [(one.key, one.details["symbols"]) for one in found]


def test_a_worker_that_fell_silent_is_found_once_and_one_that_beats_is_not() -> None:
    def beat(worker: str, agent: str, seconds: float) -> Heartbeat:
        then = NOON - dt.timedelta(seconds=seconds)
        return Heartbeat(worker=worker, agent=agent, state="idle", beat_at=then)

    beats = [beat("w1", "live", 14), beat("w2", "live", 16), beat("w2", "features", 20), beat("w3", "live", 90)]
    second, third = stalled([*beats, beat("w3", "features", 2)], NOON)
    assert (second.key, second.level) == ("stalled/w2", "error")
    assert second.message.startswith("worker w2 is silent: its last heartbeat came at 2024-07-03 11:59:44Z")
    assert second.details["agents"] == ["live", "features"]
    assert third.message.startswith("of worker w3, live is silent: its last")


# Extended hours end at 20:00 New York: midnight UTC in summer, 01:00 in winter; at 17:00 after an early close.
@pytest.mark.parametrize(
    ("now", "found"),
    [
        ("2024-07-03T01:59:59+00:00", []),
        ("2024-07-03T02:00:00+00:00", [TUESDAY]),
        ("2024-07-03T22:59:59+00:00", [TUESDAY]),
        ("2024-07-03T23:00:00+00:00", [TUESDAY, HALF_DAY]),
        ("2024-07-05T23:00:00+00:00", [TUESDAY, HALF_DAY]),
        ("2024-07-06T02:00:00+00:00", [TUESDAY, HALF_DAY, FRIDAY]),
    ],
)
def test_a_session_is_late_two_hours_after_its_end_also_on_a_half_day(now: str, found: list[dt.date]) -> None:
    assert late(now) == [(f"late/sip/{day}", ["QQQ", "SPY"]) for day in found]


def test_a_session_is_late_two_hours_after_its_end_in_winter_too() -> None:
    winter = Calendar.default().in_range(dt.date(2024, 1, 3), dt.date(2024, 1, 4))
    watched = {"SPY": LONG_AGO}

    def found(now: str) -> int:
        return len(late_sessions(winter, at(now), watched=watched, feed="sip", answered=set(), provisional=set()))

    assert (found("2024-01-04T02:59:59+00:00"), found("2024-01-04T03:00:00+00:00")) == (0, 1)


def test_what_a_source_answered_for_is_not_late() -> None:
    answered = {("SPY", TUESDAY)}
    assert late("2024-07-03T03:00:00+00:00", answered=answered) == [("late/sip/2024-07-02", ["QQQ"])]
    assert late("2024-07-03T03:00:00+00:00", answered=answered | {("QQQ", TUESDAY)}) == []


def test_bars_that_stay_provisional_are_late_in_their_own_feed() -> None:
    answered = {("SPY", TUESDAY), ("QQQ", TUESDAY)}
    provisional = {("iex", "SPY", TUESDAY), ("iex", "SPY", HALF_DAY), ("iex", "GLD", TUESDAY)}
    found = late("2024-07-03T15:00:00+00:00", answered=answered, provisional=provisional)
    assert found == [("late/iex/2024-07-02", ["SPY"])]


def test_what_was_due_before_a_symbol_was_watched_broke_no_promise() -> None:
    watched = {"SPY": LONG_AGO, "QQQ": at("2024-07-03T12:00:00+00:00")}
    found = late("2024-07-04T12:00:00+00:00", watched=watched)
    assert found == [("late/sip/2024-07-02", ["SPY"]), ("late/sip/2024-07-03", ["QQQ", "SPY"])]


def test_a_source_is_failing_after_five_failures_in_a_row() -> None:
    def source(name: str, failures: int) -> LastRequest:
        return LastRequest(name, NOON, 503, "HTTP 503", failures, 150)

    (found,) = failing_sources([source("alpaca", 5), source("fred", 4)])
    assert found.key == "source/alpaca"
    assert "the last 5 requests to alpaca failed; the last one: HTTP 503" in found.message


def test_jobs_that_were_given_up_are_one_finding_a_task() -> None:
    def job(number: int, task: str = "bars") -> JobRecord:
        return JobRecord(
            f"{task}/sip/SPY/2024-{number:02}", task, {}, "backfill", 20, JobState.FAILED, "w1", 1, NOON, NOON, NOON,
            NOON, None, None, f"no answer {number}",
        )  # fmt: skip

    bars, daily = failed_jobs([*(job(number) for number in range(7, 0, -1)), job(1, "daily")])
    assert (bars.key, daily.key) == ("jobs/bars", "jobs/daily")
    assert "7 job(s) of task bars failed" in bars.message
    assert "and 2 more" in bars.message
    assert "the last one: no answer 7" in bars.message
    assert len(bars.details["jobs"]) == 7


@pytest.mark.parametrize(
    ("free", "is_active", "level"),
    [(20, False, None), (19, False, "warning"), (4, False, "critical"), (21, True, "warning"), (22, True, None)],
)
def test_a_disk_is_full_above_80_percent_until_it_is_relieved(free: int, is_active: bool, level: str | None) -> None:  # noqa: FBT001
    found = disk_fills(100, free, is_active=is_active)
    assert [one.level for one in found] == ([level] if level else [])


def test_the_sessions_of_these_tests_are_what_they_are_meant_to_be() -> None:
    assert SESSIONS["session"].to_list() == [TUESDAY, HALF_DAY, FRIDAY]
    assert SESSIONS.filter(pl.col("is_early_close"))["session"].to_list() == [HALF_DAY]
