"""What the checks have found in the bars."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.answering import answer, forms
from app.api.deps import LakeDep
from app.api.parameters import Cursor, End, Limit, Start
from app.use_cases.findings import findings_by_check, findings_on_record, findings_page

__all__ = ["Finding", "FindingCount", "FindingCounts", "Findings", "router"]

router = APIRouter(prefix="/quality", tags=["bars"])


class Finding(BaseModel):
    """One fault, or something to know."""

    feed: str = Field(examples=["sip"])
    symbol: str = Field(examples=["SPY"])
    session: dt.date | None = Field(description="Null where a refused row's date could not be read.")
    timestamp: dt.datetime | None = Field(description="Null where a whole session is meant.")
    check_name: str = Field(examples=["spike"])
    severity: str = Field(examples=["warning"])
    value: float | None = Field(description="What was met.")
    expected: float | None = Field(description="What it was held against.")
    detail: str | None


class Findings(BaseModel):
    """A page of findings."""

    items: list[Finding]
    next_cursor: str | None


class FindingCount(BaseModel):
    """How often a check found something in one symbol of one feed."""

    feed: str
    symbol: str
    check_name: str
    severity: str
    findings: int
    sessions: int


class FindingCounts(BaseModel):
    """How often each check found something, most first."""

    items: list[FindingCount]


Symbol = Annotated[str | None, Query(description="Only of this symbol.", examples=["SPY"])]
Feed = Annotated[str | None, Query(description="Only of this feed.", examples=["sip"])]
Check = Annotated[str | None, Query(description="Only of this check.", examples=["spike"])]
Level = Annotated[str | None, Query(description="info, warning or error.", examples=["warning"])]


@router.get("", response_model=Findings, responses=forms("Findings, by feed, symbol, session and time."))
def quality(
    request: Request,
    lake: LakeDep,
    symbol: Symbol = None,
    feed: Feed = None,
    check: Check = None,
    severity: Level = None,
    start: Start = None,
    end: End = None,
    limit: Limit = 1_000,
    cursor: Cursor = None,
) -> Response:
    """What the checks found in the bars held now, as `barlake quality` left it on record."""
    found = findings_on_record(lake, symbol=symbol, feed=feed, check=check, severity=severity, start=start, end=end)
    page, next_cursor = findings_page(found, limit=limit, cursor=cursor)
    return answer(request, page, name="quality", next_cursor=next_cursor)


@router.get("/checks")
def checks(
    lake: LakeDep, symbol: Symbol = None, feed: Feed = None, start: Start = None, end: End = None
) -> FindingCounts:
    """How often each check found something, by feed and symbol."""
    counted = findings_by_check(findings_on_record(lake, symbol=symbol, feed=feed, start=start, end=end))
    return FindingCounts(items=[FindingCount(**row) for row in counted.iter_rows(named=True)])
