"""Made-up minute bars that never stop: crypto pairs, and the symbol of the test stream.

The price is a random walk whose days are drawn first and whose minutes are bent to meet them, so that any day can be
made without its predecessors. Nothing is to be earned: steps are independent, less half their variance.
"""

from __future__ import annotations

import datetime as dt
import functools
import math

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest_service.emulator.source import BAR_COLUMNS, MINUTE_US
from ingest_service.emulator.traits import generator

__all__ = ["CRYPTO_PAIRS", "TEST_SYMBOL", "RoundTheClockBars"]

CRYPTO_PAIRS = {"BTC/USD": 40_000.0, "ETH/USD": 2_500.0, "SOL/USD": 100.0, "LTC/USD": 80.0}
"""Pair -> first price, dollars."""

TEST_SYMBOL = "FAKEPACA"
"""The one symbol of Alpaca's test stream."""

_FIRST_DAY = dt.date(2021, 1, 1)
"""Alpaca's crypto history begins in 2021 (https://docs.alpaca.markets/docs/historical-crypto-data-1)."""

_DAYS = 40 * 366
_DAY_US = 24 * 60 * MINUTE_US
_MINUTES, _PRINTS = 24 * 60, 4
_DAILY_VOLATILITY = 0.03
_FIRST_US = int(dt.datetime.combine(_FIRST_DAY, dt.time(), tzinfo=dt.UTC).timestamp()) * 1_000_000


class RoundTheClockBars:
    """A bar for every minute since 2021; volumes are fractions of a coin.

    Parameters
    ----------
    seed
        Another seed is another market.
    """

    symbols = tuple(sorted(CRYPTO_PAIRS))

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._levels = functools.cache(self._log_levels)
        self._day = functools.lru_cache(maxsize=64)(self._day_bars)

    def rows(self, symbol: str, start_us: int, end_us: int, *, limit: int, descending: bool = False) -> pl.DataFrame:
        """See `BarSource.rows`; volumes are floats."""
        schema = {**BAR_COLUMNS, "volume": pl.Float64()}
        if symbol not in {*CRYPTO_PAIRS, TEST_SYMBOL}:
            return pl.DataFrame(schema=schema)
        first = max(0, (start_us - _FIRST_US) // _DAY_US)
        stop = min(_DAYS - 1, (end_us - _FIRST_US) // _DAY_US + 1)
        parts, found = [pl.DataFrame(schema=schema)], 0
        for day in range(stop - 1, first - 1, -1) if descending else range(first, stop):
            stamps = pl.col("timestamp").to_physical()
            part = self._day(symbol, day).filter(stamps.is_between(start_us, end_us))
            parts.append(part.reverse() if descending else part)
            found += part.height
            if found >= limit:
                break
        return pl.concat(parts).head(limit)

    def _log_levels(self, symbol: str) -> npt.NDArray[np.float64]:
        steps = (
            generator(self._seed, symbol, "days").standard_normal(_DAYS) * _DAILY_VOLATILITY - _DAILY_VOLATILITY**2 / 2
        )
        first = math.log(CRYPTO_PAIRS.get(symbol, 130.0))
        return np.concatenate(([first], first + steps.cumsum()))

    def _day_bars(self, symbol: str, day: int) -> pl.DataFrame:
        draw = generator(self._seed, symbol, "minutes", day)
        start, end = self._levels(symbol)[day : day + 2]
        count = _MINUTES * _PRINTS
        walk = draw.standard_normal(count).cumsum() * _DAILY_VOLATILITY / math.sqrt(count)
        walk += np.arange(1, count + 1) / count * (end - start - walk[-1])
        digits = 2 if start > math.log(20) else 4
        prices = np.round(np.exp(start + walk), digits).reshape(_MINUTES, _PRINTS)
        volume = np.round(draw.lognormal(0.0, 1.0, _MINUTES) * 2_000 / math.exp(start), 6)
        return pl.DataFrame(
            {
                "timestamp": pl.Series(_FIRST_US + day * _DAY_US + np.arange(_MINUTES) * MINUTE_US).cast(
                    BAR_COLUMNS["timestamp"]
                ),
                "open": prices[:, 0],
                "high": prices.max(axis=1),
                "low": prices.min(axis=1),
                "close": prices[:, -1],
                "volume": volume,
                "trade_count": draw.poisson(8.0, _MINUTES) + 1,
                "vwap": np.round(prices.mean(axis=1), 6),
            }
        )
