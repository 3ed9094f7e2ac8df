"""Bars of one symbol: a whole range streamed, or the newest of it page by page."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.answering import answer, etag_of, forms, is_known, media_of, not_modified
from app.api.cursors import make_cursor, read_cursor
from app.api.deps import LakeDep
from app.api.parameters import AsOf, Cursor, End, Feed, Start, Symbol
from app.use_cases.bars import BarQuestion, PagePlace, bars_of, newest_page, whole_range
from barlake.errors import InvalidInputError
from barlake.keys import Adjustment, SessionFilter, Timeframe
from barlake.lake import Lake
from barlake.pinned_bars import PinnedBars
from barlake.ranges import parse_instant

__all__ = ["router"]

router = APIRouter(tags=["bars"])

MOST_BARS = 100_000
"""Of one page; all of a range is streamed when no limit is named."""


class Bar(BaseModel):
    """One bar."""

    feed: str = Field(examples=["sip"])
    symbol: str = Field(examples=["SPY"])
    session: dt.date = Field(description="The session's date in New York.")
    timestamp: dt.datetime = Field(
        description="The bar's opening instant, UTC.", examples=["2024-01-02T14:30:00+00:00"]
    )
    open: float = Field(description="Dollars, as all prices.", examples=[472.16])
    high: float = Field(examples=[472.67])
    low: float = Field(examples=[471.99])
    close: float = Field(examples=[472.43])
    volume: float = Field(description="Shares; coins where the market never closes.", examples=[1203415])
    trade_count: int | None = Field(default=None, examples=[9120])
    vwap: float | None = Field(default=None, description="Average price, weighted by volume.", examples=[472.31])
    ingested_at: dt.datetime | None = Field(default=None, description="Of minute bars: since when the lake holds it.")
    minutes: int | None = Field(default=None, description="Of longer bars: how many minute bars it is made of.")
    derived: bool | None = Field(default=None, description="Of longer bars: true.")


class Bars(BaseModel):
    """Bars, oldest first, and what they are."""

    symbol: str = Field(examples=["SPY"])
    feed: str = Field(description="Whose bars; `synthetic` ones are made up.", examples=["sip"])
    timeframe: Timeframe
    session: SessionFilter
    adjustment: Adjustment
    as_of: dt.datetime | None = Field(description="Asking `as_of` this instant gives the same bars for ever.")
    next_cursor: str | None = Field(description="Of the page of earlier bars; null on the last page, or without limit.")
    items: list[Bar]


async def _question(
    symbol: Symbol,
    start: Start = None,
    end: End = None,
    timeframe: Annotated[Timeframe, Query(description="Longer ones are made from minute bars.")] = Timeframe.MINUTE,
    session: Annotated[SessionFilter, Query(description="Part of the session.")] = SessionFilter.ALL,
    adjustment: Annotated[Adjustment, Query(description="For splits, dividends, or both.")] = Adjustment.RAW,
    feed: Feed = None,
    as_of: AsOf = None,
) -> BarQuestion:
    return BarQuestion(symbol, start, end, timeframe, session, adjustment, feed, as_of)


@router.get("/bars/{symbol:path}", response_model=Bars, responses=forms("Bars, oldest first."))
def bars(
    request: Request,
    lake: LakeDep,
    question: Annotated[BarQuestion, Depends(_question)],
    limit: Annotated[
        int | None, Query(ge=1, le=MOST_BARS, description="Only the newest so many; without it all, streamed.")
    ] = None,
    cursor: Cursor = None,
) -> Response:
    """Bars of one symbol with start <= timestamp < end, oldest first.

    With `limit` the newest so many, and `next_cursor` leads to those before them. All pages of one question are of
    the state of the lake that the first one was of.
    """
    if limit is not None:
        return _page(request, lake, question, limit, cursor)
    if cursor is not None:
        raise InvalidInputError("cursor is given without limit: name how many bars a page shall have.")
    pinned = whole_range(lake, question)
    etag = _etag(request, pinned)
    if is_known(request, etag):
        return not_modified(etag)
    rows = bars_of(pinned, as_text=media_of(request).is_text)
    return answer(request, rows, name=_name(pinned), facts=_facts(pinned), etag=etag)


def _page(request: Request, lake: Lake, question: BarQuestion, limit: int, cursor: str | None) -> Response:
    asked = dataclasses.asdict(question)
    place = None if cursor is None else _place(read_cursor(cursor, asked))
    page = newest_page(
        lake, question, limit, place=place, is_known=lambda pinned: is_known(request, _etag(request, pinned))
    )
    etag = _etag(request, page.pinned)
    if page.rows is None:
        return not_modified(etag)
    following = None if page.following is None else make_cursor(asked, _spelled(page.following))
    facts = _facts(page.pinned)
    return answer(request, page.rows, name=_name(page.pinned), facts=facts, next_cursor=following, etag=etag)


def _etag(request: Request, pinned: PinnedBars) -> str:
    """Of the root hash over the sessions that are read, and of everything else the answer depends on."""
    asked = sorted(request.query_params.multi_items())
    return etag_of(media_of(request).value, pinned.query.feed, pinned.query.symbols, asked, pinned.state)


def _name(pinned: PinnedBars) -> str:
    return f"{pinned.query.symbols[0]}-{pinned.query.timeframe}"


def _facts(pinned: PinnedBars) -> dict[str, str | None]:
    query = pinned.query
    moment = query.as_of or pinned.moment
    return {
        "symbol": query.symbols[0],
        "feed": query.feed,
        "timeframe": query.timeframe.value,
        "session": query.session.value,
        "adjustment": query.adjustment.value,
        "as_of": None if moment is None else moment.isoformat(),
    }


def _spelled(place: PagePlace) -> dict[str, str | None]:
    return {"before": place.before.isoformat(), "moment": None if place.moment is None else place.moment.isoformat()}


def _place(content: dict[str, str | None]) -> PagePlace:
    before = parse_instant(content.get("before"), "cursor")
    if before is None:
        raise InvalidInputError("cursor says no place: hand back `next_cursor` as it came.")
    return PagePlace(before, parse_instant(content.get("moment"), "cursor"))
