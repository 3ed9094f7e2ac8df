"""Versions of records beside a plain model: nothing is lost, nothing is known too early."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError, LookAheadError
from barlake.record_kinds import KINDS, empty_versions
from barlake.versions import CLOCKS, join_known, merge_versions, newest

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
KEYS = ("series", "date")
NOTHING = empty_versions(KINDS["macro"]).drop("source")
HOURS = st.integers(0, 8)
STATEMENTS = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([None, 1.0, 2.0]), HOURS), min_size=1, max_size=6)
WRITES = st.lists(STATEMENTS, min_size=1, max_size=5)

Version = tuple[int, dt.datetime, dt.datetime, dt.datetime, float | None]
"""Day, published_at, known_at, ingested_at, value."""


def at(hour: float) -> dt.datetime:
    return START + dt.timedelta(hours=hour)


def rows(statements: list[tuple[int, float | None, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        [("GDP", dt.date(2023, 1, day), value, at(hour)) for day, value, hour in statements],
        schema={"series": pl.String(), "date": pl.Date(), "value": pl.Float64(),
                "published_at": pl.Datetime("us", "UTC")},
        orient="row",
    )  # fmt: skip


def written(writes: list[list[tuple[int, float | None, int]]]) -> tuple[pl.DataFrame, list[Version]]:
    """The same writes by the code and by a list of versions; the n-th is stored at half past hour 2 n."""
    held, model = NOTHING, list[Version]()
    for number, statements in enumerate(writes):
        moment = at(2 * number + 0.5)
        merged = merge_versions(held, rows(statements), keys=KEYS, moment=moment)
        held = pl.concat([held, merged.new])
        for (day, hour), value in {(day, hour): value for day, value, hour in statements}.items():
            said = [one for one in model if (one[0], one[1]) == (day, at(hour))]
            if not said or said[-1][4] != value:
                model.append((day, at(hour), max(at(hour), moment) if said else at(hour), moment, value))
    return held, model


@given(WRITES)
def test_versions_are_those_of_a_plain_list(writes: list[list[tuple[int, float | None, int]]]) -> None:
    held, model = written(writes)
    found = held.with_columns(pl.col("date").dt.day()).select("date", *CLOCKS, "value")
    assert sorted(found.rows(), key=repr) == sorted(model, key=repr)


@given(WRITES)
def test_the_same_rows_again_are_no_news(writes: list[list[tuple[int, float | None, int]]]) -> None:
    held, _ = written(writes)
    again = merge_versions(held, rows(writes[-1]), keys=KEYS, moment=at(99))
    assert (again.new.height, again.inserted, again.changed) == (0, 0, 0)


@given(WRITES, HOURS)
def test_what_stood_at_an_instant_of_the_market_is_the_last_thing_published_of_what_was_known(
    writes: list[list[tuple[int, float | None, int]]], hour: int
) -> None:
    held, model = written(writes)
    found = newest(held, keys=KEYS, known_by=at(hour)).with_columns(pl.col("date").dt.day()).select("date", "value")
    known = [one for one in model if one[2] <= at(hour)]
    expected = {day: max((one for one in known if one[0] == day), key=lambda one: (one[1], one[3]))[4]
                for day in {one[0] for one in known}}  # fmt: skip
    assert dict(found.rows()) == expected


@given(WRITES, st.lists(st.integers(-1, 20), min_size=1, max_size=8))
def test_a_joined_value_is_the_newest_observation_known_by_then(
    writes: list[list[tuple[int, float | None, int]]], hours: list[int]
) -> None:
    held, model = written(writes)
    frame = pl.DataFrame({"known_at": [at(hour) for hour in hours], "row": range(len(hours))})
    found = join_known(frame, held, name="GDP")
    assert found.columns == ["known_at", "row", "GDP"]
    assert found["row"].to_list() == list(range(len(hours)))
    for instant, value in found.select("known_at", "GDP").rows():
        known = [one for one in model if one[2] <= instant and one[4] is not None]
        expected = max(known, key=lambda one: (one[0], one[1], one[3]))[4] if known else None
        assert value == expected


@given(WRITES, st.lists(st.integers(0, 20), min_size=1, max_size=8))
def test_no_later_release_reaches_a_row(writes: list[list[tuple[int, float | None, int]]], hours: list[int]) -> None:
    """Take away everything that became known after the last row, and no row changes."""
    held, _ = written(writes)
    frame = pl.DataFrame({"known_at": [at(hour) for hour in hours]})
    without = held.filter(pl.col("known_at") <= at(max(hours)))
    assert join_known(frame, held, name="x").equals(join_known(frame, without, name="x"))


def test_a_row_at_the_instant_of_the_release_has_it_and_one_a_microsecond_earlier_has_not() -> None:
    held, _ = written([[(1, 1.0, 3)]])
    frame = pl.DataFrame({"known_at": [at(3) - dt.timedelta(microseconds=1), at(3)]})
    assert join_known(frame, held, name="GDP")["GDP"].to_list() == [None, 1.0]


def test_a_changed_value_for_the_same_instant_is_known_only_since_it_was_stored() -> None:
    held, _ = written([[(1, 1.0, 0)], [(1, 2.0, 0)], [(1, 1.0, 0)]])
    assert held["known_at"].to_list() == [at(0), at(2.5), at(4.5)]
    assert newest(held, keys=KEYS)["value"].to_list() == [1.0]
    assert newest(held, keys=KEYS, known_by=at(3))["value"].to_list() == [2.0]


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (pl.DataFrame({"timestamp": [START]}), InvalidInputError),
        (pl.DataFrame({"known_at": [START], "GDP": [1.0]}), InvalidInputError),
        (pl.DataFrame({"known_at": [START.replace(tzinfo=None)]}), InvalidInputError),
        (pl.DataFrame({"known_at": [START, None]}), LookAheadError),
    ],
)
def test_rows_that_do_not_say_what_was_known_are_refused(frame: pl.DataFrame, error: type[Exception]) -> None:
    with pytest.raises(error):
        join_known(frame, NOTHING, name="GDP")
