"""The picture of candles: rows side by side, holes as wide as they should be, nothing sent that is not drawn."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import polars as pl
import pytest

pytest.importorskip("plotly", reason="plotly is not installed")
pytest.importorskip("streamlit", reason="streamlit is not installed")

from app.dashboard.parts.candle_chart import action_text, candle_chart, zone_name
from app.dashboard.parts.colours import Palette
from app.dashboard.parts.time_axis import labels, place, ticks
from app.use_cases.candle_intervals import CandleInterval
from app.use_cases.candles import CANDLES, Candles
from app.use_cases.chart_ranges import Reach, reach_back, stretch
from barlake.errors import NotFoundError
from barlake.ranges import TimeRange
from barlake.sessions import Calendar

PALETTE = Palette(
    rise="blue", fall="orange", neutral="grey", warning="brown", grid="silver", text="black", background="white",
    series=("blue", "orange", "green", "pink"), steps=("white", "blue"),
)  # fmt: skip


def rows_of(sessions: list[dt.date], *, holes: tuple[int, ...] = ()) -> pl.DataFrame:
    """A candle a session; at the places named, ten sessions that are absent."""
    rows = [
        {
            "session": day,
            "last_session": day,
            "timestamp": None if place in holes else dt.datetime.combine(day, dt.time(14, 30), tzinfo=dt.UTC),
            **dict.fromkeys(("open", "high", "low", "close"), None if place in holes else 100.0 + place),
            "volume": None if place in holes else 5.0,
            "minutes": 0 if place in holes else 380,
            "missing": 3900 if place in holes else 10 * (place % 2),
            "whole_sessions": 10 if place in holes else 0,
            "class": "gap" if place in holes else "no_trade" if place % 2 else None,
            "evidence": None if place in holes else "answered",
        }
        for place, day in enumerate(sessions)
    ]
    return pl.DataFrame(rows, schema=CANDLES)


def candles_of(rows: pl.DataFrame, interval: CandleInterval = CandleInterval.DAY) -> Candles:
    actions = pl.DataFrame(
        {
            "kind": ["split", "dividend"],
            "ex_date": [rows["session"][2], rows["session"][3]],
            "ratio": [0.25, None],
            "cash_usd": [None, 1.759],
        }
    )
    first, last = rows["session"][0], rows["last_session"][-1]
    return Candles("SPY", "sip", None, interval, TimeRange(None, None), (first, last), rows, actions)


@pytest.fixture(scope="module")
def sessions() -> list[dt.date]:
    days: list[dt.date] = Calendar.default().in_range(dt.date(2024, 1, 2), dt.date(2024, 12, 20))["session"].to_list()
    return days


def test_a_hole_is_wider_than_a_candle_and_no_wider_for_more_sessions(sessions: list[dt.date]) -> None:
    positions = place(rows_of(sessions[:200], holes=(50,)))

    assert positions.width.to_list() == [1.0] * 50 + [2.0] + [1.0] * 149
    assert positions.middle[49:52].to_list() == [49.5, 51.0, 52.5]
    assert positions.length == 201
    assert positions.rows_between(52.6, 49.4) == (49, 51)
    assert positions.rows_between(49.6, 49.9) == (1, 0)


@pytest.mark.parametrize(("count", "texts"), [(3, ["2 Jan", "3 Jan", "4 Jan"]), (230, ["Jan 2024", "Feb 2024"])])
def test_ticks_are_where_time_begins_anew_and_stand_apart(
    sessions: list[dt.date], count: int, texts: list[str]
) -> None:
    rows = rows_of(sessions[:count])
    positions = place(rows)
    found = ticks(rows, positions, CandleInterval.DAY, "America/New_York")

    assert set(found.texts) & set(texts)
    assert all(later - earlier >= 0.09 * positions.length for earlier, later in pairwise(found.places))
    for at, text in zip(found.places, found.texts, strict=True):
        assert text in {f"{sessions[int(at)]:%-d %b}", f"{sessions[int(at)]:%b %Y}"}


def test_each_kind_of_absence_is_one_trace_and_no_candle_is_made_up(sessions: list[dt.date]) -> None:
    found = candles_of(rows_of(sessions[:40], holes=(10, 20)))
    figure = candle_chart(found, PALETTE).figure

    by_name = {trace.name: trace for trace in figure.data}
    assert list(by_name) == ["absent: not fetched", "price", "volume", "absent: no trade", "dividend", "split"]
    assert len(by_name["price"].x) == len(by_name["volume"].x) == 38
    assert list(by_name["absent: not fetched"].x) == [10.5, 20.5]
    assert "10 whole sessions, 3,900 regular minutes absent" in by_name["absent: not fetched"].customdata[0]
    assert set(by_name["absent: no trade"].y) == {10 / 390}
    assert list(by_name["split"].x) == [2.5]
    assert by_name["dividend"].customdata[0].endswith("$1.759 a share")
    assert figure.layout.xaxis.range == (0, 40)


def test_a_reverse_split_is_told_the_right_way_round() -> None:
    row = {"kind": "split", "ex_date": "2024-01-02", "ratio": 0.25, "cash_usd": None}
    assert action_text(row) == "split, ex-date 2024-01-02: 1 new share for 4 old"


def test_the_whole_picture_of_two_thousand_candles_is_small() -> None:
    days = Calendar.default().in_range(dt.date(2010, 1, 1), dt.date(2018, 1, 1))["session"].to_list()[:2000]
    figure = candle_chart(candles_of(rows_of(days)), PALETTE).figure

    assert len(figure.to_json()) < 600_000


def test_hours_are_told_in_the_markets_own_zone(sessions: list[dt.date]) -> None:
    found = candles_of(rows_of(sessions[:5]))

    assert zone_name(found) == "America/New_York"
    assert labels(found.rows, CandleInterval.HOUR, zone_name(found))[0] == "Tue 2 Jan 2024, 09:30"


def test_a_box_becomes_the_range_of_its_candles(sessions: list[dt.date]) -> None:
    daily = candles_of(rows_of(sessions[:40]))
    assert stretch(daily, 3, 5) == (sessions[3], sessions[5] + dt.timedelta(days=1))
    assert stretch(daily, 0, 39) is None
    assert stretch(daily, 1, 0) is None

    hourly = candles_of(rows_of(sessions[:40], holes=(6,)), CandleInterval.HOUR)
    stamps = hourly.rows["timestamp"]
    assert stretch(hourly, 3, 4) == (stamps[3], stamps[5])
    assert stretch(hourly, 3, 5) == (stamps[3], sessions[5] + dt.timedelta(days=1))
    assert stretch(hourly, 6, 8) == (sessions[6], stamps[9])


def test_a_reach_ends_with_the_last_session_held(sessions: list[dt.date]) -> None:
    held = pl.Series(sessions)
    end = sessions[-1] + dt.timedelta(days=1)

    assert reach_back(held, Reach.SESSION) == (sessions[-1], end)
    assert reach_back(held, Reach.WEEK) == (sessions[-5], end)
    assert reach_back(held, Reach.HALF_YEAR) == (dt.date(2024, 6, 20), end)
    assert reach_back(held, Reach.FIVE_YEARS) == reach_back(held, Reach.ALL) == (sessions[0], end)
    with pytest.raises(NotFoundError, match="ingest the symbol first"):
        reach_back(held.clear(), Reach.WEEK)
