"""What the emulator needs from wherever its bars come from."""

from __future__ import annotations

from typing import Protocol

import polars as pl

__all__ = ["BAR_COLUMNS", "MINUTE_US", "BarSource"]

MINUTE_US = 60_000_000

BAR_COLUMNS = {
    "timestamp": pl.Datetime("us", "UTC"),
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Int64(),
    "trade_count": pl.Int64(),
    "vwap": pl.Float64(),
}
"""Columns and types of the rows a source hands out; trade_count and vwap may be null."""


class BarSource(Protocol):
    """Minute bars by symbol."""

    def rows(self, symbol: str, start_us: int, end_us: int, *, limit: int, descending: bool = False) -> pl.DataFrame:
        """The first `limit` bars of a symbol in the closed range [start_us, end_us].

        Both ends are microseconds since the epoch, as Alpaca's own ranges are closed. Sorted by
        timestamp, from the end of the range if `descending`. No rows for a symbol the source does not
        know.
        """
        ...
