"""A small lake of made-up bars, and a maker of models that hold nothing but predictions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest

from barlake import Lake
from barlake.keys import ArtifactKind
from barlake.testing import make_bars, temporary_lake

SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3), dt.date(2024, 1, 4)]

ModelMaker = Callable[..., str]


@pytest.fixture
def lake() -> Iterator[Lake]:
    """SPY and QQQ, three sessions of 40 minutes each, feed synthetic."""
    with temporary_lake() as lake:
        for seed, symbol in enumerate(["SPY", "QQQ"]):
            bars = make_bars(SESSIONS, seed=seed, minutes=40)
            lake.writer.write(bars, feed="synthetic", symbol=symbol, source="python")
        lake.publish()
        yield lake


@pytest.fixture
def make_model(lake: Lake) -> ModelMaker:
    """A function that registers a model whose predictions are the frame it is given."""

    def make(predictions: pl.DataFrame, model_id: str = "feedbeefcafe0001", **parameters: Any) -> str:
        settings = {"symbols": ["SPY", "QQQ"], "feed": "synthetic", "session": "regular"} | parameters
        with lake.artifacts.create(ArtifactKind.MODEL, model_id, parameters=settings, inputs={}, code="none") as draft:
            predictions.write_parquet(draft.path / "predictions.parquet")
        return model_id

    return make


@pytest.fixture
def predictions(lake: Lake) -> pl.DataFrame:
    """One prediction for each SPY bar of the last two sessions, fitted on the first, changing every 7 bars."""
    bars = lake.bars("SPY", "2024-01-03", session="regular")
    row = pl.int_range(pl.len())
    return bars.select(
        "symbol",
        "session",
        "timestamp",
        fold=pl.lit(0, pl.Int32),
        fitted_before=pl.lit(dt.datetime(2024, 1, 2, 21, tzinfo=dt.UTC)).cast(pl.Datetime("us", "UTC")),
        prediction=pl.lit(0.6),
        signal=((row // 7) % 2).cast(pl.Float64),
    )
