"""What the lake holds: symbols, how complete each is, and every session of one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.answering import answer, forms
from app.api.cursors import make_cursor, read_cursor
from app.api.deps import LakeDep
from app.api.parameters import AsOf, Cursor, End, Limit, Start, Symbol
from app.use_cases.coverage import holdings
from app.use_cases.frame_pages import page_after
from barlake.keys import parse_symbol

__all__ = ["router"]

router = APIRouter(tags=["lake"])

Feed = Annotated[str | None, Query(description="Only of this feed.", examples=["sip"])]


class Symbols(BaseModel):
    """Symbols held, by feed and name."""

    class Item(BaseModel):
        """One symbol of one feed."""

        feed: str = Field(examples=["sip"])
        symbol: str = Field(examples=["SPY"])
        sessions: int
        bars: int
        first: dt.date = Field(description="The first session held.")
        last: dt.date
        calendar: str = Field(description="`XNYS`, or `24/7` where a session is a UTC date.")

    items: list[Item]
    next_cursor: str | None


class Coverage(BaseModel):
    """How complete each symbol is."""

    class Item(Symbols.Item):
        """One symbol of one feed, beside the sessions expected since its first."""

        expected: int | None = Field(description="Sessions up to the last that the feed holds of any symbol.")
        absent: int | None = Field(description="Of those: without any bar.")
        behind: int | None = Field(description="Of those absent: after its last.")
        share: float | None = Field(description="Of regular minutes in expected sessions, 0 to 1.")

    items: list[Item]
    next_cursor: str | None


class Sessions(BaseModel):
    """Sessions held of one symbol."""

    class Item(BaseModel):
        """One session of one feed."""

        feed: str
        symbol: str
        session: dt.date
        bars: int
        regular_bars: int
        expected_bars: int | None = Field(description="Regular minutes of the session; null on a date that is none.")
        first: dt.datetime
        last: dt.datetime
        status: str | None = Field(description="A source's last answer: complete, sparse, empty or imported.")
        content_hash: str = Field(description="Over the values of the session's bars.")

    symbol: str
    items: list[Item]
    next_cursor: str | None


@router.get("/symbols", response_model=Symbols, responses=forms("Symbols held, by feed and name."))
def symbols(
    request: Request, lake: LakeDep, feed: Feed = None, as_of: AsOf = None, limit: Limit = 1_000, cursor: Cursor = None
) -> Response:
    """Symbols held now, or at an instant: how much of each, and from when to when."""
    found = lake.symbols(feed, as_of=as_of)
    question = {"list": "symbols", "feed": feed, "as_of": as_of}
    return _paged(request, found, ("feed", "symbol"), question, limit, cursor, name="symbols")


@router.get("/coverage", response_model=Coverage, responses=forms("How complete each symbol is, by feed and name."))
def coverage(
    request: Request, lake: LakeDep, feed: Feed = None, limit: Limit = 1_000, cursor: Cursor = None
) -> Response:
    """How complete each symbol is beside the sessions of its market."""
    found = holdings(lake, feed=feed)
    return _paged(
        request, found, ("feed", "symbol"), {"list": "coverage", "feed": feed}, limit, cursor, name="coverage"
    )


@router.get(
    "/coverage/{symbol:path}", response_model=Sessions, responses=forms("Sessions held of a symbol, by feed and date.")
)
def sessions(
    request: Request,
    lake: LakeDep,
    symbol: Symbol,
    start: Start = None,
    end: End = None,
    feed: Feed = None,
    as_of: AsOf = None,
    limit: Limit = 1_000,
    cursor: Cursor = None,
) -> Response:
    """Sessions held of one symbol, now or at an instant: bars beside regular minutes, and what the source said."""
    symbol = parse_symbol(symbol)
    found = lake.coverage(symbol, start, end, feed=feed, as_of=as_of)
    question = {"symbol": symbol, "start": start, "end": end, "feed": feed, "as_of": as_of}
    return _paged(
        request, found, ("feed", "session"), question, limit, cursor, name=f"{symbol}-coverage", symbol=symbol
    )


def _paged(
    request: Request,
    rows: pl.DataFrame,
    keys: Sequence[str],
    question: Mapping[str, Any],
    limit: int,
    cursor: str | None,
    *,
    name: str,
    **facts: str,
) -> Response:
    place = None if cursor is None else read_cursor(cursor, question)
    page, following = page_after(rows, keys, limit, place)
    next_cursor = None if following is None else make_cursor(question, following)
    return answer(request, page, name=name, facts=facts, next_cursor=next_cursor)
