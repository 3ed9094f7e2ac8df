"""Tiny markets for these tests: bars with two features each, as feature tables hold them."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from barlake.keys import FeatureSetKey
from barlake.lake import Lake
from barlake.sessions import session_of
from barlake.testing import make_bars, temporary_lake

SESSIONS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5, 8, 9, 10, 11)]
MINUTES = 130
KEY = FeatureSetKey("core", "0123456789abcdef")

FeatureTable = Callable[[pl.DataFrame], pl.DataFrame]
LakeWith = Callable[..., Lake]


@pytest.fixture(scope="session")
def feature_table() -> FeatureTable:
    """Make the feature table of some bars: each feature looks at its own bar and earlier ones."""

    def make(bars: pl.DataFrame) -> pl.DataFrame:
        log_return = pl.col("close").log().diff()
        return bars.select(
            session_of(pl.col("timestamp")).alias("session"),
            "timestamp",
            pl.col("open", "high", "low", "close", "volume"),
            log_return.alias("log_return_1").cast(pl.Float32),
            (pl.col("close") / pl.col("close").rolling_mean(10) - 1).alias("stretch_10").cast(pl.Float32),
        )

    return make


@pytest.fixture(scope="session")
def market() -> dict[str, pl.DataFrame]:
    """Bars of two symbols over eight sessions, long enough for trees to split; QQQ lacks one minute in ten."""
    return {
        "SPY": make_bars(SESSIONS, seed=1, minutes=MINUTES),
        "QQQ": make_bars(SESSIONS, seed=2, minutes=MINUTES, keep=0.9),
    }


@pytest.fixture(scope="session")
def tables(market: dict[str, pl.DataFrame], feature_table: FeatureTable) -> dict[str, pl.DataFrame]:
    """Feature tables of the two symbols, SPY first."""
    return {symbol: feature_table(bars) for symbol, bars in market.items()}


@pytest.fixture
def lake() -> Iterator[Lake]:
    """An empty lake."""
    with temporary_lake() as empty:
        yield empty


@pytest.fixture(scope="session")
def fill(market: dict[str, pl.DataFrame], tables: dict[str, pl.DataFrame]) -> Callable[..., None]:
    """Put the market, and the feature tables of some of its symbols, into a lake."""

    def put(lake: Lake, *symbols: str, key: FeatureSetKey = KEY, session: str = "regular", **facts: str | None) -> None:
        for symbol, bars in market.items():
            lake.write_bars(bars, feed="synthetic", symbol=symbol)
        for symbol in symbols:
            snapshot = lake.snapshot([symbol], feed="synthetic").as_dict()
            lake.feature_tables.write(
                key,
                symbol,
                tables[symbol],
                inputs={"snapshot": snapshot},
                definition={"feed": "synthetic", "session": session, **facts},
            )

    return put


@pytest.fixture(scope="session")
def filled_folder(fill: Callable[..., None]) -> Iterator[Path]:
    """Folder of a lake with bars and feature tables of SPY and QQQ, made once."""
    with temporary_lake() as lake:
        fill(lake, "SPY", "QQQ")
        lake.close()
        yield lake.root


@pytest.fixture
def full_lake(lake: Lake, filled_folder: Path) -> Iterator[Lake]:
    """A lake with bars and feature tables of SPY and QQQ."""
    root = lake.root / "full"
    shutil.copytree(filled_folder, root)
    with Lake(root, lake.settings) as full:
        yield full
