"""Several symbols minute by minute: only minutes in which each of them has a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from barlake.errors import InvalidInputError
from barlake.keys import parse_symbol

__all__ = ["beside", "closes_together", "parse_roles"]


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


def closes_together(bars: pl.DataFrame, symbols: Sequence[str]) -> pl.DataFrame:
    """timestamp, then a column of closes named by each symbol; minutes in which one has no bar are left out."""
    parts = [bars.filter(symbol=name).select("timestamp", pl.col("close").alias(name)) for name in symbols]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.join(part, on="timestamp", how="inner", maintain_order="left")
    return joined


def beside(bars: pl.DataFrame, timestamp: pl.Series, wanted: Mapping[str, pl.Series]) -> pl.Series:
    """Signals of each symbol at some instants, laid beside the rows of `bars`; null in all other rows."""
    columns = [
        pl.DataFrame({"timestamp": timestamp, "signal": signal}).with_columns(symbol=pl.lit(symbol))
        for symbol, signal in wanted.items()
    ]
    key = ["timestamp", "symbol"]
    return bars.select(key).join(pl.concat(columns), on=key, how="left", maintain_order="left")["signal"]
