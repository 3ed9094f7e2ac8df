"""Made-up symbols to which something happened: each is a case that an ingestion must survive.

They exist beside the symbols that are listed, whenever bars are made up. Their dates are fixed and lie on
sessions of 2024.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from barlake.sessions import NEW_YORK
from ingest_service.emulator.source import BAR_COLUMNS, BarSource

__all__ = ["HALT_END", "HALT_START", "SPECIAL_ACTIONS", "SPECIAL_SYMBOLS", "SpecialBars"]

SPLIT_DAY = dt.date(2024, 5, 13)
RENAME_DAY = dt.date(2024, 6, 3)
LAST_DAY = dt.date(2024, 3, 28)
LISTING_DAY = dt.date(2024, 2, 15)
DIVIDEND_DAYS = (dt.date(2024, 2, 9), dt.date(2024, 5, 10), dt.date(2024, 8, 9), dt.date(2024, 11, 8))
HALT_START, HALT_END = dt.time(10, 12), dt.time(10, 47)
"""New York wall times between which `HALT` does not trade, in every session."""

SPECIAL_SYMBOLS = {
    "THIN": "trades in two minutes of five",
    "HALT": "is halted from 10:12 to 10:47 in every session",
    "SPLT": f"splits two for one on {SPLIT_DAY}",
    "DIVD": "pays a dividend every quarter of 2024",
    "OLDN": f"is called NEWN from {RENAME_DAY} on",
    "NEWN": f"was called OLDN before {RENAME_DAY}",
    "DEAD": f"was delisted after {LAST_DAY}",
    "IPOX": f"was listed on {LISTING_DAY}",
    "NONE": "is listed and has never traded",
}
"""Symbol -> what is special about it."""

SPECIAL_ACTIONS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "forward_splits": [{"symbol": "SPLT", "new_rate": 2, "old_rate": 1, "ex_date": SPLIT_DAY.isoformat()}],
    "cash_dividends": [
        {"symbol": "DIVD", "rate": 0.5, "special": False, "foreign": False, "ex_date": day.isoformat()}
        for day in DIVIDEND_DAYS
    ],
    "name_changes": [{"old_symbol": "OLDN", "new_symbol": "NEWN", "process_date": RENAME_DAY.isoformat()}],
}
"""What a question for corporate actions finds of them."""

_SPANS: Mapping[str, tuple[dt.date, dt.date]] = {
    "OLDN": (dt.date.min, RENAME_DAY),
    "NEWN": (RENAME_DAY, dt.date.max),
    "DEAD": (dt.date.min, LAST_DAY + dt.timedelta(days=1)),
    "IPOX": (LISTING_DAY, dt.date.max),
    "NONE": (dt.date.max, dt.date.max),
}
_DRAWN_AS = {"NEWN": "OLDN"}
_FOREVER_US = 2**62


class SpecialBars:
    """Made-up bars, with what is special about the special symbols.

    Parameters
    ----------
    plain
        Bars of all symbols as if nothing had happened to any.
    """

    def __init__(self, plain: BarSource) -> None:
        self._plain = plain

    def rows(self, symbol: str, start_us: int, end_us: int, *, limit: int, descending: bool = False) -> pl.DataFrame:
        """See `BarSource.rows`."""
        if symbol in _SPANS:
            first, beyond = (_midnight_us(day) for day in _SPANS[symbol])
            start_us, end_us = max(start_us, first), min(end_us, beyond - 1)
        if start_us > end_us:
            return pl.DataFrame(schema=BAR_COLUMNS)
        # A halt takes 35 of a session's bars: asking for as many again finds enough.
        asked = 2 * limit + 100 if symbol == "HALT" else limit
        rows = self._plain.rows(_DRAWN_AS.get(symbol, symbol), start_us, end_us, limit=asked, descending=descending)
        if symbol == "HALT":
            wall = pl.col("timestamp").dt.convert_time_zone("America/New_York").dt.time()
            return rows.filter(~wall.is_between(HALT_START, HALT_END, closed="left")).head(limit)
        return _before_the_split(rows) if symbol == "SPLT" else rows


def _before_the_split(rows: pl.DataFrame) -> pl.DataFrame:
    before = pl.col("timestamp").to_physical() < _midnight_us(SPLIT_DAY)
    prices = [
        pl.when(before).then(2 * pl.col(name)).otherwise(name).round(6).alias(name)
        for name in ("open", "high", "low", "close", "vwap")
    ]
    volume = pl.max_horizontal(pl.col("volume") // 2, "trade_count")
    return rows.with_columns(*prices, pl.when(before).then(volume).otherwise("volume").alias("volume"))


def _midnight_us(day: dt.date) -> int:
    if day in {dt.date.min, dt.date.max}:
        return -_FOREVER_US if day == dt.date.min else _FOREVER_US
    return int(dt.datetime.combine(day, dt.time(), tzinfo=NEW_YORK).timestamp() * 1e6)
