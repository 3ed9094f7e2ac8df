"""What is missing, in which class, and on what evidence."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from barlake.keys import PeriodLength
from barlake.lake import Lake
from barlake.records import Answer, AnswerStatus
from barlake.testing import make_bars
from barlake.writer import Progress

pytestmark = pytest.mark.both_databases

FULL, THIN, ABSENT = dt.date(2024, 3, 11), dt.date(2024, 3, 12), dt.date(2024, 3, 13)
TODAY = dt.date(2024, 3, 15)


def write(lake: Lake, *sessions: dt.date, minutes: int | None = None, symbol: str = "SPY", feed: str = "sip") -> None:
    bars = make_bars(sessions, minutes=minutes)
    lake.writer.write(bars, feed=feed, symbol=symbol, source="test", longest=PeriodLength.MONTH)


def answer(lake: Lake, session: dt.date, status: AnswerStatus, attempts: int = 1) -> None:
    progress = Progress(answers=[Answer(session, status, attempts)])
    lake.writer.finalise([], feed="sip", symbol="SPY", source="test", progress=progress)


def classes(lake: Lake) -> dict[dt.date, str]:
    found = lake.gaps("SPY", "2024-03-11", "2024-03-16")
    return dict(found.select("session", "class").rows())


def test_a_full_session_is_no_gap_and_an_absent_one_is(lake: Lake) -> None:
    write(lake, FULL)
    found = lake.gaps("SPY", "2024-03-11", "2024-03-14")
    assert found.select("session", "class", "expected_bars", "held_bars", "missing_bars", "evidence").rows() == [
        (THIN, "gap", 390, 0, 390, "no answer on record"),
        (ABSENT, "gap", 390, 0, 390, "no answer on record"),
    ]


def test_missing_minutes_without_a_second_answer_are_unconfirmed(lake: Lake) -> None:
    write(lake, FULL)
    write(lake, THIN, minutes=300)
    answer(lake, THIN, AnswerStatus.COMPLETE)
    [row] = lake.gaps("SPY", "2024-03-12", "2024-03-13").iter_rows(named=True)
    assert (row["class"], row["held_bars"], row["missing_bars"]) == ("unconfirmed", 300, 90)
    assert row["evidence"].startswith("answered 1 time(s), last at 20")


@pytest.mark.parametrize("status", [AnswerStatus.SPARSE, AnswerStatus.EMPTY])
def test_minutes_a_source_confirmed_to_be_absent_had_no_trade(lake: Lake, status: AnswerStatus) -> None:
    write(lake, FULL)
    write(lake, THIN, minutes=300)
    answer(lake, THIN, status, attempts=2)
    answer(lake, ABSENT, AnswerStatus.EMPTY)
    assert classes(lake) == {
        THIN: "no_trade",
        ABSENT: "no_trade",
        dt.date(2024, 3, 14): "gap",
        TODAY: "not_yet",
    }


def test_a_session_answered_with_extended_hours_alone_is_not_called_unanswered(lake: Lake) -> None:
    write(lake, FULL)
    early = make_bars([ABSENT], minutes=30).with_columns(pl.col("timestamp") - dt.timedelta(hours=2))
    lake.writer.write(early, feed="sip", symbol="SPY", source="test",
                      progress=Progress(answers=[Answer(ABSENT, AnswerStatus.COMPLETE)]))  # fmt: skip
    assert classes(lake)[ABSENT] == "unconfirmed"


def test_imported_bars_say_that_no_source_was_asked(lake: Lake) -> None:
    write(lake, FULL)
    write(lake, THIN, minutes=300)
    answer(lake, THIN, AnswerStatus.IMPORTED, attempts=0)
    [row] = lake.gaps("SPY", "2024-03-12", "2024-03-13").iter_rows(named=True)
    assert (row["class"], row["evidence"]) == ("unconfirmed", "imported from a file; no source was asked")


def test_an_import_does_not_replace_what_a_source_answered(lake: Lake) -> None:
    answer(lake, THIN, AnswerStatus.SPARSE, attempts=3)
    answer(lake, THIN, AnswerStatus.IMPORTED, attempts=0)
    assert lake.manifest.answers().select("status", "attempts").rows() == [("sparse", 3)]
    answer(lake, THIN, AnswerStatus.COMPLETE, attempts=4)
    assert lake.manifest.answers().select("status", "attempts").rows() == [("complete", 4)]


def test_a_session_is_not_yet_due_until_its_extended_hours_are_given_out(lake: Lake, clock: Any) -> None:
    write(lake, FULL)
    due = dt.datetime(2024, 3, 16, 0, 16, tzinfo=dt.UTC)  # 20:00 New York, and 16 minutes
    clock.moment = due - dt.timedelta(microseconds=1)
    assert classes(lake)[TODAY] == "not_yet"
    clock.moment = due
    assert classes(lake)[TODAY] == "gap"


def test_a_half_day_expects_two_hundred_and_ten_minutes(lake: Lake) -> None:
    half = dt.date(2023, 11, 24)
    write(lake, half)
    assert lake.gaps("SPY").is_empty()
    assert lake.coverage("SPY")["expected_bars"].to_list() == [210]


def test_a_closed_weekday_is_not_missed(lake: Lake, clock: Any) -> None:
    clock.moment = dt.datetime(2025, 2, 1, tzinfo=dt.UTC)
    write(lake, dt.date(2025, 1, 8), dt.date(2025, 1, 10))
    assert lake.gaps("SPY").is_empty()


def test_gaps_without_a_range_lie_between_the_first_and_last_session_held(lake: Lake) -> None:
    write(lake, FULL, ABSENT)
    assert lake.gaps()["session"].to_list() == [THIN]
    write(lake, THIN, symbol="QQQ")
    assert lake.gaps().select("symbol", "session").rows() == [("QQQ", FULL), ("QQQ", ABSENT), ("SPY", THIN)]


def test_gaps_of_one_feed_are_not_stretched_by_what_another_holds(lake: Lake) -> None:
    write(lake, FULL, ABSENT)
    write(lake, dt.date(2023, 3, 13), dt.date(2023, 3, 15), feed="mine")
    assert lake.gaps("SPY").select("feed", "session").rows() == [("mine", dt.date(2023, 3, 14)), ("sip", THIN)]
    lake.publish()
    assert lake.sql("SELECT feed, session FROM gaps ORDER BY ALL").rows() == [
        ("mine", dt.date(2023, 3, 14)),
        ("sip", THIN),
    ]


def test_coverage_tells_what_is_held_of_each_session(lake: Lake) -> None:
    write(lake, FULL)
    write(lake, THIN, minutes=300)
    answer(lake, THIN, AnswerStatus.COMPLETE)
    columns = ("session", "bars", "regular_bars", "expected_bars", "status")
    assert lake.coverage("SPY").select(columns).rows() == [
        (FULL, 390, 390, 390, None),
        (THIN, 300, 300, 390, "complete"),
    ]
    assert lake.coverage("SPY", "2024-03-12").height == 1
    assert lake.coverage("SPY", None, "2024-03-12")["session"].to_list() == [FULL]


def test_bars_on_no_session_date_are_covered_without_an_expectation(lake: Lake) -> None:
    saturday = make_bars([FULL], minutes=5).with_columns(pl.col("timestamp") - dt.timedelta(days=2))
    lake.writer.write(saturday, feed="coins", symbol="BTC/USD", source="test")
    row = lake.coverage("BTC/USD").row(0, named=True)
    assert (row["bars"], row["regular_bars"], row["expected_bars"]) == (5, 0, None)
    assert lake.gaps("BTC/USD").is_empty()


def test_an_empty_lake_covers_nothing_and_lacks_nothing(lake: Lake) -> None:
    assert lake.coverage().is_empty()
    assert lake.gaps().is_empty()
