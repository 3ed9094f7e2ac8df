"""The peers, in an environment of their own: ArcticDB on LMDB, a native DuckDB table, plain Parquet by polars.

Each does a task in the way its own documentation shows for the fastest answer.
"""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import arcticdb
import duckdb
import polars as pl
from line import answer_requests

FOLDER = Path(sys.argv[1])
NEW_YORK = "America/New_York"
Work = Callable[[], object]


def source(symbol: str) -> Path:
    """The plain Parquet file of one symbol."""
    return FOLDER / "source" / f"{symbol}.parquet"


def everything() -> Path:
    """The plain Parquet file of all symbols, by symbol and timestamp."""
    return FOLDER / "everything.parquet"


def daily(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Daily bars of minute bars, as one writes it in polars."""
    session = pl.col("timestamp").dt.convert_time_zone(NEW_YORK).dt.date().alias("session")
    return rows.group_by("symbol", session, maintain_order=True).agg(
        pl.col("timestamp").first(),
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
        pl.col("trade_count").sum(),
        ((pl.col("vwap") * pl.col("volume")).sum() / pl.col("volume").sum()).alias("vwap"),
        pl.len().alias("minutes"),
    )


class Polars:
    """Plain Parquet files: one a symbol, and one of them all."""

    def year(self, symbol: str) -> Work:
        """All bars of a symbol."""
        return lambda: pl.read_parquet(source(symbol))

    def span(self, symbols: list[str], start: str, end: str) -> Work:
        """Bars of a stretch of time."""
        first, beyond = dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end)
        inside = pl.col("timestamp").is_between(first, beyond, closed="left")
        if len(symbols) == 1:
            return lambda: pl.scan_parquet(source(symbols[0])).filter(inside).collect()
        return lambda: pl.scan_parquet(everything()).filter(inside).collect()

    def latest(self, symbol: str) -> Work:
        """The last five bars of a symbol."""
        return lambda: pl.scan_parquet(source(symbol)).tail(5).collect()

    def daily(self, symbols: list[str]) -> Work:  # noqa: ARG002 - all of them
        """Daily bars of all symbols."""
        return lambda: daily(pl.scan_parquet(everything())).collect(engine="streaming")

    def write(self, symbols: list[str]) -> Work:
        """One file a symbol, not synced."""
        target = fresh("plain")
        target.mkdir()
        frames = {name: pl.read_parquet(source(name)) for name in symbols}

        def work() -> int:
            for name, frame in frames.items():
                frame.write_parquet(target / f"{name}.parquet")
            return sum(frame.height for frame in frames.values())

        return work


class Arctic:
    """One ArcticDB symbol a symbol, in LMDB; pandas in and out, which is its fastest."""

    def __init__(self) -> None:
        self._library: Any = None

    @property
    def library(self) -> Any:
        """The library that `load` or `write` filled."""
        if self._library is None:
            self._library = arcticdb.Arctic(f"lmdb://{FOLDER / 'arctic'}?map_size=8GB")["bars"]
        return self._library

    def write(self, symbols: list[str]) -> Work:
        """All symbols into an empty library, in one batch."""
        self._library = None
        folder = fresh("arctic")
        frames = [self._pandas(name) for name in symbols]
        library = arcticdb.Arctic(f"lmdb://{folder}?map_size=8GB").create_library("bars")
        self._library = library
        payloads = [arcticdb.WritePayload(name, frame) for name, frame in zip(symbols, frames, strict=True)]

        def work() -> int:
            library.write_batch(payloads)
            return sum(len(frame) for frame in frames)

        return work

    @staticmethod
    def _pandas(name: str) -> Any:
        return pl.read_parquet(source(name)).to_pandas().set_index("timestamp")

    def year(self, symbol: str) -> Work:
        """All bars of a symbol."""
        return lambda: later(self.library.read(symbol).data)

    def span(self, symbols: list[str], start: str, end: str) -> Work:
        """Bars of a stretch of time; its range is closed, so it ends a minute earlier."""
        span = (dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end) - dt.timedelta(minutes=1))
        if len(symbols) == 1:
            return lambda: later(self.library.read(symbols[0], date_range=span).data)
        requests = [arcticdb.ReadRequest(name, date_range=span) for name in symbols]
        return lambda: later(*(item.data for item in self.library.read_batch(requests)))

    def latest(self, symbol: str) -> Work:
        """The last five bars of a symbol."""
        return lambda: later(self.library.tail(symbol, 5).data)

    def daily(self, symbols: list[str]) -> Work:
        """Daily bars of all symbols; its days are those of UTC, which hold the same regular minutes."""
        columns = {
            "open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "trade_count": "sum",
        }  # fmt: skip
        requests = [
            arcticdb.ReadRequest(name, query_builder=arcticdb.QueryBuilder().resample("1D").agg(columns))
            for name in symbols
        ]
        return lambda: later(*(item.data for item in self.library.read_batch(requests)), without="timestamp")


def later(*frames: Any, without: str = "") -> Callable[[], pl.DataFrame]:
    """The frames as one of polars, made when the clock has stopped; a day's stamp is its midnight, so it may go."""
    return lambda: pl.concat([pl.from_pandas(one.reset_index()) for one in frames]).drop(without, strict=False)


class Duck:
    """One native table, by symbol and timestamp."""

    def __init__(self) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = None

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """A connection that stays open."""
        if self._connection is None:
            self._connection = duckdb.connect(str(FOLDER / "native.duckdb"))
        return self._connection

    def write(self, symbols: list[str]) -> Work:
        """All symbols into an empty table, then a checkpoint."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        fresh("native.duckdb")
        frames = {name: pl.read_parquet(source(name)).with_columns(pl.lit(name).alias("symbol")) for name in symbols}
        connection = self.connection
        empty = next(iter(frames.values())).clear()
        connection.register("incoming", empty.to_arrow())
        connection.execute("CREATE TABLE bars AS SELECT * FROM incoming")

        def work() -> int:
            for frame in frames.values():
                connection.register("incoming", frame.to_arrow())
                connection.execute("INSERT INTO bars SELECT * FROM incoming")
            connection.execute("CHECKPOINT")
            return sum(frame.height for frame in frames.values())

        return work

    def _ask(self, query: str, values: list[object]) -> Work:
        return lambda: self.connection.sql(query, params=values).pl()

    def year(self, symbol: str) -> Work:
        """All bars of a symbol."""
        return self._ask("SELECT * FROM bars WHERE symbol = ? ORDER BY timestamp", [symbol])

    def span(self, symbols: list[str], start: str, end: str) -> Work:
        """Bars of a stretch of time."""
        first, beyond = dt.datetime.fromisoformat(start), dt.datetime.fromisoformat(end)
        query = """SELECT * FROM bars WHERE list_contains(?, symbol) AND timestamp >= ? AND timestamp < ?
                   ORDER BY symbol, timestamp"""
        if len(symbols) == 1:
            query = query.replace("list_contains(?, symbol)", "symbol = ?")
        return self._ask(query, [symbols if len(symbols) > 1 else symbols[0], first, beyond])

    def latest(self, symbol: str) -> Work:
        """The last five bars of a symbol."""
        return self._ask(
            "SELECT * FROM (SELECT * FROM bars WHERE symbol = ? ORDER BY timestamp DESC LIMIT 5) ORDER BY timestamp",
            [symbol],
        )

    def daily(self, symbols: list[str]) -> Work:  # noqa: ARG002 - all of them
        """Daily bars of all symbols."""
        query = f"""
            SELECT symbol, (timestamp AT TIME ZONE '{NEW_YORK}')::DATE AS session, min(timestamp) AS timestamp,
                   arg_min(open, timestamp) AS open, max(high) AS high, min(low) AS low,
                   arg_max(close, timestamp) AS close, sum(volume)::BIGINT AS volume,
                   sum(trade_count)::BIGINT AS trade_count, sum(vwap * volume) / sum(volume) AS vwap,
                   count(*) AS minutes
            FROM bars GROUP BY symbol, session ORDER BY symbol, session
        """
        return self._ask(query, [])


def fresh(name: str) -> Path:
    """A path below the folder with nothing at it."""
    path = FOLDER / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


def main() -> None:
    """Answer until the input ends."""
    peers = {"polars": Polars(), "arctic": Arctic(), "duckdb": Duck()}
    answer_requests(
        {
            f"{name}.{task}": getattr(peer, task)
            for name, peer in peers.items()
            for task in ("write", "year", "span", "latest", "daily")
        }
    )


if __name__ == "__main__":
    main()
