"""Trend, momentum, returns and candles of the set `full` against numpy and plain loops."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import talib

from tests.feature_service.independent import (
    assert_equal,
    before,
    columns_of,
    correlation,
    deviation,
    highest,
    lowest,
    mean,
    moving,
    total,
)

SETTLED = 5_000


@pytest.fixture(scope="module")
def c(history: pl.DataFrame) -> dict[str, np.ndarray]:
    return columns_of(history)


def ema(values: np.ndarray, span: int) -> np.ndarray:
    found, factor = np.empty_like(values), 2 / (span + 1)
    found[0] = values[0]
    for row in range(1, len(values)):
        found[row] = factor * values[row] + (1 - factor) * found[row - 1]
    return found


def test_distances_from_averages(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    close = c["close"]
    for window in (20, 200):
        assert_equal(full[f"sma_distance_{window}"], close / mean(close, window) - 1)
    assert_equal(full["sma_cross_20_50"], mean(close, 20) / mean(close, 50) - 1)
    assert_equal(full["ppo_12_26"], 100 * (ema(close, 12) / ema(close, 26) - 1), after=SETTLED)
    threefold = ema(ema(ema(close, 15), 15), 15)
    assert_equal(full["trix_15"], 100 * (threefold / before(threefold, 1) - 1), after=SETTLED)


def test_a_straight_line_is_fitted_to_the_last_closes(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    close, rows = c["close"], range(1_000, 1_200)
    fits = [np.polyfit(np.arange(30), close[row - 29 : row + 1], 1) for row in rows]
    slope, at_end = np.array([fit[0] for fit in fits]), np.array([np.polyval(fit, 29) for fit in fits])
    assert_equal(full["trend_slope_30"][1_000:1_200], slope / close[1_000:1_200], tolerance=1e-8)
    assert_equal(full["trend_distance_30"][1_000:1_200], close[1_000:1_200] / at_end - 1, tolerance=1e-8)


def wilder(values: np.ndarray, window: int) -> np.ndarray:
    found = np.empty_like(values)
    found[0] = values[0]
    for row in range(1, len(values)):
        found[row] = found[row - 1] + (values[row] - found[row - 1]) / window
    return found


def test_the_directional_index_compares_rises_of_highs_and_falls_of_lows(
    c: dict[str, np.ndarray], full: pl.DataFrame
) -> None:
    rise, fall = np.diff(c["high"], prepend=c["high"][0]), -np.diff(c["low"], prepend=c["low"][0])
    up, down = np.where((rise > fall) & (rise > 0), rise, 0), np.where((fall > rise) & (fall > 0), fall, 0)
    plus, minus = wilder(up, 14), wilder(down, 14)
    index = np.divide(np.abs(plus - minus), plus + minus, out=np.zeros_like(plus), where=plus + minus > 0)
    assert_equal(full["adx_14"], 100 * wilder(index, 14), after=SETTLED)
    assert full["adx_14"].is_not_null().arg_max() == 27


def test_aroon_counts_bars_since_the_extremes(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    newest_low = moving(c["low"], 26, lambda rows: 25.0 - np.argmin(rows[:, ::-1], axis=1))
    newest_high = moving(c["high"], 26, lambda rows: 25.0 - np.argmax(rows[:, ::-1], axis=1))
    assert_equal(full["aroon_25"], 100 * (newest_high - newest_low) / 25)


@pytest.mark.parametrize("window", [60, 390])
def test_the_channel_is_highest_high_and_lowest_low(window: int, c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    low, high = lowest(c["low"], window), highest(c["high"], window)
    assert_equal(full[f"channel_position_{window}"], (c["close"] - low) / (high - low))


def test_momentum_in_one_figure(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    close = c["close"]
    change = np.diff(close, prepend=close[0])
    up, down = wilder(np.clip(change, 0, None), 30), wilder(np.clip(-change, 0, None), 30)
    up, down = up[1:], down[1:]  # before the first change there is neither
    assert_equal(full["rsi_30"][1:], 100 * up / np.maximum(up + down, 1e-12), after=SETTLED)
    moves = np.abs(close - before(close, 1))
    assert_equal(full["efficiency_30"], np.abs(close - before(close, 30)) / total(moves, 30))
    returns = np.log(close) - before(np.log(close), 1)
    assert_equal(full["return_t_60"], mean(returns, 60) / (deviation(returns, 60) / np.sqrt(60)))
    five = np.log(close) - before(np.log(close), 5)
    assert_equal(full["acceleration_5"], five - before(five, 5))


def test_the_ultimate_oscillator_weighs_three_windows(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    previous = before(c["close"], 1)
    floor = np.fmin(c["low"], np.where(np.isnan(previous), np.nan, previous))
    floor[0] = np.nan
    pressure, extent = c["close"] - floor, np.maximum(c["high"], previous) - floor
    parts = [weight * total(pressure, window) / total(extent, window) for weight, window in ((4, 7), (2, 14), (1, 28))]
    assert_equal(full["ultimate_7_14_28"], 100 * sum(parts) / 7)


def test_returns_over_spans_and_their_extremes(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    close = c["close"]
    for span in (10, 60, 390):
        assert_equal(full[f"log_return_{span}"], np.log(close / before(close, span)))
    assert_equal(full["drawdown_390"], close / highest(close, 390) - 1)
    assert_equal(full["rebound_390"], close / lowest(close, 390) - 1)
    rose = np.where(np.isnan(before(close, 1)), np.nan, close > before(close, 1))
    assert_equal(full["rising_share_30"], mean(rose, 30))


def test_autocorrelation_is_the_correlation_with_the_return_before(
    c: dict[str, np.ndarray], full: pl.DataFrame
) -> None:
    returns = np.diff(np.log(c["close"]))
    expected = correlation(returns[1:], returns[:-1], 60)
    assert_equal(full["autocorrelation_60"], np.concatenate([[np.nan, np.nan], expected]), tolerance=1e-8)


def test_candles_are_measured_in_logs(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    opened, high, low, close = c["open"], c["high"], c["low"], c["close"]
    assert_equal(full["body"], np.log(close) - np.log(opened))
    assert_equal(full["upper_shadow"], np.log(high) - np.log(np.maximum(opened, close)))
    assert_equal(full["lower_shadow"], np.log(np.minimum(opened, close)) - np.log(low))
    assert_equal(full["bar_range"], np.log(high) - np.log(low))
    assert_equal(full["bar_gap"], np.log(opened) - np.log(before(close, 1)))
    assert_equal(full["range_expansion_20"], (high - low) / mean(high - low, 20))
    assert_equal(full["balance_of_power_14"], total(close - opened, 14) / total(high - low, 14))


def test_a_run_counts_closes_in_one_direction(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    expected, length = [np.nan], 0
    for change in np.sign(np.diff(c["close"])):
        length = length + int(change) if change and np.sign(length) == change else int(change)
        expected.append(length)
    assert_equal(full["run_length"], np.array(expected))


def test_an_engulfing_body_covers_the_one_before(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    prices = [c[name] for name in ("open", "high", "low", "close")]
    expected = talib.CDLENGULFING(*prices) / 100.0
    expected[:2] = np.nan
    assert_equal(full["engulfing"], expected)
    opened, close = c["open"], c["close"]
    rising = (close[1:] > opened[1:]) & (close[:-1] < opened[:-1])
    covers = (close[1:] > opened[:-1]) & (opened[1:] < close[:-1])
    assert (full["engulfing"].to_numpy()[1:][1:] == 1).tolist() == (rising & covers)[1:].tolist()
