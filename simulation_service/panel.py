"""The bars of several symbols on one timeline: what the portfolio kernel reads.

The timeline holds every minute in which at least one of the symbols has a bar. A symbol without a bar in a minute
keeps its last close there and cannot be traded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError
from simulation_service.forward_fill import carried
from simulation_service.market import Market
from simulation_service.ticks import FloatArray

__all__ = ["IntArray", "Panel"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Panel:
    """Markets of several symbols, with the place of their bars on the common timeline.

    Parameters
    ----------
    symbols
        In the order in which their orders are granted within a minute.
    timestamp, session
        Shape (n_bars,): opening instant (UTC) and session of each minute of the timeline.
    markets
        One per symbol, each with its own bars only.
    rows
        One per symbol: the row of the timeline of each of its bars, rising.
    """

    symbols: tuple[str, ...]
    timestamp: pl.Series
    session: pl.Series
    markets: tuple[Market, ...]
    rows: tuple[IntArray, ...]

    @classmethod
    def of(cls, bars: Mapping[str, pl.DataFrame], **options: Any) -> Panel:
        """Panel of each symbol's bars, with session, oldest first; `options` are those of `Market.of`.

        Raises
        ------
        InvalidInputError
            If there is no symbol, or a symbol's bars make no market.
        """
        if not bars:
            raise InvalidInputError("a portfolio needs the bars of at least one symbol: none were given.")
        stamps = pl.concat(frame.select("timestamp", "session") for frame in bars.values())
        timeline = stamps.unique("timestamp", keep="any").sort("timestamp")
        instants = timeline["timestamp"].to_physical().to_numpy()
        rows = [np.searchsorted(instants, frame["timestamp"].to_physical().to_numpy()) for frame in bars.values()]
        markets = [Market.of(frame, **options) for frame in bars.values()]
        return cls(tuple(bars), timeline["timestamp"], timeline["session"], tuple(markets), tuple(rows))

    @property
    def shape(self) -> tuple[int, int]:
        """Minutes of the timeline, and symbols."""
        return self.timestamp.len(), len(self.symbols)

    def spread(self, columns: list[npt.NDArray[Any]], absent: Any) -> npt.NDArray[Any]:
        """One column per symbol, given at its own bars, on the timeline: shape (n_bars, n_symbols)."""
        found = np.full(self.shape, absent, dtype=columns[0].dtype)
        for place, (rows, column) in enumerate(zip(self.rows, columns, strict=True)):
            found[rows, place] = column
        return found

    def delayed(self, table: FloatArray, bars: int) -> FloatArray:
        """What was known `bars` bars before, each symbol by its own bars; NaN before and where it has none.

        Parameters
        ----------
        table
            Shape (n_bars, n_symbols).
        """
        columns = [table[rows, place] for place, rows in enumerate(self.rows)]
        return self.spread([np.concatenate([np.full(bars, np.nan), one])[: one.size] for one in columns], np.nan)

    def closes(self) -> FloatArray:
        """Last known close in every minute, ticks; 0 before a symbol's first bar."""
        return carried(self.spread([market.close for market in self.markets], np.nan), before=0.0)

    def session_rows(self) -> IntArray:
        """Number of each minute's session, 0 for the first."""
        return self.session.rle_id().to_numpy().astype(np.int64)

    def place(self, signals: pl.DataFrame) -> FloatArray:
        """Signals on the timeline: shape (n_bars, n_symbols), NaN where a symbol has none.

        Parameters
        ----------
        signals
            timestamp, symbol, signal (null holds); rows of other symbols and of minutes without a bar are left out.
        """
        columns = []
        for place, symbol in enumerate(self.symbols):
            own = pl.DataFrame({"timestamp": self.timestamp.gather(self.rows[place])})
            found = own.join(signals.filter(symbol=symbol), on="timestamp", how="left", maintain_order="left")
            columns.append(found["signal"].fill_null(float("nan")).to_numpy())
        return self.spread(columns, np.nan)
