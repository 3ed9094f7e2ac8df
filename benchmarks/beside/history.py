"""Made-up minute bars that keep every indicator busy, as the features see them and as numpy does."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from barlake.keys import SessionFilter
from barlake.sessions import Calendar
from barlake.testing import make_bars
from feature_service.compute import check_bars, on_sessions

__all__ = ["Columns", "a_history", "as_numpy"]

Columns = dict[str, np.ndarray]


def a_history(bars: int, *, seed: int = 1) -> pl.DataFrame:
    """So many bars of regular sessions from 2005 on, as features see them."""
    sessions = Calendar.default().in_range(dt.date(2005, 1, 1), dt.date(2026, 1, 1))["session"]
    made = make_bars(sessions.head(bars // 380 + 1).to_list(), seed=seed, first_price=100.0).head(bars)
    # Its walk may end at a price where a cent is a large step; a bounded one keeps every indicator busy.
    wave = 400 + 50 * np.sin(np.arange(made.height) / 5000)
    scale = pl.Series(wave) / made["close"]
    columns = [(pl.col(name) * scale).alias(name) for name in ("open", "high", "low", "close")]
    history = on_sessions(made.with_columns(columns), Calendar.default(), SessionFilter.REGULAR)
    noise = pl.Series(np.random.default_rng(seed + 1).normal(0, 0.05, history.height))
    history = history.with_columns((pl.col("close") + noise).clip("low", "high"))
    check_bars(history, "SPY")
    return history


def as_numpy(history: pl.DataFrame) -> Columns:
    """The same columns as numpy holds them; `first` has the row that begins each session."""
    columns = {name: history[name].to_numpy() for name in ("open", "high", "low", "close")}
    columns["volume"] = history["volume"].cast(pl.Float64).to_numpy()
    for name in ("timestamp", "session_open", "session_close"):
        columns[name] = history[name].dt.epoch("us").to_numpy()
    columns["session"] = history["session"].to_physical().to_numpy()
    columns["first"] = (history["session"] != history["session"].shift(1)).fill_null(value=True).arg_true().to_numpy()
    return columns
