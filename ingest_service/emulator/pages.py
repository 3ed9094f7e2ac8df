"""One page of bars: which rows it holds, what comes after it, and its JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl

from ingest_service.emulator.query import BarsQuery, PageToken
from ingest_service.emulator.source import BarSource

__all__ = ["Page", "collect_page", "render_page", "repeat_border"]


@dataclass(frozen=True)
class Page:
    """Rows by symbol, in the order in which they are sent; no symbol has an empty frame."""

    rows: dict[str, pl.DataFrame]
    next_token: PageToken | None

    @property
    def height(self) -> int:
        """Rows of all symbols."""
        return sum(frame.height for frame in self.rows.values())


def collect_page(source: BarSource, query: BarsQuery) -> Page:
    """The first `limit` rows after the token: all of one symbol, then all of the next.

    The token of a next page is given only if a row follows, so the last page has none.
    """
    rows: dict[str, pl.DataFrame] = {}
    wanted = query.limit
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
    return Page(rows, None)


def _rest_of_range(query: BarsQuery, symbol: str) -> tuple[int, int]:
    if query.token is None or symbol != query.token.symbol:
        return query.start_us, query.end_us
    if query.descending:
        return query.start_us, min(query.end_us, query.token.timestamp_us - 1)
    return max(query.start_us, query.token.timestamp_us + 1), query.end_us


def repeat_border(source: BarSource, query: BarsQuery, page: Page) -> Page:
    """The same page with the last row of the page before it in front; as it was if there is none."""
    if query.token is None:
        return page
    symbol, stamp = query.token.symbol, query.token.timestamp_us
    border = source.rows(symbol, stamp, stamp, limit=1)
    if border.is_empty():
        return page
    own = page.rows.get(symbol, border.clear())
    return Page(
        {symbol: pl.concat([border, own]), **{k: v for k, v in page.rows.items() if k != symbol}},
        page.next_token,
    )


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
