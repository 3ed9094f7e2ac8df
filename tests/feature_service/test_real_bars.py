"""The whole set on real minute bars: half days, holes, thin and volumeless symbols, clock changes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from barlake.keys import SessionFilter
from barlake.leak_proof import Effort
from barlake.sessions import Calendar
from feature_service.compute import check_bars, compute_features, on_sessions
from feature_service.inputs import FeatureInputs
from feature_service.leak_proof import prove_features
from feature_service.sets import CORE

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


def test_a_hole_of_four_months_has_no_overnight_gap(calendar: Calendar) -> None:
    history = history_of("qqq_months/QQQ", SessionFilter.REGULAR, calendar)
    first = history.hstack(compute(history)).group_by("session", maintain_order=True).first()
    unknown = first.filter(pl.col("overnight_gap").is_null())["session"].to_list()
    assert [str(session) for session in unknown] == ["2020-12-01", "2021-05-03"]
