"""Longer bars: a plain row-by-row model agrees, and a small case is on file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import polars.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from barlake.keys import SessionFilter, Timeframe
from barlake.resample import filter_session, resample
from barlake.sessions import NEW_YORK, Calendar, session_of

ANSWERS = Path(__file__).parent.parent / "answers"
SESSIONS = Calendar.default().frame
MINUTES = {Timeframe.MINUTE_5: 5, Timeframe.MINUTE_15: 15, Timeframe.HOUR: 60}
LONGER = [*MINUTES, Timeframe.DAY]
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap")
SCHEMA = {
    "timestamp": pl.Datetime("us", "UTC"),
    **dict.fromkeys(("open", "high", "low", "close"), pl.Float64),
    **dict.fromkeys(("volume", "trade_count"), pl.Int64),
    "vwap": pl.Float64,
}


def a_table(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("timestamp")
    return frame.select(
        pl.lit("sip").alias("feed"),
        pl.lit("SPY").alias("symbol"),
        session_of(pl.col("timestamp")).alias("session"),
        *COLUMNS,
    )


def read_answers(name: str) -> pl.DataFrame:
    prices = dict.fromkeys(("open", "high", "low", "close", "vwap"), pl.Float64)
    frame = pl.read_csv(ANSWERS / name, comment_prefix="#", schema_overrides=prices)
    return frame.with_columns(
        pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%MZ", time_unit="us").dt.replace_time_zone("UTC")
    )


def part_of(stamp: dt.datetime) -> tuple[str | None, dt.datetime | None, dt.datetime | None]:
    """Part of the session, the instant it starts, and the next border, from New York's clock alone."""
    local = stamp.astimezone(NEW_YORK)
    row = SESSIONS.filter(pl.col("session") == local.date())
    if row.is_empty():
        return None, None, None
    bounds = row.row(0, named=True)
    if stamp < bounds["open"]:
        return "pre", bounds["pre_open"] if stamp >= bounds["pre_open"] else None, bounds["open"]
    if stamp < bounds["close"]:
        return "regular", bounds["open"], bounds["close"]
    return "post", bounds["close"], None


def model(rows: list[tuple[Any, ...]], timeframe: Timeframe) -> list[tuple[Any, ...]]:
    groups: dict[Any, list[tuple[Any, ...]]] = {}
    for row in sorted(rows):
        local = row[0].astimezone(NEW_YORK)
        key: Any = local.date()
        if timeframe is not Timeframe.DAY:
            width = MINUTES[timeframe]
            of_day = local.hour * 60 + local.minute
            # On the nights the clock changes, two wall minutes of one name are an hour apart.
            key = (local.date(), part_of(row[0])[0], local.utcoffset(), of_day // width)
        groups.setdefault(key, []).append(row)
    found = []
    for group in groups.values():
        first = group[0][0]
        start = part_of(first)[1]
        if timeframe is Timeframe.DAY:
            opening = start or first
        else:
            late = first.astimezone(NEW_YORK).minute % MINUTES[timeframe]
            bucket = first - dt.timedelta(minutes=late)
            opening = max(bucket, start) if start else bucket
        weighed = [(row[7], row[5]) for row in group if row[7] is not None]
        weight = sum(volume for _, volume in weighed)
        counts = [row[6] for row in group]
        found.append(
            (
                opening, group[0][1], max(row[2] for row in group), min(row[3] for row in group), group[-1][4],
                sum(row[5] for row in group), None if None in counts else sum(counts),
                sum(price * volume for price, volume in weighed) / weight if weight else None, len(group),
            )
        )  # fmt: skip
    return found


DAYS = st.sampled_from(
    [dt.date(2024, 3, 8), dt.date(2024, 3, 10), dt.date(2024, 3, 11), dt.date(2024, 7, 3), dt.date(2024, 11, 3),
     dt.date(2024, 11, 4), dt.date(2024, 11, 29), dt.date(2024, 12, 25)]
)  # fmt: skip
STAMPS = st.builds(
    lambda day, minute: dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(minutes=minute),
    DAYS,
    st.integers(0, 1439) | st.sampled_from([539, 540, 809, 810, 869, 870, 1019, 1020, 1079, 1080, 1199, 1200, 1260]),
)
PRICES = st.integers(1, 10_000).map(lambda cents: cents / 100)
ROWS = st.lists(
    st.tuples(STAMPS, PRICES, PRICES, PRICES, PRICES, st.integers(0, 500), st.none() | st.integers(0, 9),
              st.none() | PRICES),
    min_size=1, max_size=60, unique_by=lambda row: row[0],
)  # fmt: skip


@given(ROWS, st.sampled_from(LONGER))
def test_a_plain_model_makes_the_same_bars(rows: list[tuple[Any, ...]], timeframe: Timeframe) -> None:
    expected = pl.DataFrame(model(rows, timeframe), schema={**SCHEMA, "minutes": pl.Int64}, orient="row")
    found = resample(a_table(rows), timeframe, SESSIONS).select(*COLUMNS, "minutes")
    pl.testing.assert_frame_equal(found, expected, rel_tol=1e-12)


@given(ROWS, st.sampled_from(LONGER))
def test_every_minute_is_in_exactly_one_bar(rows: list[tuple[Any, ...]], timeframe: Timeframe) -> None:
    bars = a_table(rows)
    longer = resample(bars, timeframe, SESSIONS)
    assert longer["minutes"].sum() == bars.height
    assert longer["volume"].sum() == bars["volume"].sum()
    assert longer["timestamp"].is_sorted()
    assert longer["timestamp"].n_unique() == longer.height
    assert longer["minutes"].max() <= MINUTES.get(timeframe, 1500)  # type: ignore[operator] # polars' Any
    assert longer.select((session_of(pl.col("timestamp")) == pl.col("session")).all()).item()
    assert longer["derived"].all()


@given(ROWS, st.sampled_from(list(MINUTES)))
def test_no_bar_crosses_the_opening_or_the_close(rows: list[tuple[Any, ...]], timeframe: Timeframe) -> None:
    bars = a_table(rows)
    parts = [
        resample(filter_session(bars, SESSIONS, part), timeframe, SESSIONS)
        for part in (SessionFilter.PRE, SessionFilter.REGULAR, SessionFilter.POST)
    ]
    whole = resample(bars, timeframe, SESSIONS)
    days = SESSIONS["session"].implode()
    pl.testing.assert_frame_equal(
        pl.concat(parts).sort("timestamp"), whole.filter(pl.col("session").is_in(days)), check_exact=True
    )


@pytest.mark.parametrize("timeframe", LONGER)
def test_bars_of_a_half_day_are_those_on_file(timeframe: Timeframe) -> None:
    expected = read_answers("resample_half_day_bars.csv").filter(pl.col("timeframe") == timeframe.value)
    minutes = read_answers("resample_half_day_minutes.csv")
    found = resample(a_table(minutes.select(COLUMNS).rows()), timeframe, SESSIONS)
    pl.testing.assert_frame_equal(found.select(expected.drop("timeframe").columns), expected.drop("timeframe"))


@pytest.mark.parametrize(
    ("part", "expected"),
    [("pre", ["08:58", "09:00", "09:29"]), ("regular", ["09:30", "09:31", "10:00", "12:59"]), ("post", ["13:00"])],
)
def test_parts_of_a_half_day_split_at_the_opening_and_the_early_close(part: str, expected: list[str]) -> None:
    minutes = a_table(read_answers("resample_half_day_minutes.csv").select(COLUMNS).rows())
    found = filter_session(minutes, SESSIONS, SessionFilter.parse(part))
    assert found["timestamp"].dt.convert_time_zone("America/New_York").dt.strftime("%H:%M").to_list() == expected
    assert found.columns == minutes.columns


def test_bars_before_the_pre_market_keep_their_own_buckets() -> None:
    night = dt.datetime(2024, 1, 2, 6, 58, tzinfo=dt.UTC)
    rows = [(night + dt.timedelta(minutes=number), 1.0, 2.0, 1.0, 1.5, 10, None, None) for number in range(10)]
    found = resample(a_table(rows), Timeframe.MINUTE_5, SESSIONS)
    assert found.select(pl.col("timestamp").dt.strftime("%H:%M"), "minutes").rows() == [
        ("06:55", 2), ("07:00", 5), ("07:05", 3),
    ]  # fmt: skip
    assert resample(a_table(rows), Timeframe.DAY, SESSIONS).item(0, "timestamp") == night


def test_no_bars_make_no_bars_of_the_same_columns() -> None:
    empty = a_table([])
    some = a_table([(dt.datetime(2024, 1, 2, 15, tzinfo=dt.UTC), 1.0, 2.0, 1.0, 1.5, 10, None, None)])
    for timeframe in LONGER:
        assert resample(empty, timeframe, SESSIONS).is_empty()
        assert resample(empty, timeframe, SESSIONS).schema == resample(some, timeframe, SESSIONS).schema


def test_minute_bars_are_not_made_again() -> None:
    with pytest.raises(InvalidInputError, match="is what is stored"):
        resample(a_table([]), Timeframe.MINUTE, SESSIONS)
