"""A lake in a temporary folder and a maker of tiny bars, for any test."""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from barlake.lake import Lake
from barlake.records import utc_now
from barlake.sessions import Calendar
from barlake.settings import Settings

__all__ = ["make_bars", "temporary_lake"]


@contextlib.contextmanager
def temporary_lake(*, now: Callable[[], dt.datetime] = utc_now) -> Iterator[Lake]:
    """An empty lake that is gone when the block ends; it reads no `.env`."""
    with tempfile.TemporaryDirectory(prefix="barlake-") as folder:
        settings = Settings(_env_file=None)
        with Lake(Path(folder), settings, now=now) as lake:
            yield lake


def make_bars(
    sessions: Sequence[dt.date],
    *,
    seed: int = 0,
    minutes: int | None = None,
    keep: float = 1.0,
    first_price: float = 100.0,
) -> pl.DataFrame:
    """Made-up minute bars of the regular minutes of some sessions, a random walk in whole cents.

    Parameters
    ----------
    minutes
        Only the first so many of each session.
    keep
        Share of minutes that have a bar.

    Returns
    -------
    timestamp (UTC), open, high, low, close, volume, trade_count, vwap. Store them as feed `synthetic`.
    """
    generator = np.random.default_rng(seed)
    bounds = Calendar.default().frame.filter(pl.col("session").is_in(list(sessions)))
    stamps = [
        pl.datetime_range(row["open"], row["close"], "1m", closed="left", eager=True)[:minutes]
        for row in bounds.iter_rows(named=True)
    ]
    timestamp = pl.concat(stamps).alias("timestamp")
    timestamp = timestamp.filter(pl.Series(generator.random(timestamp.len()) < keep))
    count = timestamp.len()
    close = np.round(first_price * np.exp(np.cumsum(generator.normal(0, 4e-4, count))), 2)
    open_ = np.round(close * np.exp(generator.normal(0, 2e-4, count)), 2)
    reach = np.abs(generator.normal(0, 0.02, count))
    high = np.round(np.maximum(open_, close) + reach, 2)
    low = np.round(np.minimum(open_, close) - reach, 2)
    volume = generator.integers(100, 10_000, count)
    return pl.DataFrame(
        {
            "timestamp": timestamp, "open": open_, "high": high, "low": low, "close": close,
            "volume": volume, "trade_count": volume // 100, "vwap": np.round((high + low + close) / 3, 4),
        }
    )  # fmt: skip
