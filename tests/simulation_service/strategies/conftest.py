"""Made-up minute bars of three symbols with gaps, and predictions for one of them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from barlake.sessions import session_of
from barlake.testing import make_bars

SESSIONS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9)]


def bars_of(symbol: str, seed: int, *, minutes: int | None = 90, keep: float = 0.95) -> pl.DataFrame:
    """Bars of one symbol as a strategy is given them."""
    made = make_bars(SESSIONS, seed=seed, minutes=minutes, keep=keep)
    return made.select(
        pl.lit(symbol).alias("symbol"),
        session_of(pl.col("timestamp")).alias("session"),
        "timestamp", "open", "high", "low", "close", "volume",
    )  # fmt: skip


@pytest.fixture(scope="session")
def three() -> pl.DataFrame:
    """AAA, BBB and CCC, six sessions of 90 minutes each, one bar of twenty missing, sorted."""
    return pl.concat([bars_of("AAA", 1), bars_of("BBB", 2), bars_of("CCC", 3)]).sort("timestamp", "symbol")


@pytest.fixture(scope="session")
def two(three: pl.DataFrame) -> pl.DataFrame:
    """AAA and BBB."""
    return three.filter(pl.col("symbol") != "CCC")


@pytest.fixture(scope="session")
def one(three: pl.DataFrame) -> pl.DataFrame:
    """AAA, with a prediction around one half in nine rows of ten, and the signal a model would make of it."""
    bars = three.filter(symbol="AAA")
    chance = np.random.default_rng(4)
    wander = 0.5 + np.cumsum(chance.normal(0, 0.01, bars.height)) % 0.2 - 0.1
    prediction = pl.Series("prediction", wander).set(pl.Series(chance.random(bars.height) < 0.1), None)
    return bars.with_columns(prediction, (prediction > 0.5).cast(pl.Float64).alias("model_signal"))
