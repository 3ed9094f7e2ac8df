"""Refit schedules: each test is a period of the calendar, or so many sessions, and nothing of it is in its training."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from tests.training_service.fold_markets import MINUTE, Market, markets
from training_service.fold_check import check_folds
from training_service.fold_spec import FoldSpec
from training_service.folds import WalkForward
from training_service.refit import Refit


def rows_of(sessions: list[dt.date]) -> pl.DataFrame:
    """Two bars of each session; labels look one minute ahead."""
    first = [dt.datetime.combine(day, dt.time(14, 30), dt.UTC) for day in sessions for _ in range(2)]
    stamps = pl.Series(first, dtype=pl.Datetime("us", "UTC")) + pl.Series([0, 1] * len(sessions)) * dt.timedelta(0, 60)
    return pl.DataFrame(
        {
            "session": [day for day in sessions for _ in range(2)],
            "timestamp": stamps,
            "known_at": stamps + dt.timedelta(minutes=2),
        }
    )


def weekdays(first: dt.date, end: dt.date) -> list[dt.date]:
    days = [first + dt.timedelta(days=number) for number in range((end - first).days)]
    return [day for day in days if day.weekday() < 5]


def sessions_of(spec: FoldSpec, frame: pl.DataFrame) -> list[list[dt.date]]:
    return [frame["session"].gather(test).unique(maintain_order=True).to_list() for _, test in spec.split(frame)]


def test_months_weeks_and_quarters_are_those_of_the_calendar() -> None:
    frame = rows_of(weekdays(dt.date(2024, 1, 29), dt.date(2024, 8, 1)))
    months = sessions_of(FoldSpec.parse(refit="month"), frame)
    assert [(days[0], days[-1]) for days in months[:2]] == [
        (dt.date(2024, 2, 1), dt.date(2024, 2, 29)),
        (dt.date(2024, 3, 1), dt.date(2024, 3, 29)),
    ]
    assert len(months) == 6
    weeks = sessions_of(FoldSpec.parse(refit="week"), frame)
    assert [days[0] for days in weeks[:2]] == [dt.date(2024, 2, 5), dt.date(2024, 2, 12)]
    assert [days[0] for days in sessions_of(FoldSpec.parse(refit="quarter"), frame)] == [
        dt.date(2024, 4, 1),
        dt.date(2024, 7, 1),
    ]


def test_a_number_of_sessions_is_counted_from_the_first_so_that_later_ones_move_no_test() -> None:
    days = weekdays(dt.date(2024, 1, 29), dt.date(2024, 3, 1))
    spec = FoldSpec.parse(refit="4-sessions")
    before, after = sessions_of(spec, rows_of(days[:14])), sessions_of(spec, rows_of(days))
    assert before == [days[4:8], days[8:12], days[12:14]]
    assert after[:2] == before[:2]


def test_folds_beside_a_schedule_test_only_the_latest_periods() -> None:
    frame = rows_of(weekdays(dt.date(2024, 1, 29), dt.date(2024, 8, 1)))
    every, latest = FoldSpec.parse(refit="month"), FoldSpec.parse(2, refit="month")
    assert sessions_of(latest, frame) == sessions_of(every, frame)[-2:]
    assert (every.count(frame), latest.count(frame)) == (6, 2)


@given(markets(min_sessions=3, by_row=False), st.data())
def test_periods_of_any_length_are_tested_once_by_models_that_never_saw_them(
    market: Market, data: st.DataObject
) -> None:
    groups = int(market.group[-1]) + 1
    begins = sorted(data.draw(st.sets(st.integers(1, groups - 1), min_size=1)))
    splitter = WalkForward(timestamp=market.timestamp, known_at=market.known_at, test_groups=np.array(begins))
    try:
        folds = list(splitter.split(market.timestamp, groups=market.sessions))
    except InvalidInputError as error:
        assume("no labelled row" not in str(error))
        raise
    check_folds(folds, timestamp=market.timestamp, known_at=market.known_at)
    assert len(folds) == splitter.get_n_splits() == len(begins)
    assert [int(market.group[test[0]]) for _, test in folds] == begins
    rows = np.concatenate([test for _, test in folds])
    assert rows.tolist() == np.flatnonzero(market.group >= begins[0]).tolist()


def test_a_rolling_window_moves_on_with_each_period() -> None:
    days = weekdays(dt.date(2024, 1, 29), dt.date(2024, 3, 1))
    frame = rows_of(days)
    spec = FoldSpec.parse(window="rolling", train_sessions=6, refit="week")
    for training, test in spec.split(frame)[1:]:
        # The last bar before the test is known only when the test has begun.
        assert frame["timestamp"][int(training[-1])] + 2 * dt.timedelta(minutes=1) <= frame["timestamp"][int(test[0])]
        assert frame["session"].gather(training).n_unique() == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"refit": "daily"}, "refit 'daily' is not known: use week, month, quarter, or a number of sessions"),
        ({"refit": "0-sessions"}, "refit sessions 0 is below 1"),
        ({"n_splits": 0, "refit": "month"}, "folds 0 is below 1"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        FoldSpec.parse(**options)  # type: ignore[arg-type]  # options vary in type


def test_too_few_periods_are_refused_with_how_many_there_are() -> None:
    frame = rows_of(weekdays(dt.date(2024, 1, 29), dt.date(2024, 3, 1)))
    with pytest.raises(InvalidInputError, match="refit month needs at least 3 periods for 2 tests, 24 sessions make 2"):
        FoldSpec.parse(2, refit="month").split(frame)
    with pytest.raises(InvalidInputError, match="needs at least 2 periods for 1 tests"):
        FoldSpec.parse(refit="quarter").split(frame)


def test_a_schedule_needs_whole_sessions_and_no_schedule_needs_a_number_of_folds() -> None:
    with pytest.raises(InvalidInputError, match="leave whole_sessions as it is"):
        FoldSpec(refit=Refit.parse("month"), whole_sessions=False)
    with pytest.raises(InvalidInputError, match="folds None is no number"):
        FoldSpec(None)


@pytest.mark.parametrize("groups", [[], [0, 2], [2, 2], [3, 1], [1, 4]])
def test_cuts_that_are_none_are_refused(groups: list[int]) -> None:
    timestamp = np.datetime64("2024-01-02T14:30", "us") + np.arange(4) * MINUTE
    splitter = WalkForward(timestamp=timestamp, known_at=timestamp, test_groups=np.array(groups, dtype=np.intp))
    with pytest.raises(InvalidInputError, match="do not cut 4 groups"):
        list(splitter.split(timestamp))
