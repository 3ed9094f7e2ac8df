"""Each check finds what was planted, and says nothing of clean bars."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barlake import checks
from barlake.agreement import agreement, disagreements, worst_minutes
from barlake.keys import SessionFilter
from barlake.resample import filter_session
from barlake.sessions import Calendar, session_of
from barlake.testing import make_bars

DATA = Path(__file__).resolve().parents[3] / "shared/data"
DAY = dt.date(2024, 3, 11)
SESSIONS = [DAY, dt.date(2024, 3, 12)]
MINUTES = 390
real_bars = pytest.mark.skipif(not DATA.exists(), reason="the shared real bars are not here")

CHECKS: list[Callable[[pl.DataFrame], pl.DataFrame]] = [
    checks.stale_runs,
    checks.spikes,
    checks.outside_range,
    checks.zero_volume_range,
    checks.duplicate_minutes,
    checks.off_minutes,
]


def keyed(bars: pl.DataFrame, feed: str = "sip", symbol: str = "SPY") -> pl.DataFrame:
    session = session_of(pl.col("timestamp")).alias("session")
    return bars.select(pl.lit(feed).alias("feed"), pl.lit(symbol).alias("symbol"), session, pl.exclude("symbol"))


def clean(seed: int = 0) -> pl.DataFrame:
    return keyed(make_bars(SESSIONS, seed=seed))


def change(bars: pl.DataFrame, first: int, length: int = 1, **values: pl.Expr) -> pl.DataFrame:
    """Other values in some rows; everything else stays."""
    here = pl.int_range(pl.len()).is_between(first, first + length - 1)
    return bars.with_columns(pl.when(here).then(value).otherwise(name).alias(name) for name, value in values.items())


def real(path: str, feed: str = "sip") -> pl.DataFrame:
    bars = keyed(pl.read_parquet(DATA / path), feed, Path(path).stem).sort("timestamp")
    return filter_session(bars, Calendar.default().frame, SessionFilter.REGULAR)


def volumes_of(bars: pl.DataFrame) -> pl.DataFrame:
    by_session = bars.group_by("feed", "symbol", "session", maintain_order=True)
    return by_session.agg(pl.len().alias("regular_bars"), pl.col("volume").sum().alias("regular_volume"))


@given(st.integers(0, 500))
def test_made_up_bars_are_clean(seed: int) -> None:
    bars = clean(seed)
    assert [check(bars).height for check in CHECKS] == [0] * len(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_no_bars_are_clean_and_findings_have_their_columns(check: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    found = check(clean().clear())
    assert found.is_empty()
    assert dict(found.schema) == checks.FINDINGS


@given(first=st.integers(1, MINUTES - 30), length=st.integers(5, 25), seed=st.integers(0, 100))
def test_a_run_of_zero_volume_at_the_same_close_is_found(first: int, length: int, seed: int) -> None:
    bars = clean(seed)
    price = pl.lit(bars["close"][first - 1])
    planted = change(bars, first, length, open=price, high=price, low=price, close=price, volume=pl.lit(0))
    [row] = checks.stale_runs(planted).iter_rows(named=True)
    assert (row["timestamp"], row["value"], row["severity"]) == (bars["timestamp"][first], length, "warning")
    assert checks.zero_volume_range(planted).is_empty()


@given(first=st.integers(1, MINUTES - 30), length=st.integers(5, 25), seed=st.integers(0, 100))
def test_a_run_of_identical_bars_is_found(first: int, length: int, seed: int) -> None:
    bars = clean(seed)
    names = ("open", "high", "low", "close", "volume")
    planted = change(bars, first, length, **{name: pl.lit(bars[name][first]) for name in names})
    [row] = checks.stale_runs(planted).iter_rows(named=True)
    assert row["value"] == length


def test_a_shorter_run_and_one_with_holes_between_are_not_stale() -> None:
    bars = clean()
    names = ("open", "high", "low", "close", "volume")
    same = {name: pl.lit(bars[name][100]) for name in names}
    assert checks.stale_runs(change(bars, 100, 4, **same)).is_empty()
    assert checks.stale_runs(change(bars, 100, 20, **same).gather_every(2)).is_empty()


def test_an_index_without_any_volume_is_neither_stale_nor_without_trades() -> None:
    index = clean().with_columns(pl.lit(0, dtype=pl.Int64()).alias("volume"))
    assert checks.stale_runs(index).is_empty()
    assert checks.zero_volume_range(index).is_empty()


@given(
    first=st.integers(1, MINUTES - 10),
    width=st.integers(1, 3),
    factor=st.one_of(st.floats(0.3, 0.98), st.floats(1.02, 3.0)),
    seed=st.integers(0, 100),
)
def test_a_close_that_leaps_away_and_comes_back_is_a_spike(first: int, width: int, factor: float, seed: int) -> None:
    planted = change(clean(seed), first, width, close=pl.col("close") * factor)
    [row] = checks.spikes(planted).iter_rows(named=True)
    assert row["timestamp"] == planted["timestamp"][first]
    assert abs(math.log(row["value"] / row["expected"])) == pytest.approx(abs(math.log(factor)), abs=0.01)


@given(first=st.integers(1, MINUTES), factor=st.floats(0.3, 3.0), seed=st.integers(0, 100))
def test_a_move_that_stays_is_no_spike(first: int, factor: float, seed: int) -> None:
    prices = {name: pl.col(name) * factor for name in ("open", "high", "low", "close")}
    assert checks.spikes(change(clean(seed), first, 2 * MINUTES, **prices)).is_empty()


@pytest.mark.parametrize(("name", "severity"), [("open", "warning"), ("close", "warning"), ("vwap", "info")])
@given(row=st.integers(0, MINUTES - 1), factor=st.sampled_from([0.9, 0.98, 1.02, 1.1]))
def test_a_price_outside_high_and_low_is_found(name: str, severity: str, row: int, factor: float) -> None:
    planted = change(clean(), row, 1, **{name: pl.col("high" if factor > 1 else "low") * factor})
    [found] = checks.outside_range(planted).iter_rows(named=True)
    assert (found["timestamp"], found["value"], found["severity"]) == (planted["timestamp"][row], 1, severity)
    assert found["detail"].startswith(f"{name} outside [low, high] in 1 bar(s)")


@given(row=st.integers(0, MINUTES - 1))
def test_a_bar_that_moved_without_volume_is_found(row: int) -> None:
    planted = change(clean(), row, 1, volume=pl.lit(0), high=pl.col("low") * 1.01)
    [found] = checks.zero_volume_range(planted).iter_rows(named=True)
    assert (found["timestamp"], found["value"]) == (planted["timestamp"][row], 1)


@given(row=st.integers(0, MINUTES - 1), offset_s=st.integers(1, 59))
def test_duplicate_and_off_minute_stamps_of_any_frame_are_found(row: int, offset_s: int) -> None:
    bars = clean()
    moved = pl.col("timestamp") + pl.duration(seconds=offset_s)
    off = bars[row : row + 1].with_columns(moved)
    both = pl.concat([bars, off]).sort("timestamp")
    [found] = checks.off_minutes(both).iter_rows(named=True)
    assert (found["timestamp"], found["value"], found["severity"]) == (off["timestamp"][0], offset_s, "error")
    [found] = checks.duplicate_minutes(both).iter_rows(named=True)
    assert (found["timestamp"], found["value"]) == (bars["timestamp"][row], 2)


def test_refused_rows_are_findings_by_session_and_reason() -> None:
    raw = ['{"timestamp":"2024-03-11 14:30:00+00:00"}', '{"t":"2024-03-11T14:31:00Z"}', '{"timestamp":"x"}', "not JSON"]
    quarantine = pl.DataFrame(
        {
            "feed": "sip",
            "symbol": "SPY",
            "origin": "a.csv",
            "reason": [
                "duplicate minute with values other than row 7",
                "duplicate minute with values other than row 9",
                "timestamp is missing or unreadable",
                "timestamp is not on a whole minute",
            ],
            "raw": raw,
        }
    )
    found = checks.quarantined(quarantine)
    assert found.select("session", "check_name", "value").rows() == [
        (DAY, "duplicate_minute", 2.0),
        (None, "refused_row", 1.0),
        (None, "off_minute", 1.0),
    ]
    assert dict(found.schema) == checks.FINDINGS


@given(session=st.integers(0, 39), factor=st.sampled_from([0.0, 0.001, 0.05, 20, 100, 1000]), seed=st.integers(0, 100))
def test_a_session_whose_volume_is_of_another_scale_is_found(session: int, factor: float, seed: int) -> None:
    days = Calendar.default().in_range(dt.date(2024, 1, 2), dt.date(2024, 3, 1))["session"].head(40)
    bars = keyed(make_bars(days.to_list(), seed=seed, minutes=20))
    here = pl.col("session") == days[session]
    volumes = volumes_of(bars).with_columns(
        pl.when(here).then(pl.col("regular_volume") * factor).otherwise("regular_volume").alias("regular_volume")
    )
    assert checks.volume_scale(volumes)["session"].to_list() == [days[session]]


def test_a_session_of_which_only_the_first_minutes_are_held_is_not_of_another_scale() -> None:
    days = Calendar.default().in_range(dt.date(2024, 1, 2), dt.date(2024, 3, 1))["session"].head(20).to_list()
    volumes = volumes_of(keyed(make_bars(days)))
    opening = pl.col("session") == days[-1]
    partial = volumes.with_columns(pl.when(opening).then(10).otherwise("regular_bars").alias("regular_bars"))
    assert checks.volume_scale(partial).is_empty()


def test_two_feeds_that_agree_are_not_told_and_two_that_do_not_are() -> None:
    bars = clean()
    half = pl.int_range(pl.len()) % 2 == 0
    near = keyed(bars.drop("feed", "symbol", "session").with_columns(pl.col("close") * 1.0002), "iex")
    far = near.with_columns(pl.when(half).then(pl.col("close") * 1.01).otherwise("close").alias("close"))
    assert disagreements(bars, near).is_empty()
    found = disagreements(bars, far)
    assert found.select("feed", "session", "value", "expected").rows() == [("sip", day, 0.5, 0.95) for day in SESSIONS]
    assert found["detail"][0].startswith("beside iex, of 390 common minutes 50.0 % have closes within 5 bps")
    assert worst_minutes(bars, far, minutes=3)["distance_bps"].round(0).to_list() == [102.0] * 3


def test_agreement_is_over_the_minutes_both_have() -> None:
    bars = clean()
    other = bars.gather_every(2).with_columns(pl.col("volume") + 1)
    row = agreement(bars, other).row(0, named=True)
    assert (row["common_bars"], row["equal_closes"], row["equal_volumes"]) == (195, 1.0, 0.0)


@real_bars
@pytest.mark.parametrize("symbol", ["SPY", "QQQ"])
def test_a_real_year_of_a_liquid_symbol_raises_no_alarm(symbol: str) -> None:
    bars = real(f"bars_1m/year_2024/{symbol}.parquet")
    assert bars["session"].n_unique() == 256
    assert [check(bars).height for check in CHECKS] == [0] * len(CHECKS)
    assert checks.volume_scale(volumes_of(bars)).is_empty()


@real_bars
def test_the_true_fall_of_apple_in_september_2000_and_all_splits_are_no_spikes() -> None:
    bars = keyed(pl.read_parquet(DATA / "bars_1h/lean/AAPL.parquet"), "lean", "AAPL").sort("timestamp")
    overnight = bars.group_by("session", maintain_order=True).agg(pl.col("open").first(), pl.col("close").last())
    fall = overnight.with_columns((pl.col("open") / pl.col("close").shift(1) - 1).alias("move"))
    assert fall.filter(pl.col("session") == dt.date(2000, 9, 29))["move"].item() < -0.4
    as_one_series = bars.with_columns(pl.lit(DAY).alias("session"))
    assert checks.spikes(as_one_series).is_empty()
    assert dt.date(2000, 9, 29) not in checks.spikes(bars)["session"].to_list()


@real_bars
def test_bad_prints_of_a_thin_symbol_and_empty_minutes_of_a_free_source_are_found() -> None:
    spikes = checks.spikes(real("bars_1m/year_2024/DBB.parquet"))
    assert spikes["session"].to_list() == [dt.date(2024, 8, 21), dt.date(2024, 9, 3), dt.date(2024, 10, 1)]
    assert checks.zero_volume_range(real("bars_1m/yahoo_2026/QQQ.parquet")).height == 5


@real_bars
def test_two_independent_sources_of_spy_agree() -> None:
    first, second = real("bars_1m/year_2024/SPY.parquet"), real("bars_1m/sip_vwap_2024/SPY.parquet", "other")
    found = agreement(first, second)
    assert found["common_bars"].sum() == 14_820
    assert found["equal_closes"].mean() == pytest.approx(0.999, abs=0.0005)
    assert disagreements(first, second).is_empty()
