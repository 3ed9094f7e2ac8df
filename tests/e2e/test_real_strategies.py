"""Strategies of the house over a real year: they look at nothing later, and want what plain Python wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from barlake.sessions import session_of
from simulation_service.strategies.catalogue import HOUSE, make_strategy
from simulation_service.strategies.leak_proof import prove_strategy
from simulation_service.strategies.placing import signal_frame
from tests.simulation_service.strategies import by_hand

pytestmark = pytest.mark.slow

CROSS = {"strategy": "moving_average_cross"}
PARAMETERS: dict[str, dict[str, Any]] = {
    "threshold": {"short_enter": 0.45},
    "pair": {"first": "SPY", "second": "QQQ"},
    "switch": {"first": "SPY", "second": "QQQ"},
    "fly": {"left": "SPY", "body": "QQQ", "right": "FXY"},
    "time_of_day": CROSS,
    "day_of_week": {"strategy": "breakout", "days": "tue,thu"},
    "volatility_regime": {"strategy": "mean_reversion"},
}
SYMBOLS = {"pair": ("SPY", "QQQ"), "switch": ("SPY", "QQQ"), "fly": ("SPY", "QQQ", "FXY")}


@pytest.fixture(scope="module")
def bars(year: Path) -> pl.DataFrame:
    """SPY, QQQ and FXY, whose minutes are mostly missing; with predictions that follow the last bar."""
    held = pl.concat(pl.read_parquet(year / f"{symbol}.parquet") for symbol in ("SPY", "QQQ", "FXY"))
    prediction = 0.5 + pl.col("close").pct_change().over("symbol") * 100
    return (
        held.sort("timestamp", "symbol")
        .select(
            "symbol",
            session_of(pl.col("timestamp")).alias("session"),
            *("timestamp", "open", "high", "low", "close", "volume"),
        )
        .with_columns(prediction=prediction, model_signal=(prediction > 0.5).cast(pl.Float64))
    )


@pytest.mark.parametrize("name", HOUSE)
def test_over_a_real_year_nothing_looks_ahead(name: str, bars: pl.DataFrame) -> None:
    own = bars.filter(pl.col("symbol").is_in(SYMBOLS.get(name, ("SPY",))))
    prove_strategy(make_strategy(name, PARAMETERS.get(name, {})), own).require_clean()


def test_real_weeks_agree_with_plain_python(bars: pl.DataFrame) -> None:
    spy = bars.filter(symbol="SPY").head(6000)
    closes = spy["close"].to_list()
    wanted = {
        "moving_average_cross": by_hand.cross(by_hand.closes_of(spy), 20, 100),
        "mean_reversion": by_hand.reversion(closes, 60, 2.0, 0.5),
        "breakout": by_hand.breakout(spy, 120, 60),
        "threshold": by_hand.threshold(spy["prediction"].to_list(), 0.55, 0.5, 0.45, 0.45),
    }
    for name, signals in wanted.items():
        found = signal_frame(make_strategy(name, PARAMETERS.get(name, {})), spy)
        assert found["signal"].to_list() == signals, name


@pytest.mark.parametrize("name", ["pair", "fly"])
def test_spreads_of_real_weeks_agree_with_plain_python(name: str, bars: pl.DataFrame) -> None:
    weeks = bars.filter(pl.col("symbol").is_in(SYMBOLS[name])).head(16_000)
    parts = (1.0, -1.0) if name == "pair" else (1.0, -2.0, 1.0)
    weights = dict(zip(SYMBOLS[name], parts, strict=True))
    wanted = by_hand.spread(weeks, weights, 390, 2.0, 0.5)
    found = signal_frame(make_strategy(name, PARAMETERS[name]), weeks)["signal"].to_list()
    keys = weeks.select("timestamp", "symbol").iter_rows()
    assert found == [wanted.get((stamp, symbol)) for stamp, symbol in keys]
    assert len(set(found)) > 3
