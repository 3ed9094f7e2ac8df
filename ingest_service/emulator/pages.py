"""One page of bars: which rows it holds, what comes after it, and its JSON."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ingest_service.emulator.query import BarsQuery, PageToken
from ingest_service.emulator.source import MINUTE_US, BarSource

__all__ = ["Page", "collect_page", "json_rows", "render_page", "rows_before", "running_minute"]


@dataclass(frozen=True)
class Page:
    """Rows by symbol, in the order in which they are sent; no symbol has an empty frame."""

    rows: dict[str, pl.DataFrame]
    next_token: PageToken | None

    @property
    def height(self) -> int:
        """Rows of all symbols."""
        return sum(frame.height for frame in self.rows.values())


def collect_page(source: BarSource, query: BarsQuery, *, short: bool = False, trailing_token: bool = False) -> Page:
    """The first `limit` rows after the token: all of one symbol, then all of the next.

    The token of a next page is given only if a row follows, so the last page has none.

    Parameters
    ----------
    short
        Stop at three quarters of the limit.
    trailing_token
        Give a token on a last page that is full, too.
    """
    rows: dict[str, pl.DataFrame] = {}
    wanted = query.limit - query.limit // 4 if short else query.limit
    last: PageToken | None = None
    for symbol in query.symbols:
        if query.token is not None and symbol < query.token.symbol:
            continue
        start_us, end_us = _rest_of_range(query, symbol)
        # One row more than fits tells whether something follows.
        found = source.rows(symbol, start_us, end_us, limit=wanted + 1, descending=query.descending)
        if found.is_empty():
            continue
        kept = found.head(wanted)
        if kept.height:
            rows[symbol] = kept
            last = PageToken(symbol, int(kept["timestamp"].to_physical()[-1]))
            wanted -= kept.height
        if found.height > kept.height:
            return Page(rows, last)
    return Page(rows, last if trailing_token and wanted == 0 else None)


def _rest_of_range(query: BarsQuery, symbol: str) -> tuple[int, int]:
    if query.token is None or symbol != query.token.symbol:
        return query.start_us, query.end_us
    if query.descending:
        return query.start_us, min(query.end_us, query.token.timestamp_us - 1)
    return max(query.start_us, query.token.timestamp_us + 1), query.end_us


def rows_before(source: BarSource, query: BarsQuery, count: int) -> dict[str, pl.DataFrame]:
    """The last rows of the page before, of the symbol of the token; none without a token."""
    if query.token is None:
        return {}
    symbol, stamp = query.token.symbol, query.token.timestamp_us
    # Backwards from the border, seen in the order of the pages.
    span = (stamp, query.end_us) if query.descending else (query.start_us, stamp)
    found = source.rows(symbol, *span, limit=min(count, query.limit), descending=not query.descending)
    return {symbol: found.reverse()}


def running_minute(source: BarSource, query: BarsQuery, now: dt.datetime) -> dict[str, pl.DataFrame]:
    """What has happened so far of the bar of the present minute, of each symbol that has one."""
    now_us = int(now.timestamp() * 1e6)
    stamp = now_us - now_us % MINUTE_US
    found = {symbol: source.rows(symbol, stamp, stamp, limit=1) for symbol in query.symbols}
    share = (now_us - stamp) / MINUTE_US
    so_far = (pl.col("volume") * share).ceil().cast(pl.Int64)
    return {
        symbol: rows.with_columns(so_far.alias("volume"), close="open") for symbol, rows in found.items() if rows.height
    }


def json_rows(rows: Mapping[str, pl.DataFrame]) -> dict[str, list[dict[str, Any]]]:
    """Rows in Alpaca's words, as Python has them."""
    return {symbol: json.loads(_render_rows(found)) for symbol, found in rows.items()}


def render_page(page: Page, *, single: str | None = None, currency: str | None = None) -> bytes:
    """JSON of a page as Alpaca spells it: `bars` by symbol, or one list (null if empty) if `single` is set.

    Floats are written so that they read back as the same float.
    """
    token = None if page.next_token is None else page.next_token.encode()
    tail = json.dumps({"next_page_token": token, **({"currency": currency} if currency else {})})[1:]
    if single is not None:
        rows = page.rows.get(single)
        bars = "null" if rows is None else _render_rows(rows)
        return f'{{"bars":{bars},"symbol":{json.dumps(single)},{tail}'.encode()
    body = ",".join(f"{json.dumps(symbol)}:{_render_rows(rows)}" for symbol, rows in page.rows.items())
    return f'{{"bars":{{{body}}},{tail}'.encode()


def _render_rows(rows: pl.DataFrame) -> str:
    return rows.select(
        t=pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        o="open",
        h="high",
        l="low",
        c="close",
        v="volume",
        n="trade_count",
        vw="vwap",
    ).write_json()
