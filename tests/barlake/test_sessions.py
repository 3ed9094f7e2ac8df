"""Sessions of XNYS, against answers worked out by hand and against an independent calendar."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import polars.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from barlake.sessions import NEW_YORK, Calendar, session_bounds, session_of

ANSWERS = Path(__file__).parent.parent / "answers" / "sessions_us_2024_2025.csv"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "calendar_us_equity.csv"
WINDOWS = [
    ("2024-03-07", "2024-03-13"),
    ("2024-07-02", "2024-07-06"),
    ("2024-11-01", "2024-11-05"),
    ("2024-11-27", "2024-12-03"),
    ("2024-12-24", "2024-12-27"),
    ("2025-01-08", "2025-01-11"),
]
"""Where the answers name every session there is."""


def answers() -> pl.DataFrame:
    frame = pl.read_csv(ANSWERS, comment_prefix="#", try_parse_dates=False)
    instants = pl.col("open", "close", "pre_open", "post_close")
    return frame.with_columns(
        pl.col("session").str.to_date(),
        instants.str.to_datetime("%Y-%m-%dT%H:%MZ", time_unit="us").dt.replace_time_zone("UTC"),
    )


@pytest.mark.parametrize(("start", "end"), WINDOWS)
def test_sessions_are_those_on_file(start: str, end: str) -> None:
    first, after = dt.date.fromisoformat(start), dt.date.fromisoformat(end)
    expected = answers().filter(pl.col("session").is_between(first, after, closed="left"))
    assert expected.height >= 2
    pl.testing.assert_frame_equal(Calendar.default().in_range(first, after), expected)


@pytest.mark.parametrize(
    "day",
    ["1994-04-27", "2001-09-11", "2001-09-14", "2004-06-11", "2007-01-02", "2012-10-29", "2018-12-05", "2025-01-09"],
)
def test_a_closure_that_no_rule_foresaw_is_no_session(day: str) -> None:
    closed = dt.date.fromisoformat(day)
    assert Calendar.default().in_range(closed, closed + dt.timedelta(days=1)).is_empty()


def test_sessions_agree_with_an_independent_calendar() -> None:
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is not on this machine")
    other = pl.read_csv(SHARED).with_columns(pl.col("date").str.to_date())
    clock = pl.col("open", "close").dt.convert_time_zone("America/New_York").dt.strftime("%H:%M")
    own = Calendar.default().in_range(dt.date(1998, 1, 1), other["date"].to_list()[-1] + dt.timedelta(days=1))
    own = own.select(pl.col("session").alias("date"), clock)
    assert own["date"].to_list() == other["date"].to_list()
    # The other one lacks the early closes of 1998-11-27, 1998-12-24 and 1999-12-31.
    early = own.join(other, on="date", suffix="_other").filter(pl.col("close") != pl.col("close_other"))
    assert [day.isoformat() for day in early["date"]] == ["1998-11-27", "1998-12-24", "1999-12-31"]
    assert own["open"].to_list() == other["open"].to_list()


def test_a_range_is_half_open() -> None:
    found = Calendar.default().in_range(dt.date(2024, 1, 2), dt.date(2024, 1, 4))["session"].to_list()
    assert found == [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]


def test_a_range_past_either_end_of_the_calendar_says_which() -> None:
    calendar = Calendar.default()
    with pytest.raises(InvalidInputError, match="earlier than the calendar's first session"):
        calendar.in_range(calendar.first - dt.timedelta(days=1), calendar.last)
    with pytest.raises(InvalidInputError, match="later than the calendar's last session"):
        calendar.in_range(calendar.first, calendar.last + dt.timedelta(days=2))
    assert calendar.in_range(calendar.first, calendar.last + dt.timedelta(days=1)).height == calendar.frame.height


def test_the_parts_of_every_session_follow_each_other() -> None:
    frame = Calendar.default().frame
    assert frame["session"].is_sorted()
    assert frame["session"].n_unique() == frame.height
    assert frame.select((pl.col("pre_open") < pl.col("open")).all()).item()
    assert frame.select((pl.col("open") < pl.col("close")).all()).item()
    assert frame.select((pl.col("close") < pl.col("post_close")).all()).item()
    assert frame.select((pl.col("post_close") < pl.col("pre_open").shift(-1)).all()).item()


@given(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2090, 1, 1)))  # noqa: DTZ001 - the zone is given below
def test_the_session_of_an_instant_is_its_new_york_date(naive: dt.datetime) -> None:
    instant = naive.replace(tzinfo=dt.UTC)
    frame = pl.DataFrame({"timestamp": [instant]}, schema={"timestamp": pl.Datetime("us", "UTC")})
    session = frame.select(session_of(pl.col("timestamp"))).item()
    start, end = session_bounds(session, session + dt.timedelta(days=1))
    assert session == instant.astimezone(NEW_YORK).date()
    assert start <= instant < end


def test_post_market_bars_after_utc_midnight_belong_to_the_session_before() -> None:
    frame = pl.DataFrame({"timestamp": [dt.datetime(2024, 1, 3, 0, 59, tzinfo=dt.UTC)]})
    assert frame.select(session_of(pl.col("timestamp"))).item() == dt.date(2024, 1, 2)


def test_the_cached_calendar_is_the_calendar(tmp_path: Path) -> None:
    path = tmp_path / "calendar" / "xnys.parquet"
    made, read = Calendar.cached(path), Calendar.cached(path)
    pl.testing.assert_frame_equal(made.frame, Calendar.default().frame)
    pl.testing.assert_frame_equal(read.frame, made.frame)


def test_a_cached_calendar_is_read_and_not_built(tmp_path: Path) -> None:
    path = tmp_path / "xnys.parquet"
    Calendar.cached(path)
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 3).replace_schema_metadata(table.schema.metadata), path)
    assert Calendar.cached(path).frame.height == 3


@pytest.mark.parametrize("stamp", [b"0.0.1/2024", None])
def test_a_calendar_of_another_library_version_is_built_again(tmp_path: Path, stamp: bytes | None) -> None:
    path = tmp_path / "xnys.parquet"
    Calendar.cached(path)
    old: pa.Table = pq.read_table(path).slice(0, 3)
    pq.write_table(old.replace_schema_metadata(None if stamp is None else {b"built_with": stamp}), path)
    assert Calendar.cached(path).frame.height == Calendar.default().frame.height
    assert pq.read_table(path).num_rows == Calendar.default().frame.height


@pytest.mark.parametrize("content", [b"", b"no Parquet at all" * 10])
def test_a_damaged_cached_calendar_is_built_again(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "xnys.parquet"
    path.write_bytes(content)
    assert Calendar.cached(path).frame.height == Calendar.default().frame.height
    assert pq.read_table(path).num_rows == Calendar.default().frame.height
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
