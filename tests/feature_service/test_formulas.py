"""Features against formulas written here, by plain loops, numpy and polars, without any indicator library."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from feature_service.compute import compute_features
from feature_service.inputs import FeatureInputs
from feature_service.sets import CORE

SETTLED = 5_000
"""Bars after which the first value of a recursive average no longer matters."""


@pytest.fixture(scope="module")
def computed(history: pl.DataFrame) -> pl.DataFrame:
    return compute_features(FeatureInputs(history), CORE.features)


def assert_equal(found: pl.Series, expected: pl.Series | np.ndarray, *, after: int = 0) -> None:
    one = found.fill_null(float("nan")).to_numpy()[after:]
    other = np.asarray(expected, dtype=np.float64)[after:]
    assert np.array_equal(np.isnan(one), np.isnan(other))
    assert np.nanmax(np.abs(one - other)) <= 1e-9 * np.nanstd(other)


@pytest.mark.parametrize("window", [5, 20, 50, 200])
def test_sma_is_the_mean_of_the_window(window: int, history: pl.DataFrame, computed: pl.DataFrame) -> None:
    windows = np.lib.stride_tricks.sliding_window_view(history["close"].to_numpy(), window)
    expected = np.concatenate([np.full(window - 1, np.nan), windows.mean(axis=1)])
    assert_equal(computed[f"sma_{window}"], expected)


@pytest.mark.parametrize("span", [12, 26])
def test_ema_is_the_recursive_mean_once_settled(span: int, history: pl.DataFrame, computed: pl.DataFrame) -> None:
    expected = history["close"].ewm_mean(span=span, adjust=False)
    assert_equal(computed[f"ema_{span}"], expected, after=SETTLED)


def test_macd_is_the_difference_of_two_averages_once_settled(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    close = history["close"]
    line = close.ewm_mean(span=12, adjust=False) - close.ewm_mean(span=26, adjust=False)
    signal = line.ewm_mean(span=9, adjust=False)
    assert_equal(computed["macd"], line, after=SETTLED)
    assert_equal(computed["macd_signal"], signal, after=SETTLED)
    assert_equal(computed["macd_hist"], line - signal, after=SETTLED)


def test_bollinger_bands_are_two_deviations_wide(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    windows = np.lib.stride_tricks.sliding_window_view(history["close"].to_numpy(), 20)
    middle, deviation = windows.mean(axis=1), windows.std(axis=1)
    close = history["close"].to_numpy()[19:]
    expected = {
        "bb_upper": middle + 2 * deviation,
        "bb_lower": middle - 2 * deviation,
        "bb_pctb": (close - middle + 2 * deviation) / (4 * deviation),
        "bb_width": 4 * deviation / middle,
    }
    for name, values in expected.items():
        one = computed[name].to_numpy()[19:]
        # The variance of prices around 450 keeps some ten digits when it is taken from sums of squares.
        assert np.max(np.abs(one - values)) <= 1e-7 * np.std(values), name


def test_rsi_compares_wilder_averages_once_settled(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    change = history["close"].diff().fill_null(0.0)
    rises, falls = change.clip(lower_bound=0), -change.clip(upper_bound=0)
    up, down = (side.ewm_mean(alpha=1 / 14, adjust=False) for side in (rises, falls))
    assert_equal(computed["rsi_14"], 100 * up / (up + down), after=SETTLED)


def test_atr_is_the_wilder_average_of_true_ranges_once_settled(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    before = pl.col("close").shift(1)
    true_range = history.select(pl.max_horizontal("high", before) - pl.min_horizontal("low", before)).to_series()
    expected = true_range.ewm_mean(alpha=1 / 14, adjust=False)
    assert_equal(computed["atr_14"], expected, after=SETTLED)
    assert_equal(computed["natr_14"], 100 * expected / history["close"], after=SETTLED)


def test_mfi_holds_when_near_ties_of_the_typical_price_are_ties(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    typical = (history["high"] + history["low"] + history["close"]).to_numpy() / 3
    flow = typical * history["volume"].to_numpy()
    change = np.diff(typical, prepend=typical[0])
    up, down = np.where(change > 1e-9, flow, 0.0), np.where(change < -1e-9, flow, 0.0)
    sums = [np.lib.stride_tricks.sliding_window_view(side, 14).sum(axis=1)[1:] for side in (up, down)]
    expected = np.concatenate([np.full(14, np.nan), 100 * sums[0] / (sums[0] + sums[1])])
    assert_equal(computed["mfi_14"], expected)


def test_cci_divides_by_the_mean_deviation(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    typical = (history["high"] + history["low"] + history["close"]).to_numpy() / 3
    windows = np.lib.stride_tricks.sliding_window_view(typical, 20)
    mean = windows.mean(axis=1)
    deviation = np.abs(windows - mean[:, None]).mean(axis=1)
    expected = np.concatenate([np.full(19, np.nan), (typical[19:] - mean) / (0.015 * deviation)])
    assert_equal(computed["cci_20"], expected)


def test_stochastic_is_the_smoothed_position_in_the_range(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    windows = {name: np.lib.stride_tricks.sliding_window_view(history[name].to_numpy(), 14) for name in ("high", "low")}
    lowest, highest = windows["low"].min(axis=1), windows["high"].max(axis=1)
    raw = 100 * (history["close"].to_numpy()[13:] - lowest) / (highest - lowest)
    slow_k = np.lib.stride_tricks.sliding_window_view(raw, 3).mean(axis=1)
    slow_d = np.lib.stride_tricks.sliding_window_view(slow_k, 3).mean(axis=1)
    assert_equal(computed["stoch_k"], np.concatenate([np.full(15, np.nan), slow_k]))
    assert_equal(computed["stoch_d"], np.concatenate([np.full(17, np.nan), slow_d]))


@pytest.mark.parametrize("window", [30, 390])
def test_volatility_is_the_deviation_of_log_returns(window: int, history: pl.DataFrame, computed: pl.DataFrame) -> None:
    returns = np.diff(np.log(history["close"].to_numpy()))
    windows = np.lib.stride_tricks.sliding_window_view(returns, window)
    expected = np.concatenate([np.full(window, np.nan), windows.std(axis=1, ddof=1)])
    assert_equal(computed[f"volatility_{window}"], expected)


def test_session_vwap_is_a_running_mean_that_begins_anew(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    expected, paid, traded, current = [], 0.0, 0, None
    for row in history.iter_rows(named=True):
        if row["session"] != current:
            current, paid, traded = row["session"], 0.0, 0
        paid += (row["high"] + row["low"] + row["close"]) / 3 * row["volume"]
        traded += row["volume"]
        expected.append(paid / traded)
    assert_equal(computed["session_vwap"], np.array(expected))
    assert_equal(computed["vwap_distance"], history["close"].to_numpy() / np.array(expected) - 1)


def test_volume_ratio_compares_with_the_mean_of_the_window(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    volume = history["volume"].to_numpy().astype(float)
    mean = np.lib.stride_tricks.sliding_window_view(volume, 20).mean(axis=1)
    assert_equal(computed["volume_ratio_20"], np.concatenate([np.full(19, np.nan), volume[19:] / mean]))


def test_returns_compare_closes_some_bars_apart(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    close = history["close"].to_numpy()
    for name, span in (("log_return_1", 1), ("log_return_5", 5), ("log_return_30", 30)):
        expected = np.concatenate([np.full(span, np.nan), np.log(close[span:] / close[:-span])])
        assert_equal(computed[name], expected)
    simple = np.concatenate([[np.nan], close[1:] / close[:-1] - 1])
    assert_equal(computed["simple_return_1"], simple)


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_a_lag_is_the_return_of_an_earlier_bar(lag: int, computed: pl.DataFrame) -> None:
    assert computed[f"log_return_1_lag_{lag}"].to_list() == computed["log_return_1"].shift(lag).to_list()


def test_overnight_gap_runs_from_last_close_to_first_open(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    edges = history.group_by("session", maintain_order=True).agg(
        pl.col("open").first(), pl.col("close").last(), pl.len()
    )
    gaps = [None, *(edges["open"][1:] / edges["close"][:-1] - 1).to_list()]
    expected = [gap for gap, bars in zip(gaps, edges["len"], strict=True) for _ in range(bars)]
    assert computed["overnight_gap"].to_list() == expected


def test_the_clock_counts_from_the_opening_and_to_the_close(history: pl.DataFrame, computed: pl.DataFrame) -> None:
    local = history["timestamp"].dt.convert_time_zone("America/New_York")
    minute = local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute() - (9 * 60 + 30)
    closes = pl.Series([210 if str(day) == "2024-07-03" else 390 for day in history["session"]])
    assert computed["minute_of_session"].cast(pl.Int64).to_list() == minute.to_list()
    assert computed["minutes_to_close"].cast(pl.Int64).to_list() == (closes - minute - 1).to_list()
    assert computed["day_of_week"].cast(pl.Int64).to_list() == [day.isoweekday() for day in history["session"]]
