"""Several symbols minute by minute: only minutes in which each of them has a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError
from barlake.keys import parse_symbol

__all__ = ["CommonMinutes", "parse_roles"]


def parse_roles(**symbols: object) -> tuple[str, ...]:
    """Symbols of the parts a strategy has, each another one.

    Raises
    ------
    InvalidInputError
        If one is no symbol, or two are the same.
    """
    names = tuple(parse_symbol(str(symbol)) for symbol in symbols.values())
    if len(set(names)) < len(names):
        given = ", ".join(f"{role} {name!r}" for role, name in zip(symbols, names, strict=True))
        raise InvalidInputError(f"{given}: each needs a symbol of its own.")
    return names


@dataclass(frozen=True, eq=False)
class CommonMinutes:
    """The minutes in which each of several symbols has a bar.

    Parameters
    ----------
    bars
        Sorted by timestamp, then symbol, one row per bar.
    rows
        Of each symbol: numbers of its rows in those minutes, shape (n_minutes,).
    """

    bars: pl.DataFrame
    rows: Mapping[str, npt.NDArray[np.int64]]

    @classmethod
    def of(cls, bars: pl.DataFrame, symbols: Sequence[str]) -> CommonMinutes:
        """Those of `symbols`; bars of others are passed over."""
        own = bars["symbol"].is_in(symbols).arg_true().to_numpy().astype(np.int64)
        stamps = bars["timestamp"].to_physical().to_numpy()[own]
        # Sorted so, a minute that has all of them is a run of as many rows with one timestamp.
        last = len(symbols) - 1
        firsts = np.flatnonzero(stamps[last:] == stamps[: max(stamps.size - last, 0)])
        return cls(bars, {name: own[firsts + place] for place, name in enumerate(sorted(symbols))})

    @property
    def closes(self) -> dict[str, pl.Series]:
        """Closes of each symbol in those minutes, oldest first."""
        return {name: self.bars["close"].gather(rows) for name, rows in self.rows.items()}

    def beside(self, wanted: Mapping[str, pl.Series]) -> pl.Series:
        """Signals of each symbol in those minutes, laid beside the rows of `bars`; null in all other rows."""
        signals = np.full(self.bars.height, np.nan)
        for name, signal in wanted.items():
            signals[self.rows[name]] = signal.to_numpy()
        return pl.Series("signal", signals, nan_to_null=True)
