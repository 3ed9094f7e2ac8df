"""Workers of `benchmarks/ingest.py`: the product and its peers, each reading the same pages from one server."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.json as pj
import requests
from line import answer_requests
from pydantic import SecretStr

import barlake
from barlake.clock import FileClock
from barlake.keys import SYNTHETIC_FEED
from barlake.lake import Lake
from ingest_service.alpaca import AlpacaSource
from ingest_service.backfill import backfill, fill_sessions
from ingest_service.normalize import NAMES
from ingest_service.throttle import Throttle

FOLDER = Path(sys.argv[1])
SECRET = "your-secret-key"  # noqa: S105 - the emulator's placeholder
COUNTS = ("v", "n")


def settings_for(lake: Lake, url: str, key: str) -> Any:
    """The lake's settings with the address and the key of the emulator."""
    named = {"alpaca_key_id": SecretStr(key), "alpaca_secret_key": SecretStr(SECRET), "alpaca_data_url": url}
    return lake.settings.model_copy(update=named)


def fresh_lake() -> Lake:
    """An empty lake that has its calendar already, as all but the first run find it."""
    root = FOLDER / "ours"
    shutil.rmtree(root, ignore_errors=True)
    if (FOLDER / "calendar").is_dir():
        shutil.copytree(FOLDER / "calendar", root / "calendar")
    lake = barlake.open(root)
    assert lake.calendar.first  # noqa: S101 - built, or read
    return lake


def store(url: str, symbol: str, start: str, end: str) -> Callable[[], object]:
    """Fetch, parse, merge and commit the bars of one symbol."""
    lake = fresh_lake()
    source = AlpacaSource.from_settings(settings_for(lake, url, "PAPER_PLUS"))
    expected = lake.calendar.in_range(dt.date.fromisoformat(start), dt.date.fromisoformat(end))

    def work() -> Callable[[], pl.DataFrame]:
        fill_sessions(lake, source, symbol, expected, feed=SYNTHETIC_FEED)
        return lambda: lake.bars(symbol, feed=SYNTHETIC_FEED)

    return work


def whole(url: str, symbol: str, start: str, end: str) -> Callable[[], object]:
    """The whole of `ingest`: with checks, rollup and the catalogue."""
    lake = fresh_lake()
    source = AlpacaSource.from_settings(settings_for(lake, url, "PAPER_PLUS"))

    def work() -> Callable[[], pl.DataFrame]:
        backfill(lake, source, [symbol], start, end, feed=SYNTHETIC_FEED)
        return lambda: lake.bars(symbol, feed=SYNTHETIC_FEED)

    return work


def paced(url: str, clock: str, symbols: list[str], start: str, end: str, windows: int) -> dict[str, Any]:
    """Bars and requests of so many whole windows of the limit, by the emulator's clock, on the free plan."""
    lake = fresh_lake()
    market = FileClock(Path(clock))
    seconds, speed = lambda: market.now().timestamp(), market.speed
    throttle = Throttle(clock=seconds, wall_clock=seconds, sleep=lambda wait: time.sleep(wait / speed))
    source = AlpacaSource.from_settings(settings_for(lake, url, "PAPER_FREE"), throttle=throttle)
    expected = lake.calendar.in_range(dt.date.fromisoformat(start), dt.date.fromisoformat(end))
    begun, pages = seconds(), []
    for symbol in symbols:
        fill_sessions(
            lake, source, symbol, expected, feed=SYNTHETIC_FEED, on_page=lambda: pages.append(seconds() - begun)
        )
    inside = [instant for instant in pages if instant <= 60.0 * windows]
    bars = sum(lake.manifest.held(feed=SYNTHETIC_FEED)["rows"])
    lake.close()
    return {"pages": len(pages), "pages_in_time": len(inside), "bars": bars, "last": pages[-1], "speed": speed}


def minute(symbols: int, minutes: int) -> Callable[[], object]:
    """One live minute of many symbols into a lake that holds the session so far, until SQL shows it."""
    opening = dt.datetime(2024, 9, 10, 13, 30, tzinfo=dt.UTC)
    clock = FOLDER / "minute.json"
    FileClock.set(clock, opening + dt.timedelta(minutes=minutes + 1), speed=1.0)
    os.environ["BARLAKE_CLOCK"] = str(clock)  # the session is the present one, as for all that is live
    lake = fresh_lake()
    values = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 100, "trade_count": 5, "vwap": 10.2}

    def bars(first: int, beyond: int) -> pl.DataFrame:
        stamps = [opening + dt.timedelta(minutes=number) for number in range(first, beyond)]
        names = [f"L{number:03d}" for number in range(symbols)]
        every = pl.DataFrame({"symbol": names}).join(pl.DataFrame({"timestamp": stamps}), how="cross")
        return every.with_columns(pl.lit(value).alias(name) for name, value in values.items())

    lake.writer.write_many(bars(0, minutes), feed=SYNTHETIC_FEED, source="bench")
    lake.publish()
    newest = bars(minutes, minutes + 1)
    asked = f"SELECT count(*) FROM bars WHERE timestamp = TIMESTAMPTZ '{newest['timestamp'][0].isoformat()}'"

    def work() -> Callable[[], pl.DataFrame]:
        lake.writer.write_many(newest, feed=SYNTHETIC_FEED, source="bench")
        lake.publish_session(SYNTHETIC_FEED, opening.date())
        seen = lake.sql(asked).item()
        assert seen == symbols, f"SQL shows {seen} of {symbols} bars"  # noqa: S101 - the work is done
        return lambda: newest

    return work


def models(url: str, symbol: str, start: str, end: str) -> Callable[[], object]:
    """The client library's own way: models, then their data frame."""
    # Imported here, so that no other task holds pandas, which it brings.
    from alpaca.data.historical import StockHistoricalDataClient  # noqa: PLC0415
    from alpaca.data.requests import StockBarsRequest  # noqa: PLC0415
    from alpaca.data.timeframe import TimeFrame  # noqa: PLC0415

    client = StockHistoricalDataClient("PAPER_PLUS", SECRET, url_override=url)
    request = StockBarsRequest(
        symbol_or_symbols=symbol,
        timeframe=TimeFrame.Minute,
        start=dt.datetime.fromisoformat(start),
        end=dt.datetime.fromisoformat(end),
    )

    def work() -> Callable[[], pl.DataFrame]:
        frame: Any = client.get_stock_bars(request)
        table = frame.df
        return lambda: pl.from_pandas(table.reset_index()).with_columns(pl.col("volume", "trade_count").cast(pl.Int64))

    return work


def pages_of(url: str, symbol: str, start: str, end: str) -> Any:
    """The bodies of all pages, as bytes."""
    session = requests.Session()
    session.headers.update({"APCA-API-KEY-ID": "PAPER_PLUS", "APCA-API-SECRET-KEY": SECRET})
    asked = {"symbols": symbol, "timeframe": "1Min", "start": start, "end": end, "limit": "10000", "asof": "-"}
    token: str | None = None
    while True:
        found = session.get(
            f"{url}/v2/stocks/bars", params=asked | ({"page_token": token} if token else {}), timeout=60
        )
        found.raise_for_status()
        token = yield found.content
        if token is None:
            return


def arrow(url: str, symbol: str, start: str, end: str) -> Callable[[], object]:
    """JSON to Python objects, their columns to Arrow, page by page; nothing is checked or kept."""

    def work() -> Callable[[], pl.DataFrame]:
        tables, pages = [], pages_of(url, symbol, start, end)
        content = next(pages)
        while True:
            page = json.loads(content)
            rows = page["bars"].get(symbol, [])
            columns = {key: [row[key] for row in rows] for key in NAMES}
            tables.append(
                pa.table({NAMES[key]: pa.array(values, type=_types()[key]) for key, values in columns.items()})
            )
            try:
                content = pages.send(page["next_page_token"])
            except StopIteration:
                return lambda: _named(pa.concat_tables(tables))

    return work


def arrow_bytes(url: str, symbol: str, start: str, end: str) -> Callable[[], object]:
    """Bytes to Arrow by its own JSON reader, page by page; nothing is checked or kept."""
    bar = pa.struct(list(_types().items()))
    schema = pa.schema([("bars", pa.struct([(symbol, pa.list_(bar))])), ("next_page_token", pa.string())])

    def work() -> Callable[[], pl.DataFrame]:
        tables, pages = [], pages_of(url, symbol, start, end)
        content = next(pages)
        while True:
            page = pj.read_json(
                pa.BufferReader(content),
                read_options=pj.ReadOptions(block_size=len(content) + 1),
                parse_options=pj.ParseOptions(explicit_schema=schema),
            )
            rows = page["bars"].chunk(0).field(0).flatten()
            tables.append(pa.table({NAMES[key]: rows.field(key) for key in NAMES}))
            try:
                content = pages.send(page["next_page_token"][0].as_py())
            except StopIteration:
                return lambda: _named(pa.concat_tables(tables))

    return work


def _types() -> dict[str, pa.DataType]:
    return {key: pa.string() if key == "t" else pa.int64() if key in COUNTS else pa.float64() for key in NAMES}


def _named(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - narrows polars' union type
    return frame.with_columns(
        pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    )


if __name__ == "__main__":
    answer_requests(
        {
            "ours.store": store,
            "ours.whole": whole,
            "ours.paced": paced,
            "ours.minute": minute,
            "theirs.models": models,
            "theirs.arrow": arrow,
            "theirs.arrow_bytes": arrow_bytes,
        }
    )
