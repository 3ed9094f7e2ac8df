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
from barlake.keys import SessionFilter, Timeframe
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import check_bars, compute_features, feature_table, on_sessions
from feature_service.declare import Feature
from feature_service.inputs import FeatureInputs
from feature_service.longer_bars import known_rows, longer_bars
from feature_service.sets import FULL

NEVER_IN_A_FLAT_MARKET = {
    "adx_14",
    "adx_14_15min",
    "autocorrelation_60",
    "balance_of_power_14",
    "bb_pctb",
    "bb_pctb_20_5min",
    "cci_20",
    "channel_position_20_day",
    "channel_position_20_hour",
    "channel_position_390",
    "channel_position_60",
    "context_correlation_20_15min",
    "context_correlation_60",
    "downside_share_60",
    "efficiency_30",
    "jump_share_60",
    "mfi_14",
    "opening_range_position_30",
    "range_expansion_20",
    "return_t_60",
    "rsi_14",
    "rsi_14_15min",
    "rsi_14_5min",
    "rsi_30",
    "session_range_position",
    "skewness_60",
    "stoch_d",
    "stoch_k",
    "true_range_ratio_14",
    "ultimate_7_14_28",
    "volatility_ratio_30_390",
}
"""A position within a range that is zero, a share of nothing, or a direction of what does not move."""

KEEP_WHAT_THEY_WERE = {"adx_14", "adx_14_15min", "rsi_14", "rsi_14_15min", "rsi_14_5min", "rsi_30"}
"""Ratios of Wilder averages: when a market stops, both fade alike."""

NEVER_WITHOUT_VOLUME = {
    "illiquidity_60",
    "mfi_14",
    "money_flow_20",
    "prior_volume_share",
    "relative_volume_5",
    "session_vwap",
    "signed_volume_20",
    "volume_ratio_20",
    "volume_ratio_20_5min",
    "volume_regime_20_390",
    "volume_z_60",
    "vwap_distance",
    "vwap_distance_60",
}

RECORDS = {one.name for one in FULL.features if one.family == "records"}
"""Null wherever the lake holds no macro value and no article."""

OWN_WARM_UP = {"relative_volume_5", "opening_range_position_30"} | RECORDS
"""Their first value hangs on which minutes have bars, and on records."""


def computed(history: pl.DataFrame) -> pl.DataFrame:
    """The whole set, beside the history's own minutes at prices that never stop."""
    rows = pl.int_range(history.height, eager=True)
    market = history.with_columns((100 + (rows * 7919 % 97) / 100).alias("close"))
    return compute_features(FeatureInputs(history, context=market), FULL.features)


def with_prices(history: pl.DataFrame, price: float) -> pl.DataFrame:
    return history.with_columns(pl.lit(price).alias(name) for name in ("open", "high", "low", "close"))


# Warm-up ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(history: pl.DataFrame) -> pl.DataFrame:
    return computed(history)


@pytest.mark.parametrize("feature", FULL.features, ids=lambda one: one.name)
def test_the_warm_up_is_null_and_exactly_as_long_as_declared(
    feature: Feature, history: pl.DataFrame, whole: pl.DataFrame
) -> None:
    values, wanted = whole[feature.name], warm_up(feature, history)
    assert values.head(wanted).null_count() == wanted
    if feature.name not in OWN_WARM_UP:
        assert values.slice(wanted).null_count() == 0


def warm_up(feature: Feature, history: pl.DataFrame) -> int:
    """How many rows have no value yet, counted in bars of the feature's own timeframe."""
    if feature.timeframe is Timeframe.MINUTE:
        return feature.history_bars + int((history["session"].rle_id() < feature.history_sessions).sum())
    newest = known_rows(history, longer_bars(history, feature.timeframe), feature.timeframe)
    return int((newest.is_null() | (newest < feature.history_bars).fill_null(value=False)).sum())


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
    for column in (
        feature_table(FeatureInputs(part, context=part.reverse().with_columns(part["timestamp"])), FULL.features)
        .select(pl.selectors.float())
        .iter_columns()
    ):
        assert column.is_finite().all(), column.name


def test_a_market_that_never_moves_has_no_position_in_its_range(history: pl.DataFrame) -> None:
    found = computed(with_prices(history, 500.1))
    settled = found.tail(500)
    assert {name for name in found.columns if settled[name].null_count() == 500} == NEVER_IN_A_FLAT_MARKET | RECORDS
    for name in ("simple_return_1", "volatility_30", "vwap_distance", "overnight_gap", "natr_14"):
        assert settled[name].abs().max() == pytest.approx(0, abs=1e-12), name


@pytest.mark.parametrize("scale", [0.01, 1.0, 1400.0])
def test_a_market_that_stops_moving_shows_no_rounding_noise(scale: float, history: pl.DataFrame) -> None:
    scaled = history.with_columns(pl.col("open", "high", "low", "close") * scale)
    moving, still = scaled.head(2000), scaled.slice(2000)
    found = computed(pl.concat([moving, with_prices(still, float(moving["close"][-1]))])).tail(100)
    # What looks at 20 sessions still sees the market move; the average range of true ranges fades, it does not stop.
    for name in NEVER_IN_A_FLAT_MARKET - KEEP_WHAT_THEY_WERE - {"channel_position_20_day", "true_range_ratio_14"}:
        assert found[name].null_count() == 100, name
    for name in KEEP_WHAT_THEY_WERE:
        assert found[name].to_list() == pytest.approx([found[name][0]] * 100), name
    assert found["true_range_ratio_14"].to_list() == [0] * 100
    assert found["beta_390"].abs().max() == pytest.approx(0, abs=1e-12)
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
    found = computed(history.with_columns(pl.lit(0, pl.Int64).alias("volume"))).tail(500)
    assert {name for name in found.columns if found[name].null_count() == 500} == NEVER_WITHOUT_VOLUME | RECORDS


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
from feature_service.sets import FULL
calendar = Calendar.default()
bars = make_bars(calendar.in_range(dt.date(2024, 6, 17), dt.date(2024, 7, 31))["session"].to_list(), seed=7)
history = on_sessions(bars, calendar, SessionFilter.REGULAR)
found = compute_features(FeatureInputs(history, context=history), FULL.features)
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
    table = feature_table(FeatureInputs(history), FULL.features)
    exact = computed(history)
    assert {table[name].dtype for name in ("open", "high", "low", "close")} == {pl.Float64()}
    assert {table[one.name].dtype for one in FULL.features} == {pl.Float32()}
    assert (table["sma_200"].cast(pl.Float64) - exact["sma_200"]).abs().max() < 0.001
