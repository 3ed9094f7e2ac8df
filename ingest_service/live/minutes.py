"""Bars that were heard and are not stored yet. Pure: messages in, a table for `write_many` out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Sized
from typing import Any

import polars as pl

from barlake.records import RowRank
from ingest_service.normalize import normalize_bars

__all__ = ["MinuteBatch", "table_of"]

_RANKS = {"b": RowRank.BAR, "u": RowRank.UPDATED_BAR}


class MinuteBatch:
    """The newest word on each bar since the batch was last taken; an updated bar counts more than a bar."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[RowRank, Mapping[str, Any]]] = {}
        self._newest = ""
        self._in_newest: set[str] = set()
        self.has_bars = False

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def newest(self) -> str:
        """The latest minute heard of, as its message writes it; empty before the first."""
        return self._newest

    def add(self, message: Mapping[str, Any]) -> bool:
        """Take a message in; whether it is one of a bar."""
        rank = _RANKS.get(str(message.get("T")))
        symbol, stamp = message.get("S"), message.get("t")
        if rank is None or not isinstance(symbol, str) or not isinstance(stamp, str):
            return False
        known = self._rows.get((symbol, stamp))
        if known is None or rank >= known[0]:
            self._rows[symbol, stamp] = rank, message
        if rank is RowRank.BAR:
            self.has_bars = True
            if stamp > self._newest:
                self._newest, self._in_newest = stamp, set()
            if stamp == self._newest:
                self._in_newest.add(symbol)
        return True

    def is_full(self, symbols: Sized) -> bool:
        """Whether the newest minute has a bar of as many symbols as these."""
        return len(self._in_newest) >= len(symbols)

    def take(self) -> pl.DataFrame:
        """All of it, as `BarWriter.write_many` takes it; the batch is empty then."""
        rows = [(symbol, int(rank), message) for (symbol, _), (rank, message) in self._rows.items()]
        self._rows, self._in_newest, self.has_bars = {}, set(), False
        return table_of(rows)


def table_of(rows: Sequence[tuple[str, int, Any]]) -> pl.DataFrame:
    """Symbol, rank and raw bar as a table for `BarWriter.write_many`; a row that is none has nulls, for its rules."""
    normalized = normalize_bars([row for *_, row in rows])
    bad = set(normalized.bad["row_number"].to_list())
    kept = [number for number in range(len(rows)) if number not in bad]
    labels = pl.DataFrame(
        {
            "symbol": pl.Series([rows[number][0] for number in kept], dtype=pl.String()),
            "rank": pl.Series([rows[number][1] for number in kept], dtype=pl.Int64()),
        }
    )
    good = pl.concat([labels, normalized.good], how="horizontal")
    if not bad:
        return good
    # The quarantine keeps what came, word for word.
    raw = [json.dumps(row, default=str) for *_, row in rows]
    good = good.with_columns(raw=pl.Series([raw[number] for number in kept], dtype=pl.String()))
    numbers = normalized.bad["row_number"].to_list()
    unreadable = {
        "symbol": [rows[number][0] for number in numbers],
        "rank": pl.Series([rows[number][1] for number in numbers], dtype=pl.Int64()),
        "raw": [raw[number] for number in numbers],
    }
    return pl.concat([good, pl.DataFrame(unreadable)], how="diagonal")
