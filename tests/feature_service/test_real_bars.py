"""The whole set on real minute bars: half days, holes, thin and volumeless symbols, clock changes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from barlake.keys import SessionFilter
from barlake.leak_proof import Effort
from barlake.sessions import Calendar
from feature_service.compute import check_bars, compute_features, feature_table, on_sessions
from feature_service.inputs import FeatureInputs
from feature_service.leak_proof import prove_features
from feature_service.sets import CORE, FULL

LITTLE = Effort(whole=4, pieces=6, sweeps=4)
PACK = Path(__file__).resolve().parents[3] / "shared" / "data" / "bars_1m"
pytestmark = pytest.mark.skipif(not PACK.is_dir(), reason="the pack of real bars is not beside this checkout")


def history_of(name: str, hours: SessionFilter, calendar: Calendar) -> pl.DataFrame:
    bars = pl.read_parquet(PACK / f"{name}.parquet").with_columns(pl.col("timestamp").dt.cast_time_unit("us"))
    return on_sessions(bars, calendar, hours)


def compute(frame: pl.DataFrame) -> pl.DataFrame:
    return compute_features(FeatureInputs(frame), CORE.features)


@pytest.mark.parametrize(("name", "rows"), [("year_2024/SPY", 99_264), ("year_2024/QQQ", 99_300)])
def test_a_year_of_regular_minutes_has_features_after_the_warm_up(name: str, rows: int, calendar: Calendar) -> None:
    history = history_of(name, SessionFilter.REGULAR, calendar)
    check_bars(history, name)
    found = compute(history)
    assert found.height == rows
    for one in CORE.features:
        warm_up = 390 if one.history_sessions else one.history_bars
        assert found[one.name].null_count() == warm_up, one.name


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("year_2024/QQQ", SessionFilter.ALL),
        ("year_2024/DBB", SessionFilter.REGULAR),
        ("thin/SRNE", SessionFilter.REGULAR),
        ("vix_2019/VIX", SessionFilter.REGULAR),
        ("qqq_months/QQQ", SessionFilter.REGULAR),
        ("halts_2020/XYZ", SessionFilter.ALL),
    ],
)
def test_no_feature_of_real_bars_looks_ahead(name: str, hours: SessionFilter, calendar: Calendar) -> None:
    history = history_of(name, hours, calendar).head(12_000)
    check_bars(history, name)
    prove_features(CORE.features, FeatureInputs(history), effort=LITTLE).require_clean()
    for column in compute(history).iter_columns():
        assert column.is_finite().all(), column.name


@pytest.mark.parametrize(
    ("name", "context", "hours"),
    [
        ("year_2024/QQQ", "year_2024/SPY", SessionFilter.REGULAR),
        ("year_2024/DBB", "year_2024/SPY", SessionFilter.ALL),
        ("vix_2019/VIX", "vix_2019/SPY", SessionFilter.REGULAR),
        ("vix_2019/VXXB", "vix_2019/SPY", SessionFilter.ALL),
        ("thin/SRNE", "thin/SRNE", SessionFilter.ALL),
        ("ib_2025/WDC", "ib_2025/SPY", SessionFilter.REGULAR),
        ("multi_2025/IWM", "multi_2025/SPY", SessionFilter.ALL),
    ],
)
def test_the_full_set_beside_another_symbol_has_finite_values_that_know_no_later_row(
    name: str, context: str, hours: SessionFilter, calendar: Calendar
) -> None:
    history, market = (history_of(one, hours, calendar) for one in (name, context))
    inputs = FeatureInputs(history.tail(20_000), context=market)
    whole = feature_table(inputs, FULL.features)
    for row in (5, 1_001, inputs.bars.height // 2, inputs.bars.height - 3):
        known = inputs.known_by(inputs.bars["timestamp"][row] + dt.timedelta(minutes=1))
        part = feature_table(known, FULL.features)
        assert not [one for one in whole.columns if part[one].ne_missing(whole[one].head(row + 1)).any()], row


def test_a_year_of_the_full_set_is_mostly_values(calendar: Calendar) -> None:
    history, market = (history_of(f"year_2024/{one}", SessionFilter.REGULAR, calendar) for one in ("QQQ", "SPY"))
    found = compute_features(FeatureInputs(history, context=market), FULL.features)
    empty = {one.name for one in FULL.features if found[one.name].null_count() > 0.1 * found.height}
    assert empty == {one.name for one in FULL.features if one.family == "records"}
    # Two funds of large American companies: minute by minute they move together, the narrower one more.
    assert 0.7 < found["context_correlation_60"].mean() < 1  # type: ignore[operator]
    assert 1 < found["beta_390"].mean() < 1.6  # type: ignore[operator]


def test_a_hole_of_four_months_has_no_overnight_gap(calendar: Calendar) -> None:
    history = history_of("qqq_months/QQQ", SessionFilter.REGULAR, calendar)
    first = history.hstack(compute(history)).group_by("session", maintain_order=True).first()
    unknown = first.filter(pl.col("overnight_gap").is_null())["session"].to_list()
    assert [str(session) for session in unknown] == ["2020-12-01", "2021-05-03"]
