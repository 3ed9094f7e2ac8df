"""What agents and this service have logged."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app.api.access import AnyCaller, Role
from app.api.deps import OperationsDep
from app.api.parameters import Cursor
from app.use_cases.log_pages import LogFilter, log_page

__all__ = ["LogLine", "LogLines", "router"]

router = APIRouter(tags=["service"])


class LogLine(BaseModel):
    """One record of the log."""

    record_id: int
    logged_at: dt.datetime = Field(description="Machine time, UTC.")
    level: str = Field(examples=["WARNING"])
    agent: str | None = Field(examples=["backfill"])
    symbol: str | None = Field(examples=["SPY"])
    stage: str | None = Field(examples=["fetch"])
    job: str | None = Field(examples=["bars/sip/SPY/2024-01"])
    message: str
    fields: dict[str, Any] = Field(
        description="What has no field of its own, such as request_id; `exception`, a trace, is for operators."
    )


class LogLines(BaseModel):
    """A page of the log."""

    items: list[LogLine]
    next_cursor: str | None = Field(description="Leads to older records; null on the last page, and after `after`.")


@router.get("/logs")
def logs(
    operations: OperationsDep,
    caller: AnyCaller,
    agent: Annotated[str | None, Query(max_length=64, description="Only of this agent.")] = None,
    symbol: Annotated[str | None, Query(max_length=64, description="Only about this symbol.")] = None,
    level: Annotated[str | None, Query(description="Of this level and above.", examples=["warning"])] = None,
    job: Annotated[
        str | None, Query(max_length=512, description="Of this job, or of those below it, such as bars/sip/SPY.")
    ] = None,
    since: Annotated[
        str | None, Query(description="From here on: 15m, 2h, 1d, or an instant with its zone.", examples=["2h"])
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1_000, description="At most so many records.")] = 100,
    cursor: Cursor = None,
    after: Annotated[
        int | None, Query(ge=0, le=2**63 - 1, description="What came since the record of this number, oldest first.")
    ] = None,
) -> LogLines:
    """Records of the log, the newest first, or with `after` those that came since."""
    wanted = LogFilter(agent=agent, symbol=symbol, level=level, job=job, since=since)
    page = log_page(operations.logs, wanted, limit=limit, cursor=cursor, after=after)
    lines = [LogLine(**vars(one)) for one in page.items]
    if caller.role is not Role.OPERATOR:
        for line in lines:  # a trace tells where the service lies on its machine
            line.fields = {name: value for name, value in line.fields.items() if name != "exception"}
    return LogLines(items=lines, next_cursor=page.next_cursor)
