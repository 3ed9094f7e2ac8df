"""Bars of a few sessions in the form strategies take, one symbol or two."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest

from barlake.sessions import Calendar
from barlake.testing import make_bars

Maker = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def bars_of() -> Maker:
    """A function that makes bars of some symbols over the first sessions from a date on."""

    def make(
        *symbols: str, sessions: int = 10, minutes: int | None = 20, start: dt.date = dt.date(2024, 6, 24)
    ) -> pl.DataFrame:
        days = Calendar.default().frame.filter(pl.col("session") >= start)["session"][:sessions].to_list()
        parts = [
            make_bars(days, seed=seed, minutes=minutes).with_columns(
                pl.lit(symbol).alias("symbol"),
                pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.date().alias("session"),
            )
            for seed, symbol in enumerate(symbols)
        ]
        columns = ["symbol", "session", "timestamp", "open", "high", "low", "close", "volume"]
        return pl.concat(parts).select(columns).sort("timestamp", "symbol")

    return make
