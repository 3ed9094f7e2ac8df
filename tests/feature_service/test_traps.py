"""The ways in which indicators go wrong in silence, each tried on the whole feature set."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barlake.errors import InvalidInputError
from barlake.keys import SessionFilter
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import check_bars, compute_features, feature_table, on_sessions
from feature_service.declare import Feature
from feature_service.inputs import FeatureInputs
from feature_service.sets import CORE

NEVER_IN_A_FLAT_MARKET = {
    "bb_pctb",
    "rsi_14",
    "stoch_k",
    "stoch_d",
    "cci_20",
    "mfi_14",
}
"""A position within a range that is zero."""

NEVER_WITHOUT_VOLUME = {"mfi_14", "session_vwap", "vwap_distance", "volume_ratio_20"}


def computed(history: pl.DataFrame) -> pl.DataFrame:
    return compute_features(FeatureInputs(history), CORE.features)


def with_prices(history: pl.DataFrame, price: float) -> pl.DataFrame:
    return history.with_columns(pl.lit(price).alias(name) for name in ("open", "high", "low", "close"))


# Warm-up ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feature", CORE.features, ids=lambda one: one.name)
def test_the_warm_up_is_null_and_exactly_as_long_as_declared(feature: Feature, history: pl.DataFrame) -> None:
    values = compute_features(FeatureInputs(history), [feature])[feature.name]
    first_session = int((history["session"] == history["session"][0]).sum())
    wanted = feature.history_bars + feature.history_sessions * first_session
    assert values.head(wanted).null_count() == wanted
    assert values.slice(wanted).null_count() == 0


@pytest.mark.parametrize("rows", [0, 1, 2, 150])
def test_a_history_too_short_gives_nulls_not_partial_windows(rows: int, history: pl.DataFrame) -> None:
    found = computed(history.head(rows))
    assert found.height == rows
    assert found["sma_200"].null_count() == rows
    assert found["volatility_390"].null_count() == rows


# Values that are none --------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=25)
def test_no_nan_and_no_infinity_ever_comes_out(data: st.DataObject, history: pl.DataFrame) -> None:
    rows = data.draw(st.integers(1, 60))
    cents = data.draw(st.lists(st.sampled_from([1, 100, 101, 45_000, 62_000_000]), min_size=rows, max_size=rows))
    volume = data.draw(st.lists(st.sampled_from([0, 1, 10_000_000_000]), min_size=rows, max_size=rows))
    price = pl.Series(cents) / 100
    part = history.head(rows).with_columns(
        pl.Series("volume", volume), *(price.alias(name) for name in ("open", "high", "low", "close"))
    )
    for column in feature_table(FeatureInputs(part), CORE.features).select(pl.selectors.float()).iter_columns():
        assert column.is_finite().all(), column.name


def test_a_market_that_never_moves_has_no_position_in_its_range(history: pl.DataFrame) -> None:
    found = computed(with_prices(history.head(1000), 500.1))
    settled = found.tail(500)
    assert {name for name in found.columns if settled[name].null_count() == 500} == NEVER_IN_A_FLAT_MARKET
    for name in ("simple_return_1", "volatility_30", "vwap_distance", "overnight_gap", "natr_14"):
        assert settled[name].abs().max() == pytest.approx(0, abs=1e-12), name


@pytest.mark.parametrize("scale", [0.01, 1.0, 1400.0])
def test_a_market_that_stops_moving_shows_no_rounding_noise(scale: float, history: pl.DataFrame) -> None:
    scaled = history.with_columns(pl.col("open", "high", "low", "close") * scale)
    moving, still = scaled.head(400), scaled.slice(400, 600)
    found = computed(pl.concat([moving, with_prices(still, float(moving["close"][-1]))])).tail(100)
    for name in NEVER_IN_A_FLAT_MARKET - {"rsi_14"}:
        assert found[name].null_count() == 100, name
    # Both Wilder averages fade alike: their ratio stays what it was when the last trade moved the price.
    assert found["rsi_14"].to_list() == pytest.approx([found["rsi_14"][0]] * 100)
    assert found["volatility_30"].max() == pytest.approx(0, abs=1e-9)
    assert found["bb_width"].max() == pytest.approx(0, abs=1e-6)


def test_a_stochastic_has_no_value_while_one_window_of_its_mean_was_a_point(history: pl.DataFrame) -> None:
    still, moving = with_prices(history.head(40), 450.0), history.slice(40, 40)
    found = computed(pl.concat([still, moving]))
    # The last window that is a point ends with row 39; slow %K averages 3 windows, slow %D 3 + 3 - 1.
    assert found["stoch_k"].is_not_null().arg_max() == 39 + 3
    assert found["stoch_d"].is_not_null().arg_max() == 39 + 5
    assert found.slice(44).select("stoch_k", "stoch_d").null_count().row(0) == (0, 0)


def test_a_market_that_only_falls_still_has_an_rsi_of_zero(history: pl.DataFrame) -> None:
    prices = pl.Series("close", np.linspace(500, 400, 300))
    part = history.head(300).with_columns(prices, high=prices + 0.1, low=prices - 0.1, open=prices)
    assert computed(part)["rsi_14"].tail(200).to_list() == [0.0] * 200


def test_an_index_without_volume_has_prices_but_no_volume_features(history: pl.DataFrame) -> None:
    found = computed(history.head(1000).with_columns(pl.lit(0, pl.Int64).alias("volume"))).tail(500)
    assert {name for name in found.columns if found[name].null_count() == 500} == NEVER_WITHOUT_VOLUME


# The gate --------------------------------------------------------------------------------------------


def test_one_missing_value_would_empty_an_average_for_ever(history: pl.DataFrame) -> None:
    hole = pl.when(pl.int_range(pl.len()) == 300).then(None).otherwise("close").alias("close")
    found = computed(history.head(1000).with_columns(hole))
    assert found["ema_26"].tail(500).null_count() == 500


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 0.0, -1.0])
def test_a_price_that_is_none_is_refused_with_its_minute(
    column: str, value: float | None, history: pl.DataFrame
) -> None:
    is_bad = pl.int_range(pl.len()).is_in([300, 301])
    bad = history.with_columns(pl.when(is_bad).then(pl.lit(value, pl.Float64)).otherwise(column).alias(column))
    with pytest.raises(InvalidInputError) as raised:
        check_bars(bad, "SPY")
    message = str(raised.value)
    assert f"{column} of symbol 'SPY' is" in message
    assert str(history["timestamp"][300]) in message
    assert "one of 2 such rows" in message
    assert "build again" in message


@pytest.mark.parametrize("value", [None, -5])
def test_a_volume_that_is_none_is_refused(value: int | None, history: pl.DataFrame) -> None:
    is_bad = pl.int_range(pl.len()) == 9
    volume = pl.when(is_bad).then(pl.lit(value, pl.Int64)).otherwise("volume").alias("volume")
    with pytest.raises(InvalidInputError, match="volume of symbol 'SPY'"):
        check_bars(history.with_columns(volume), "SPY")


def test_a_doubled_minute_is_refused(history: pl.DataFrame) -> None:
    with pytest.raises(InvalidInputError, match="does not come after the one before"):
        check_bars(pl.concat([history.head(10), history.slice(9, 5)]), "SPY")


def test_good_bars_pass_the_gate(history: pl.DataFrame) -> None:
    check_bars(history, "SPY")
    check_bars(history.clear(), "SPY")


# Sessions and absent minutes -------------------------------------------------------------------------


def test_session_vwap_starts_over_with_each_session(history: pl.DataFrame) -> None:
    found = history.hstack(computed(history).select("session_vwap"))
    first = found.group_by("session", maintain_order=True).first()
    typical = (first["high"] + first["low"] + first["close"]) / 3
    assert first["session_vwap"].to_list() == pytest.approx(typical.to_list(), rel=1e-15)


def test_session_vwap_of_a_minute_is_the_same_whatever_trades_later(history: pl.DataFrame) -> None:
    busy_later = pl.when(pl.int_range(pl.len()) > 100).then(pl.col("volume") * 50).otherwise("volume")
    changed = computed(history.with_columns(busy_later.alias("volume")))["session_vwap"]
    assert changed.head(101).to_list() == computed(history)["session_vwap"].head(101).to_list()


def test_a_minute_without_a_bar_is_no_row_and_moves_no_clock(history: pl.DataFrame) -> None:
    gone = history["timestamp"][200]
    whole = history.hstack(computed(history)).filter(pl.col("timestamp") != gone)
    part = history.filter(pl.col("timestamp") != gone)
    found = computed(part)
    assert found.height == history.height - 1
    for name in ("minute_of_session", "minutes_to_close", "day_of_week"):
        assert found[name].to_list() == whole[name].to_list()
    # The bar after the hole looks back to the bar before it.
    assert found["simple_return_1"][200] == history["close"][201] / history["close"][199] - 1


def test_averages_run_on_across_the_night(history: pl.DataFrame) -> None:
    second = int((history["session"] == history["session"][0]).sum())
    found = computed(history)
    assert found["sma_5"][second] == pytest.approx(history["close"][second - 4 : second + 1].mean())
    assert found["log_return_1"][second] != 0


def test_no_gap_is_claimed_over_sessions_that_are_not_there(history: pl.DataFrame) -> None:
    sessions = history["session"].unique(maintain_order=True)
    part = history.filter(pl.col("session") != sessions[3])
    found = part.hstack(computed(part)).group_by("session", maintain_order=True).first()
    nulls = found.filter(pl.col("overnight_gap").is_null())["session"].to_list()
    assert nulls == [sessions[0], sessions[4]]


def test_the_clock_has_no_value_on_a_date_that_is_no_session(calendar: Calendar) -> None:
    stamps = pl.datetime_range(
        dt.datetime(2024, 7, 4, 14, tzinfo=dt.UTC), dt.datetime(2024, 7, 4, 15, tzinfo=dt.UTC), "1m", eager=True
    ).dt.cast_time_unit("us")
    bars = pl.DataFrame({"timestamp": stamps}).with_columns(
        *(pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close")), volume=pl.lit(10)
    )
    assert on_sessions(bars, calendar, SessionFilter.REGULAR).is_empty()
    found = computed(on_sessions(bars, calendar, SessionFilter.ALL))
    assert found["minute_of_session"].null_count() == found.height
    assert found["day_of_week"].to_list() == [4.0] * found.height


def test_regular_hours_end_with_an_early_close(calendar: Calendar) -> None:
    day = dt.date(2024, 7, 3)
    bars = make_bars([day])
    late = bars.tail(1).with_columns(pl.col("timestamp") + pl.duration(minutes=1))
    found = on_sessions(pl.concat([bars, late]), calendar, SessionFilter.REGULAR)
    assert found.height == 210
    assert on_sessions(pl.concat([bars, late]), calendar, SessionFilter.ALL).height == 211


@pytest.mark.parametrize("session", [SessionFilter.PRE, SessionFilter.POST])
def test_hours_that_are_no_continuous_history_are_refused(
    session: SessionFilter, bars: pl.DataFrame, calendar: Calendar
) -> None:
    with pytest.raises(InvalidInputError, match="use regular or all"):
        on_sessions(bars, calendar, session)


# Machines --------------------------------------------------------------------------------------------

_HASH_OF_FEATURES = """
import datetime as dt, hashlib
from barlake.keys import SessionFilter
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import compute_features, on_sessions
from feature_service.inputs import FeatureInputs
from feature_service.sets import CORE
calendar = Calendar.default()
bars = make_bars(calendar.in_range(dt.date(2024, 6, 17), dt.date(2024, 7, 31))["session"].to_list(), seed=7)
found = compute_features(FeatureInputs(on_sessions(bars, calendar, SessionFilter.REGULAR)), CORE.features)
print(hashlib.sha256(b"".join(one.fill_null(0).to_numpy().tobytes() for one in found)).hexdigest())
"""


def test_the_number_of_threads_changes_no_bit() -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", _HASH_OF_FEATURES],
            env={**os.environ, "POLARS_MAX_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2", "3")
    }
    assert len(hashes) == 1
    assert len(hashes.pop().strip()) == hashlib.sha256().digest_size * 2


def test_float32_costs_less_than_a_cent_and_prices_keep_float64(history: pl.DataFrame) -> None:
    table = feature_table(FeatureInputs(history), CORE.features)
    exact = computed(history)
    assert {table[name].dtype for name in ("open", "high", "low", "close")} == {pl.Float64()}
    assert {table[one.name].dtype for one in CORE.features} == {pl.Float32()}
    assert (table["sma_200"].cast(pl.Float64) - exact["sma_200"]).abs().max() < 0.001
