"""Bars from a folder of Parquet files."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError
from ingest_service.emulator.source import BAR_COLUMNS

__all__ = ["FolderBars"]

_OPTIONAL = {"trade_count", "vwap"}


class FolderBars:
    """Every Parquet file below a folder, read one symbol at a time when it is first asked for.

    A file has the columns `timestamp` (aware), `open`, `high`, `low`, `close`, `volume` and may have
    `trade_count`, `vwap` and `symbol`; without `symbol` the file's name is the symbol. A count or vwap
    that the file does not state is served as null, never invented.

    Parameters
    ----------
    folder
        Searched with its subfolders.
    cached_rows
        Most bars kept in memory; one symbol may exceed it alone.

    Raises
    ------
    InvalidInputError
        If there is no file, a column is missing or of the wrong type, or a symbol has two bars for one
        minute: a source that answers with one of the two would hide the other.
    """

    def __init__(self, folder: Path, *, cached_rows: int) -> None:
        self._cached_rows = cached_rows
        self._cache: OrderedDict[str, pl.DataFrame] = OrderedDict()
        self._files: dict[str, list[Path]] = {}
        paths = sorted(folder.rglob("*.parquet"))
        if not paths:
            raise InvalidInputError(f"bars {str(folder)!r} holds no Parquet file: name a folder that does.")
        for path in paths:
            for symbol in _scan(path).select(pl.col("symbol").unique()).collect()["symbol"]:
                self._files.setdefault(symbol, []).append(path)
        for symbol in self._files:
            self._refuse_doubles(symbol)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols that have bars, sorted."""
        return tuple(sorted(self._files))

    def rows(self, symbol: str, start_us: int, end_us: int, *, limit: int, descending: bool = False) -> pl.DataFrame:
        """See `BarSource.rows`."""
        frame = self._frame(symbol)
        stamps = frame["timestamp"].to_physical().to_numpy()
        first = int(np.searchsorted(stamps, start_us, side="left"))
        stop = int(np.searchsorted(stamps, end_us, side="right"))
        length = max(0, min(limit, stop - first))
        if descending:
            return frame.slice(stop - length, length).reverse()
        return frame.slice(first, length)

    def _refuse_doubles(self, symbol: str) -> None:
        stamps = pl.concat([_scan(path).filter(symbol=symbol).select("timestamp") for path in self._files[symbol]])
        rows, distinct = stamps.select(pl.len(), pl.col("timestamp").n_unique().alias("distinct")).collect().row(0)
        if rows != distinct:
            names = ", ".join(path.name for path in self._files[symbol])
            raise InvalidInputError(
                f"bars of symbol {symbol!r} hold {rows - distinct} minutes twice (in {names}): "
                "name a folder with one bar for each minute."
            )

    def _frame(self, symbol: str) -> pl.DataFrame:
        if symbol not in self._files:
            return pl.DataFrame(schema=BAR_COLUMNS)
        if symbol not in self._cache:
            parts = [_scan(path).filter(symbol=symbol).select(*BAR_COLUMNS) for path in self._files[symbol]]
            self._cache[symbol] = pl.concat(parts).sort("timestamp").collect()
            self._make_room()
        self._cache.move_to_end(symbol)
        return self._cache[symbol]

    def _make_room(self) -> None:
        while len(self._cache) > 1 and sum(frame.height for frame in self._cache.values()) > self._cached_rows:
            self._cache.popitem(last=False)


def _scan(path: Path) -> pl.LazyFrame:
    """One file with `symbol` and all bar columns in their types."""
    frame = pl.scan_parquet(path, hive_partitioning=False)
    schema = frame.collect_schema()
    missing = [name for name in BAR_COLUMNS if name not in schema and name not in _OPTIONAL]
    if missing:
        raise InvalidInputError(f"file {path.name!r} lacks the columns {', '.join(missing)}: it does not hold bars.")
    stamp = schema["timestamp"]
    if not isinstance(stamp, pl.Datetime) or stamp.time_zone is None:
        raise InvalidInputError(f"file {path.name!r} has timestamps of type {stamp}: they must be aware instants.")
    columns = [
        (pl.col(name) if name in schema else pl.lit(None)).cast(kind).alias(name)
        for name, kind in BAR_COLUMNS.items()
        if name != "timestamp"
    ]
    symbol = pl.col("symbol").cast(pl.String) if "symbol" in schema else pl.lit(path.stem).alias("symbol")
    instant = pl.col("timestamp").dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    return frame.select(symbol, instant, *columns)
