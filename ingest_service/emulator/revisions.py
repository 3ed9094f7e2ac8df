"""Bars that change after they were first shown, because a trade was reported late or a vendor corrected them.

A bar is computed a second after its minute and again when 30 seconds have passed. Until then REST and the stream
show the provisional version. Later corrections change history without a word on the stream
(https://docs.alpaca.markets/docs/real-time-stock-pricing-data).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ingest_service.emulator.draws import drawn
from ingest_service.emulator.source import BAR_COLUMNS, MINUTE_US, BarSource

__all__ = ["CORRECTION_US", "RevisedBars", "RevisionBook"]

CORRECTION_US = 30_000_000
"""How long after its minute a bar is computed again."""


@dataclass(frozen=True)
class _Revision:
    values: Mapping[str, float]
    effective_us: int


class RevisionBook:
    """Which bars are revised, into what and since when.

    Parameters
    ----------
    share
        Fraction of all bars that are shown without their last trade for the first 30 seconds.
    seed
        Draws them.
    """

    def __init__(self, *, share: float, seed: int) -> None:
        self._share = share
        self._seed = seed
        self._posted: dict[str, dict[int, list[_Revision]]] = {}

    def post(self, symbol: str, timestamp: dt.datetime, values: Mapping[str, float], *, now: dt.datetime) -> int:
        """Revise a bar; the instant at which that takes effect, in microseconds since the epoch.

        It is 30 seconds after the bar's minute, or now if that is over: the stream then says nothing of it.
        """
        stamp_us, now_us = (int(instant.timestamp() * 1e6) for instant in (timestamp, now))
        effective_us = max(stamp_us + MINUTE_US + CORRECTION_US, now_us)
        self._posted.setdefault(symbol, {}).setdefault(stamp_us, []).append(_Revision(dict(values), effective_us))
        return effective_us

    def clear(self) -> None:
        """Forget what was posted."""
        self._posted.clear()

    def changed_at(self, symbols: Iterable[str], instant_us: int) -> list[str]:
        """Those symbols whose last bar changes at this instant, half a minute after it was first shown."""
        stamp_us = instant_us - MINUTE_US - CORRECTION_US
        stamps = np.array([stamp_us], dtype=np.int64)
        found = []
        for symbol in symbols:
            posted = self._posted.get(symbol, {}).get(stamp_us, ())
            if any(one.effective_us == instant_us for one in posted) or self._is_drawn(symbol, stamps)[0]:
                found.append(symbol)
        return found

    def apply(self, symbol: str, rows: pl.DataFrame, *, now_us: int) -> pl.DataFrame:
        """Rows of a symbol as they are shown now."""
        if rows.is_empty():
            return rows
        for stamp_us, revisions in self._posted.get(symbol, {}).items():
            values = {
                name: value for one in revisions if one.effective_us <= now_us for name, value in one.values.items()
            }
            if values:
                rows = _replaced(rows, stamp_us, values)
        return self._provisional(symbol, rows, now_us) if self._share else rows

    def _provisional(self, symbol: str, rows: pl.DataFrame, now_us: int) -> pl.DataFrame:
        stamps = rows["timestamp"].to_physical().to_numpy()
        young = stamps > now_us - MINUTE_US - CORRECTION_US
        if not young.any():
            return rows
        is_provisional = pl.Series(young & self._is_drawn(symbol, stamps))
        volume, count = pl.col("volume"), pl.col("trade_count")
        return rows.with_columns(
            pl.when(is_provisional).then("open").otherwise("close").alias("close"),
            pl.when(is_provisional).then(volume - volume // 10).otherwise(volume).alias("volume"),
            pl.when(is_provisional & (count > 1)).then(count - 1).otherwise(count).alias("trade_count"),
        )

    def _is_drawn(self, symbol: str, stamps: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return drawn(stamps, share=self._share, key=f"{self._seed}/{symbol}/late trade")


class RevisedBars:
    """Bars of another source as they are known at an instant: none from later, and revised ones revised.

    Parameters
    ----------
    source
        Bars as they end up.
    book
        What changes.
    now_us
        The instant, microseconds since the epoch.
    """

    def __init__(self, source: BarSource, book: RevisionBook, *, now_us: int) -> None:
        self._source = source
        self._book = book
        self._now_us = now_us

    def rows(self, symbol: str, start_us: int, end_us: int, *, limit: int, descending: bool = False) -> pl.DataFrame:
        """See `BarSource.rows`."""
        end_us = min(end_us, self._now_us - MINUTE_US)
        rows = self._source.rows(symbol, start_us, end_us, limit=limit, descending=descending)
        return self._book.apply(symbol, rows, now_us=self._now_us)


def _replaced(rows: pl.DataFrame, stamp_us: int, values: Mapping[str, float]) -> pl.DataFrame:
    here = pl.col("timestamp").to_physical() == stamp_us
    return rows.with_columns(
        pl.when(here).then(pl.lit(value).cast(BAR_COLUMNS[name])).otherwise(name).alias(name)
        for name, value in values.items()
    )
