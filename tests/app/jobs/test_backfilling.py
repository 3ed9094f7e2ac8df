"""Which jobs a range of history comes down to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from app.jobs.backfilling import backfill_jobs
from app.jobs.job import Job
from barlake import Lake
from barlake.errors import InvalidInputError
from barlake.records import Answer, AnswerStatus
from barlake.testing import make_bars, temporary_lake
from barlake.writer import Progress

NOW = dt.datetime(2024, 3, 15, 12, tzinfo=dt.UTC)


@pytest.fixture
def lake() -> Iterator[Lake]:
    with temporary_lake() as lake:
        yield lake


def jobs(lake: Lake, start: str = "2023-01-01", end: str = "2024-12-31", **options: bool) -> list[Job]:
    return backfill_jobs(lake, ["SPY"], start, end, feed="sip", now=NOW, **options)


def spans(found: list[Job]) -> dict[str, tuple[str, str]]:
    return {job.key: (job.arguments["start"], job.arguments["end"]) for job in found}


def answer(lake: Lake, days: list[dt.date]) -> None:
    lake.writer.write(make_bars(days), feed="sip", symbol="SPY", source="alpaca")
    answers = [Answer(day, AnswerStatus.COMPLETE, 1) for day in days]
    lake.writer.finalise(days, feed="sip", symbol="SPY", source="alpaca", progress=Progress(answers=answers))


def test_a_year_of_which_nothing_is_there_is_one_job_and_the_newest_comes_first(lake: Lake) -> None:
    assert spans(jobs(lake)) == {
        "bars/sip/SPY/2024-03": ("2024-03-01", "2024-03-15"),
        "bars/sip/SPY/2024-02": ("2024-02-01", "2024-03-01"),
        "bars/sip/SPY/2024-01": ("2024-01-02", "2024-02-01"),
        "bars/sip/SPY/2023": ("2023-01-03", "2023-12-30"),
    }


def test_what_is_complete_makes_no_job_and_a_month_with_two_holes_makes_one(lake: Lake) -> None:
    held = lake.calendar.in_range(dt.date(2024, 1, 1), dt.date(2024, 3, 1))["session"].to_list()
    answer(lake, [day for day in held if day not in {dt.date(2024, 1, 5), dt.date(2024, 1, 16)}])
    found = jobs(lake, "2024-01-01", "2024-03-01")
    assert spans(found) == {"bars/sip/SPY/2024-01": ("2024-01-05", "2024-01-17")}


def test_force_asks_for_everything_under_keys_of_its_own(lake: Lake) -> None:
    answer(lake, lake.calendar.in_range(dt.date(2024, 1, 1), dt.date(2024, 2, 1))["session"].to_list())
    assert jobs(lake, "2024-01-01", "2024-02-01") == []
    (job,) = jobs(lake, "2024-01-01", "2024-02-01", refetch=True)
    assert (job.key, job.arguments["refetch"]) == ("bars/sip/SPY/2024-01/again", True)


def test_a_reversed_range_is_refused(lake: Lake) -> None:
    with pytest.raises(InvalidInputError, match="start"):
        jobs(lake, "2024-02-01", "2024-01-01")
