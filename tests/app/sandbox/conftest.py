"""One small lake for all tests of the sandbox: two symbols, two sessions, made-up bars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from barlake.lake import Lake
from barlake.testing import make_bars, temporary_lake

SESSIONS = [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]


@pytest.fixture(scope="session")
def small_lake() -> Iterator[Lake]:
    """SPY and BTC/USD of feed `synthetic`, 390 bars a session."""
    with temporary_lake() as lake:
        for seed, symbol in enumerate(["SPY", "BTC/USD"]):
            lake.write_bars(make_bars(SESSIONS, seed=seed), feed="synthetic", symbol=symbol)
        yield lake
