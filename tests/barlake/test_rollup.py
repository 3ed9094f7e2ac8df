import datetime as dt

import polars as pl
import pytest

from barlake import layout
from barlake.keys import PartitionKey, Period
from barlake.lake import Lake
from barlake.records import FileRecord
from barlake.rollup import plan_rollup, rollup
from barlake.testing import make_bars, temporary_lake

pytestmark = pytest.mark.both_databases

FEED, SYMBOL = "synthetic", "SPY"
SESSIONS = [
    dt.date(2023, 12, 28), dt.date(2023, 12, 29), dt.date(2024, 1, 2),
    dt.date(2024, 1, 31), dt.date(2024, 2, 1), dt.date(2024, 2, 2),
]  # fmt: skip
LATER = dt.date(2024, 2, 10)


class Clock:
    def __init__(self, day: dt.date) -> None:
        self.day = day

    def __call__(self) -> dt.datetime:
        return dt.datetime.combine(self.day, dt.time(22), tzinfo=dt.UTC)


def record(label: str) -> FileRecord:
    instant = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    return FileRecord(
        f"{label}.parquet", layout.BARS, PartitionKey(FEED, SYMBOL, Period.parse(label)), 1, 1, instant, instant
    )


def labels(lake: Lake) -> list[str]:
    return [file.key.period.label for file in lake.manifest.files()]


def fill_session_by_session(lake: Lake, clock: Clock, *, minutes: int = 5) -> None:
    """Write each session on its own day, so that each gets a file of its own."""
    for number, session in enumerate(SESSIONS):
        clock.day = session
        lake.write_bars(make_bars([session], seed=number, minutes=minutes), feed=FEED, symbol=SYMBOL)


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (dt.date(2024, 1, 31), ["2023"]),
        (dt.date(2024, 2, 1), ["2023", "2024-01"]),
        (dt.date(2025, 1, 1), ["2023", "2024"]),
    ],
)
def test_a_period_is_rolled_up_on_the_day_after_its_last(today: dt.date, expected: list[str]) -> None:
    files = [record(day.isoformat()) for day in SESSIONS]
    assert [step.key.period.label for step in plan_rollup(files, today=today)] == expected


def test_one_file_per_closed_period_leaves_nothing_to_do() -> None:
    files = [record(label) for label in ("2023", "2024-01", "2024-02-01", "2024-02-02")]
    assert plan_rollup(files, today=LATER) == []


def test_a_file_coarser_than_the_calendar_asks_for_is_never_split() -> None:
    assert plan_rollup([record("2024")], today=LATER) == []


def test_rows_and_hashes_are_the_same_before_and_after() -> None:
    clock = Clock(SESSIONS[0])
    with temporary_lake(now=clock) as lake:
        fill_session_by_session(lake, clock)
        before, root = lake.bars(SYMBOL), lake.snapshot(SYMBOL).root_hash
        report = rollup(lake.store, lake.manifest, today=LATER)
        assert labels(lake) == ["2023", "2024-01", "2024-02-01", "2024-02-02"]
        assert (report.files_before, report.files_after, report.rows) == (4, 2, 20)
        assert lake.bars(SYMBOL).equals(before)
        assert lake.snapshot(SYMBOL).root_hash == root
        assert rollup(lake.store, lake.manifest, today=LATER).files_after == 0


def test_a_correction_of_a_rolled_up_session_goes_into_the_coarse_file() -> None:
    clock = Clock(SESSIONS[0])
    with temporary_lake(now=clock) as lake:
        fill_session_by_session(lake, clock)
        rollup(lake.store, lake.manifest, today=LATER)
        corrected = make_bars([SESSIONS[0]], seed=0, minutes=5).with_columns(pl.col("volume") + 1)
        report = lake.write_bars(corrected, feed=FEED, symbol=SYMBOL)
        assert report.changed == 5
        assert labels(lake) == ["2023", "2024-01", "2024-02-01", "2024-02-02"]


def test_old_values_are_rolled_up_too_and_none_is_lost() -> None:
    clock = Clock(SESSIONS[0])
    with temporary_lake(now=clock) as lake:
        fill_session_by_session(lake, clock)
        for step in (1, 2, 3):
            corrected = make_bars([SESSIONS[2]], seed=2, minutes=5).with_columns(pl.col("volume") + step)
            lake.write_bars(corrected, feed=FEED, symbol=SYMBOL)
        assert len(lake.manifest.files(dataset=layout.REVISIONS)) == 3
        rollup(lake.store, lake.manifest, today=LATER)
        kept = lake.manifest.files(dataset=layout.REVISIONS)
        assert [file.rows for file in kept] == [15]


def test_a_catalogue_opened_before_still_answers_and_the_next_one_says_the_same() -> None:
    clock = Clock(SESSIONS[0])
    with temporary_lake(now=clock) as lake:
        fill_session_by_session(lake, clock)
        question = "select count(*) as bars, sum(volume) as volume from bars"
        before = lake.sql(question)
        rollup(lake.store, lake.manifest, today=LATER)
        assert lake.sql(question).equals(before)
        lake.publish()
        assert lake.sql(question).equals(before)


def test_only_the_symbols_asked_for_are_rolled_up() -> None:
    clock = Clock(SESSIONS[0])
    with temporary_lake(now=clock) as lake:
        fill_session_by_session(lake, clock)
        assert rollup(lake.store, lake.manifest, today=LATER, symbols=["QQQ"]).files_before == 0
        assert rollup(lake.store, lake.manifest, today=LATER, symbols=[SYMBOL], feed="iex").files_before == 0
