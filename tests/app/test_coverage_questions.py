"""How complete a lake is, by symbol and by session, as the faces show it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from app.use_cases.calendar_grid import calendar_years
from app.use_cases.coverage import holdings, recent_shares, session_shares
from barlake.lake import Lake
from barlake.testing import make_bars, temporary_lake

NEW_YEARS_WEEK = [dt.date(2024, 1, day) for day in (2, 3, 4, 5)]


@pytest.fixture(scope="module")
def lake() -> Iterator[Lake]:
    """FULL has four sessions; THIN has 195 of 390 minutes of the first, lacks the second, and ends with the third."""
    with temporary_lake() as lake:
        lake.write_bars(make_bars(NEW_YEARS_WEEK), feed="synthetic", symbol="FULL")
        lake.write_bars(make_bars(NEW_YEARS_WEEK[:1], minutes=195), feed="synthetic", symbol="THIN")
        lake.write_bars(make_bars(NEW_YEARS_WEEK[2:3]), feed="synthetic", symbol="THIN")
        yield lake


def test_a_symbol_says_how_many_sessions_it_lacks_and_how_far_it_is_behind(lake: Lake) -> None:
    rows = {row["symbol"]: row for row in holdings(lake).iter_rows(named=True)}
    assert list(rows) == ["THIN", "FULL"]  # who is behind comes first
    thin, full = rows["THIN"], rows["FULL"]
    assert (full["expected"], full["absent"], full["behind"], full["share"]) == (4, 0, 0, 1.0)
    assert (thin["sessions"], thin["expected"], thin["absent"], thin["behind"]) == (2, 4, 2, 1)
    assert thin["share"] == pytest.approx((195 + 390) / (4 * 390))


def test_the_newest_sessions_of_a_symbol_show_what_is_held_of_each(lake: Lake) -> None:
    assert recent_shares(lake, "synthetic", ["THIN", "FULL"]) == {"THIN": [0.5, 0.0, 1.0, 0.0], "FULL": [1.0] * 4}
    assert recent_shares(lake, "synthetic", ["THIN"], sessions=2) == {"THIN": [1.0, 0.0]}
    assert recent_shares(lake, "sip", ["THIN"]) == {"THIN": []}


def test_each_session_of_the_year_shows_what_is_held_over_all_symbols(lake: Lake) -> None:
    found = session_shares(lake, "synthetic")
    assert (found["session"][0], found["session"][-1]) == (dt.date(2024, 1, 2), dt.date(2024, 12, 31))
    assert found.height == 252
    assert found.head(5).select("symbols", "held", "complete", "share").rows() == [
        (2, 2, 1, 0.75), (2, 1, 1, 0.5), (2, 2, 2, 1.0), (2, 1, 1, 0.5), (2, 0, 0, 0.0),
    ]  # fmt: skip
    assert session_shares(lake, "sip").is_empty()


def test_a_year_lies_on_the_calendar_by_week_and_weekday(lake: Lake) -> None:
    (year,) = calendar_years(session_shares(lake, "synthetic", "THIN"))
    assert (year.year, year.weeks[0], len(year.shares)) == (2024, dt.date(2024, 1, 1), 5)
    assert [line[0] for line in year.shares] == [None, 0.5, 0.0, 1.0, 0.0]  # Monday was New Year's Day
    assert year.texts[0][0] == ""
    assert year.texts[1][0] == "<b>Tue 2024-01-02</b><br>50.0% of regular minutes"
    assert year.texts[2][0] == "<b>Wed 2024-01-03</b><br>not held"
    assert year.months[:2] == ((0, 1), (4, 2))


def test_an_empty_lake_holds_nothing_and_has_no_year() -> None:
    with temporary_lake() as lake:
        assert holdings(lake).is_empty()
        assert calendar_years(session_shares(lake, "sip")) == []


def test_a_market_that_never_closes_has_seven_days_a_week() -> None:
    with temporary_lake() as lake:
        bars = make_bars(NEW_YEARS_WEEK[:1])
        lake.write_bars(
            bars.select("timestamp", "open", "high", "low", "close", "volume"), feed="crypto", symbol="BTC/USD"
        )
        found = session_shares(lake, "crypto")
        assert found.filter(found["session"] == dt.date(2024, 1, 2))["share"].item() == pytest.approx(390 / 1440)
        (year,) = calendar_years(found)
        assert len(year.shares) == 7
