"""Longer bars count from the minute at which they are over, and not a minute before."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

from barlake.keys import SessionFilter, Timeframe
from barlake.resample import resample
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import compute_features, on_sessions
from feature_service.declare import Feature, feature
from feature_service.inputs import FeatureInputs
from feature_service.longer_bars import longer_bars
from feature_service.sets import FULL
from feature_service.trend import sma
from feature_service.volume import volume_ratio

UTC = dt.UTC
LENGTHS = {Timeframe.MINUTE_5: 5, Timeframe.MINUTE_15: 15, Timeframe.HOUR: 60}


def last_close(timeframe: str) -> Feature:
    return sma.named("last_close", window_bars=1, timeframe=timeframe)


def at(found: pl.DataFrame, hour: int, minute: int, day: int = 17) -> float | None:
    stamp = dt.datetime(2024, 6, day, hour, minute, tzinfo=UTC)
    value: float | None = found.filter(pl.col("timestamp") == stamp)["last_close"].item()
    return value


@pytest.fixture(scope="module")
def whole(calendar: Calendar) -> pl.DataFrame:
    """Two sessions with every minute; closes are 1, 2, 3 ..., so that a close tells its minute. 13:30 UTC opens."""
    bars = on_sessions(make_bars([dt.date(2024, 6, 17), dt.date(2024, 6, 18)]), calendar, SessionFilter.REGULAR)
    number = pl.int_range(1, bars.height + 1, eager=True).cast(pl.Float64)
    return bars.with_columns(number.alias(name) for name in ("open", "high", "low", "close"))


def test_a_quarter_of_an_hour_is_known_with_its_last_minute(whole: pl.DataFrame) -> None:
    found = whole.hstack(compute_features(FeatureInputs(whole), [last_close("15Min")]))
    # The bar from 13:30 closes with the 15th minute bar, 13:44, which is complete at 13:45.
    assert at(found, 13, 43) is None
    assert [at(found, 13, minute) for minute in (44, 45, 58, 59)] == [15, 15, 15, 30]
    # The first minute of the next session still sees the last bar of this one.
    assert [at(found, 19, 58), at(found, 19, 59), at(found, 13, 43, 18)] == [375, 390, 390]


def test_hours_lie_on_the_clock_and_stop_at_opening_and_close(whole: pl.DataFrame) -> None:
    found = whole.hstack(compute_features(FeatureInputs(whole), [last_close("1Hour")]))
    assert [at(found, 13, 58), at(found, 13, 59), at(found, 14, 58), at(found, 14, 59)] == [None, 30, 30, 90]


def test_a_session_is_known_from_the_next_one_on(whole: pl.DataFrame) -> None:
    found = whole.hstack(compute_features(FeatureInputs(whole), [last_close("1Day")]))
    assert [at(found, 19, 59), at(found, 13, 30, 18), at(found, 19, 59, 18)] == [None, 390, 390]


def test_a_bucket_whose_last_minutes_have_no_bar_is_over_by_the_clock(whole: pl.DataFrame) -> None:
    gone = [dt.datetime(2024, 6, 17, 13, minute, tzinfo=UTC) for minute in (43, 44, 45)]
    part = whole.filter(~pl.col("timestamp").is_in(gone))
    found = part.hstack(compute_features(FeatureInputs(part), [last_close("15Min")]))
    assert [at(found, 13, 42), at(found, 13, 46)] == [None, 13]


def test_an_early_close_ends_its_bucket(calendar: Calendar) -> None:
    day = dt.date(2024, 7, 3)  # closes at 13:00 New York, 17:00 UTC
    bars = make_bars([day])
    late = bars.tail(30).with_columns(pl.col("timestamp") + pl.duration(minutes=30))
    whole = on_sessions(pl.concat([bars, late]), calendar, SessionFilter.ALL)
    found = whole.hstack(compute_features(FeatureInputs(whole), [last_close("1Hour")]))
    stamp = dt.datetime(2024, 7, 3, 16, 59, tzinfo=UTC)
    assert found.filter(pl.col("timestamp") == stamp)["last_close"].item() == bars["close"][-1]


@pytest.mark.parametrize("timeframe", LENGTHS)
@pytest.mark.parametrize("hours", [SessionFilter.REGULAR, SessionFilter.ALL])
def test_longer_bars_are_those_of_the_lake(timeframe: Timeframe, hours: SessionFilter, calendar: Calendar) -> None:
    days = [dt.date(2024, 7, 2), dt.date(2024, 7, 3)]
    bars = make_bars(days, keep=0.7)
    moved = [bars.with_columns(pl.col("timestamp") + pl.duration(hours=shift)) for shift in (-7, 7)]
    every = pl.concat([bars, *moved]).sort("timestamp").unique("timestamp", keep="first", maintain_order=True)
    minutes = on_sessions(every, calendar, hours)
    ours = longer_bars(minutes, timeframe)
    columns = [pl.lit(value).alias(name) for name, value in (("feed", "sip"), ("symbol", "SPY"))]
    nulls = [pl.lit(None, dtype).alias(name) for name, dtype in (("vwap", pl.Float64), ("trade_count", pl.Int64))]
    theirs = resample(minutes.with_columns(*columns, *nulls), timeframe, calendar.frame)
    for name in ("session", "open", "high", "low", "close", "volume"):
        assert ours[name].to_list() == theirs[name].to_list(), name


@pytest.mark.parametrize("timeframe", [*LENGTHS, Timeframe.DAY])
def test_no_bar_is_seen_before_its_last_minute_is_complete(timeframe: Timeframe, history: pl.DataFrame) -> None:
    newest = feature(unit="microseconds")(lambda: pl.col("timestamp").dt.epoch("us"))
    found = compute_features(FeatureInputs(history), [newest.named("start", timeframe=timeframe)])["start"]
    seen = history.select("timestamp", "session").with_columns(found.alias("start")).drop_nulls()
    start = pl.from_epoch(seen["start"].cast(pl.Int64), "us").dt.replace_time_zone("UTC")
    if timeframe is Timeframe.DAY:
        assert (start.dt.date() < seen["session"]).all()
        return
    length = dt.timedelta(minutes=LENGTHS[timeframe])
    closes = history.select(pl.col("session").alias("day"), "session_close").unique()
    day = start.dt.date()
    close = pl.DataFrame({"day": day}).join(closes, on="day", how="left", maintain_order="left")["session_close"]
    over = pl.DataFrame({"a": start.dt.truncate(f"{LENGTHS[timeframe]}m") + length, "b": close}).min_horizontal()
    assert (over <= seen["timestamp"] + dt.timedelta(minutes=1)).all()
    # And as soon as it is over: every bar is seen somewhere.
    assert start.n_unique() >= longer_bars(history, timeframe).height - 1


def test_features_of_longer_bars_are_the_formulas_of_the_house_over_the_lakes_bars(
    history: pl.DataFrame, full: pl.DataFrame
) -> None:
    quarter = longer_bars(history, Timeframe.MINUTE_15)
    same = {
        "sma_distance_20_15min": ("15Min", quarter["close"] / quarter["close"].rolling_mean(20) - 1),
        "log_return_1_15min": ("15Min", quarter["close"].log().diff()),
    }
    for name, (_, values) in same.items():
        over = quarter["_known"].to_list()
        expected = []
        position = -1
        for stamp in history["timestamp"]:
            while position + 1 < len(over) and over[position + 1] <= stamp + dt.timedelta(minutes=1):
                position += 1
            value = values[position] if position >= 0 else None
            expected.append(math.nan if value is None else value)
        found = full[name].fill_null(math.nan).to_numpy()
        assert np.allclose(found, np.array(expected), rtol=0, atol=1e-12, equal_nan=True), name


def test_daily_features_use_whole_sessions_before_the_rows_own(history: pl.DataFrame, full: pl.DataFrame) -> None:
    daily = history.group_by("session", maintain_order=True).agg(
        pl.col("high").max(), pl.col("low").min(), pl.col("close").last()
    )
    high, low, close = (daily[name].to_numpy() for name in ("high", "low", "close"))
    number = {day: row for row, day in enumerate(daily["session"])}
    rows = np.array([number[day] for day in history["session"]])
    for name, span in (("log_return_1_day", 1), ("log_return_5_day", 5)):
        values = [
            math.log(close[r - 1] / close[r - 1 - span]) if r - 1 >= span else math.nan for r in range(len(close))
        ]
        assert np.allclose(full[name].fill_null(math.nan), np.array(values)[rows], atol=1e-12, equal_nan=True), name
    ranges = np.log(high / low) ** 2 / (4 * math.log(2))
    values = [math.sqrt(ranges[r - 10 : r].mean()) if r >= 10 else math.nan for r in range(len(close))]
    assert np.allclose(full["parkinson_10_day"].fill_null(math.nan), np.array(values)[rows], equal_nan=True)
    values = [
        (close[r - 1] - low[r - 20 : r].min()) / (high[r - 20 : r].max() - low[r - 20 : r].min())
        if r >= 20
        else math.nan
        for r in range(len(close))
    ]
    assert np.allclose(full["channel_position_20_day"].fill_null(math.nan), np.array(values)[rows], equal_nan=True)


def test_volumes_of_longer_bars_are_added_up(whole: pl.DataFrame) -> None:
    one = volume_ratio.named("ratio", window_bars=2, timeframe="5Min")
    found = compute_features(FeatureInputs(whole), [one])["ratio"]
    first, second = whole["volume"].head(5).sum(), whole["volume"].slice(5, 5).sum()
    assert found[9] == pytest.approx(second / ((first + second) / 2))
    assert "rsi_14_5min" in [feature.name for feature in FULL.features if feature.timeframe is Timeframe.MINUTE_5]
