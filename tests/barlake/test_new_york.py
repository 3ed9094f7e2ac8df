"""Dates by whole-number arithmetic are those of the zone's rules."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake.new_york import new_york_dates
from barlake.sessions import NEW_YORK, session_of

instants = st.integers(-120 * 365 * 86_400, 280 * 365 * 86_400).map(
    lambda seconds: dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
)


def by_the_rules(stamps: pl.Series) -> pl.Series:
    return stamps.dt.convert_time_zone("America/New_York").dt.date()


@given(st.lists(st.none() | instants, max_size=20))
def test_any_instants_have_the_date_of_the_zones_rules(stamps: list[dt.datetime | None]) -> None:
    series = pl.Series("t", stamps, pl.Datetime("us", "UTC"))
    assert new_york_dates(series).equals(by_the_rules(series))


@pytest.mark.parametrize("years", [(1900, 1970), (1970, 2030), (2030, 2200)])
def test_every_hour_of_three_centuries_has_its_date(years: tuple[int, int]) -> None:
    first, beyond = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in years)
    hours = pl.datetime_range(first, beyond, "1h", closed="left", eager=True)
    assert new_york_dates(hours).equals(by_the_rules(hours))


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_instants_in_any_unit_and_zone_have_a_date(unit: pl.datatypes.TimeUnit) -> None:
    stamps = [dt.datetime(2024, 3, 10, 4, 59, tzinfo=dt.UTC), dt.datetime(2024, 11, 4, 5, tzinfo=dt.UTC)]
    zoned = pl.Series("t", stamps, pl.Datetime(unit, "UTC")).dt.convert_time_zone("Asia/Tokyo")
    assert new_york_dates(zoned).to_list() == [dt.date(2024, 3, 9), dt.date(2024, 11, 4)]


def test_a_session_is_the_new_york_date_in_any_query() -> None:
    rows = pl.LazyFrame({"t": [dt.datetime(2024, 1, 3, 4, 59, tzinfo=dt.UTC)] * 2})
    counted = rows.group_by(session_of(pl.col("t")).alias("session")).len().collect()
    assert counted.rows() == [(dt.datetime(2024, 1, 3, 4, 59, tzinfo=dt.UTC).astimezone(NEW_YORK).date(), 2)]
