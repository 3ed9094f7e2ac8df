"""Volatility and volume of the set `full` against numpy and plain loops."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tests.feature_service.independent import assert_equal, before, columns_of, deviation, mean, total


@pytest.fixture(scope="module")
def c(history: pl.DataFrame) -> dict[str, np.ndarray]:
    return columns_of(history)


@pytest.fixture(scope="module")
def returns(c: dict[str, np.ndarray]) -> np.ndarray:
    return np.log(c["close"]) - before(np.log(c["close"]), 1)


def test_volatility_from_ranges(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    opened, high, low, close = (np.log(c[name]) for name in ("open", "high", "low", "close"))
    parkinson = mean((high - low) ** 2, 30) / (4 * math.log(2))
    garman_klass = mean(0.5 * (high - low) ** 2 - (2 * math.log(2) - 1) * (close - opened) ** 2, 30)
    rogers_satchell = mean((high - close) * (high - opened) + (low - close) * (low - opened), 30)
    expected = {"parkinson": parkinson, "garman_klass": garman_klass, "rogers_satchell": rogers_satchell}
    for name, variance in expected.items():
        assert_equal(full[f"{name}_30"], np.sqrt(variance), tolerance=1e-7)


def test_the_three_estimators_agree_with_a_known_volatility() -> None:
    # A day of 390 steps of 0.0005 each has a deviation of 0.0005 * sqrt(390); extremes of a walk in steps are
    # smaller than a continuous one's, by a few per cent here.
    from feature_service.volatility import garman_klass_volatility, parkinson_volatility, rogers_satchell_volatility

    steps = np.random.default_rng(5).normal(0, 0.0005, (4_000, 390)).cumsum(axis=1)
    paths = np.exp(np.hstack([np.zeros((4_000, 1)), steps]))
    frame = pl.DataFrame(
        {"open": paths[:, 0], "high": paths.max(axis=1), "low": paths.min(axis=1), "close": paths[:, -1]}
    )
    for maker in (parkinson_volatility, garman_klass_volatility, rogers_satchell_volatility):
        found = frame.select(maker(window_bars=4_000)).to_series()[-1]
        assert found == pytest.approx(0.0005 * math.sqrt(390), rel=0.06), maker.function.__name__


def test_ratios_of_volatility(c: dict[str, np.ndarray], returns: np.ndarray, full: pl.DataFrame) -> None:
    assert_equal(full["volatility_ratio_30_390"], deviation(returns, 30) / deviation(returns, 390), tolerance=1e-8)
    true_range = np.maximum(c["high"], before(c["close"], 1)) - np.minimum(c["low"], before(c["close"], 1))
    average = np.empty_like(true_range)
    average[: 14 + 1] = np.nan
    average[14] = true_range[1:15].mean()
    for row in range(15, len(average)):
        average[row] = (13 * average[row - 1] + true_range[row]) / 14
    assert_equal(full["true_range_ratio_14"], true_range / average)


def test_shares_of_falls_and_of_jumps_in_squared_returns(returns: np.ndarray, full: pl.DataFrame) -> None:
    falls = total(np.minimum(returns, 0) ** 2, 60) / total(returns**2, 60)
    assert_equal(full["downside_share_60"], falls, tolerance=1e-8)
    pairs = total(np.abs(returns) * np.abs(before(returns, 1)), 60)
    assert_equal(full["jump_share_60"], np.clip(1 - np.pi / 2 * pairs / total(returns**2, 60), 0, 1), tolerance=1e-8)


def test_skewness_is_that_of_scipy(returns: np.ndarray, full: pl.DataFrame) -> None:
    windows = np.lib.stride_tricks.sliding_window_view(returns, 60)
    assert_equal(
        full["skewness_60"], np.concatenate([np.full(59, np.nan), stats.skew(windows, axis=1)]), tolerance=1e-7
    )


def test_volume_against_the_usual(c: dict[str, np.ndarray], full: pl.DataFrame) -> None:
    volume = c["volume"]
    assert_equal(full["volume_regime_20_390"], mean(volume, 20) / mean(volume, 390))
    assert_equal(full["volume_z_60"], (volume - mean(volume, 60)) / deviation(volume, 60))
    typical = (c["high"] + c["low"] + c["close"]) / 3
    assert_equal(full["log_dollar_volume"], np.log(1 + typical * volume))


def test_volume_of_a_minute_against_the_same_minute_of_earlier_sessions(
    history: pl.DataFrame, full: pl.DataFrame
) -> None:
    seen: dict[int, list[int]] = {}
    expected = []
    for row in history.iter_rows(named=True):
        minute = int((row["timestamp"] - row["session_open"]).total_seconds()) // 60
        earlier = seen.setdefault(minute, [])
        expected.append(row["volume"] / (sum(earlier[-5:]) / 5) if len(earlier) >= 5 else np.nan)
        earlier.append(row["volume"])
    assert_equal(full["relative_volume_5"], np.array(expected))


def test_sums_of_money_and_shares(c: dict[str, np.ndarray], returns: np.ndarray, full: pl.DataFrame) -> None:
    high, low, close, volume = c["high"], c["low"], c["close"], c["volume"]
    dollars = (high + low + close) / 3 * volume
    assert_equal(full["vwap_distance_60"], close / (total(dollars, 60) / total(volume, 60)) - 1, tolerance=1e-8)
    spread = high - low
    place = np.divide(2 * close - high - low, spread, out=np.zeros_like(spread), where=spread > 0)
    assert_equal(full["money_flow_20"], total(place * volume, 20) / total(volume, 20))
    signed = np.sign(close - before(close, 1)) * volume
    assert_equal(full["signed_volume_20"], total(signed, 20) / total(volume, 20))
    assert_equal(full["illiquidity_60"], 1e6 * total(np.abs(returns), 60) / total(dollars, 60), tolerance=1e-8)
