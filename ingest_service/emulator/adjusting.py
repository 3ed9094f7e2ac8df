"""Bars in the terms of another day: adjusted for actions, and found under a later or an earlier name.

Both are computed from the actions that are known when they are asked for, so an action that is announced changes
history that was served before, as Alpaca's does (https://docs.alpaca.markets/reference/stockbars).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Set as AbstractSet

import polars as pl

from barlake.sessions import NEW_YORK
from ingest_service.emulator.corporate_actions import ActionBook
from ingest_service.emulator.source import BAR_COLUMNS, BarSource

__all__ = ["AdjustedBars", "RenamedBars"]

_PRICES = ("open", "high", "low", "close", "vwap")
_EPOCH_US, _FOREVER_US = -(2**62), 2**62


class RenamedBars:
    """Bars of a company under the name it has on a day, also those from before and after it had it.

    A rename is known from the day after it on; asked for an earlier `asof`, the new name has no past.

    Parameters
    ----------
    source
        What traded under each name.
    actions
        Renames, among others.
    asof
        Day whose symbols are meant.
    today
        Later renames have not happened.
    """

    def __init__(self, source: BarSource, actions: ActionBook, *, asof: dt.date, today: dt.date) -> None:
        self._source = source
        self._actions = actions
        self._asof = asof
        self._today = today

    def rows(self, symbol: str, start_us: int, end_us: int, *, limit: int, descending: bool = False) -> pl.DataFrame:
        """See `BarSource.rows`."""
        spans = self._spans(symbol)
        parts = [pl.DataFrame(schema=BAR_COLUMNS)]
        for name, first_us, beyond_us in reversed(spans) if descending else spans:
            missing = limit - sum(part.height for part in parts)
            low, high = max(start_us, first_us), min(end_us, beyond_us - 1)
            if missing > 0 and low <= high:
                parts.append(self._source.rows(name, low, high, limit=missing, descending=descending))
        return pl.concat(parts)

    def _spans(self, symbol: str) -> list[tuple[str, int, int]]:
        """Names of the company and when it had them, oldest first."""
        renames = [one for one in self._actions.renames() if one.day <= self._today]
        before: list[tuple[str, int, int]] = []
        name, end_us = symbol, _FOREVER_US
        for one in reversed(renames):
            if one.new == name and one.day < self._asof:
                before.insert(0, (name, _midnight_us(one.day), end_us))
                name, end_us = one.old, _midnight_us(one.day)
        spans = [(name, _EPOCH_US, end_us), *before]
        name = symbol
        for one in renames:
            if one.old == name and one.day >= self._asof:
                old, first_us, _ = spans.pop()
                spans += [(old, first_us, _midnight_us(one.day)), (one.new, _midnight_us(one.day), _FOREVER_US)]
                name = one.new
        return spans


class AdjustedBars:
    """Bars in today's terms: prices and volumes before a split, prices before a dividend.

    Parameters
    ----------
    source
        Raw bars.
    actions
        What happened.
    kinds
        Alpaca's words: `split`, `dividend`, `spin-off`, `all`.
    today
        Actions with a later ex-date have not happened.
    """

    def __init__(self, source: BarSource, actions: ActionBook, *, kinds: AbstractSet[str], today: dt.date) -> None:
        self._source = source
        self._actions = actions
        self._kinds = kinds
        self._today = today

    def rows(self, symbol: str, start_us: int, end_us: int, *, limit: int, descending: bool = False) -> pl.DataFrame:
        """See `BarSource.rows`."""
        rows = self._source.rows(symbol, start_us, end_us, limit=limit, descending=descending)
        price, volume = pl.lit(1.0), pl.lit(1.0)
        for day, price_factor, volume_factor in self._factors(symbol):
            before = pl.col("timestamp").to_physical() < _midnight_us(day)
            price = price * pl.when(before).then(price_factor).otherwise(1.0)
            volume = volume * pl.when(before).then(volume_factor).otherwise(1.0)
        return rows.with_columns(
            *((pl.col(name) * price).round(6).alias(name) for name in _PRICES),
            (pl.col("volume") * volume).round().cast(pl.Int64).alias("volume"),
        )

    def _factors(self, symbol: str) -> list[tuple[dt.date, float, float]]:
        found = []
        for group, record in self._actions.of(symbol):
            day = dt.date.fromisoformat(record["ex_date"])
            if day > self._today:
                continue
            if group == "cash_dividends" and self._kinds & {"dividend", "all"}:
                last = self._source.rows(symbol, _EPOCH_US, _midnight_us(day) - 1, limit=1, descending=True)
                if last.height:
                    found.append((day, 1 - record["rate"] / last.item(0, "close"), 1.0))
            elif group in {"forward_splits", "reverse_splits"} and self._kinds & {"split", "all"}:
                ratio = record["new_rate"] / record["old_rate"]
                found.append((day, 1 / ratio, ratio))
            elif group == "stock_dividends" and self._kinds & {"split", "all"}:
                found.append((day, 1 / (1 + record["rate"]), 1 + record["rate"]))
        return found


def _midnight_us(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), tzinfo=NEW_YORK).timestamp() * 1e6)
