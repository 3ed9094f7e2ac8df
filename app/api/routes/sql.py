"""SQL over HTTP: what may be asked, and one query in the sandbox."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response, status
from pydantic import BaseModel, Field

from app.api.answering import answer, forms
from app.api.deps import LakeDep
from app.sandbox.errors import SqlBusyError
from app.sandbox.limits import LONGEST_S, MOST_BYTES, MOST_ROWS, Limits
from app.sandbox.offer import schema_of
from app.use_cases.sql import ask_sql

__all__ = ["router"]

router = APIRouter(tags=["sql"])

_RETRY_AFTER_S = 5
_DEFAULT = Limits()


class Column(BaseModel):
    """A column of a view."""

    name: str = Field(examples=["close"])
    type: str = Field(description="DuckDB's name of it.", examples=["DOUBLE"])


class View(BaseModel):
    """Something that a query may name behind FROM."""

    name: str = Field(examples=["bars"])
    kind: Literal["view", "table", "macro"] = Field(description="A macro is called with its parameters.")
    note: str = Field(description="What it shows.")
    columns: list[Column] = Field(description="Empty for a macro, whose columns are those of what it stands on.")
    parameters: list[str]


class Schema(BaseModel):
    """Everything that a query may use."""

    views: list[View]


class Query(BaseModel):
    """One SELECT, and how much of it is wanted."""

    sql: str = Field(
        min_length=1,
        max_length=100_000,
        description="One SELECT in DuckDB's dialect, over what /schema lists.",
        examples=["SELECT symbol, session, close FROM bars_1d ORDER BY session DESC, symbol LIMIT 10"],
    )
    timeout_s: float = Field(default=_DEFAULT.timeout_s, ge=0.1, le=LONGEST_S, description="Seconds it may take.")
    max_rows: int = Field(default=_DEFAULT.max_rows, ge=1, le=MOST_ROWS, description="Rows it may give.")
    max_bytes: int = Field(
        default=_DEFAULT.max_bytes, ge=1024, le=MOST_BYTES, description="Bytes of them, counted as Arrow."
    )


class Rows(BaseModel):
    """Rows of a query, and how they were made."""

    truncated: bool = Field(description="Whether there were more rows than might be given.")
    seconds: float
    mode: Literal["landlock", "weaker"] = Field(
        description="What kept the query from files: the kernel, or DuckDB alone where the kernel cannot."
    )
    feeds: list[str] = Field(description="Feeds the lake holds; bars of `synthetic` are made up.")
    items: list[dict[str, Any]]
    next_cursor: None = None


@router.get("/schema")
def schema(lake: LakeDep) -> Schema:
    """List every view, table and macro that `POST /sql` offers, with columns, types and what it shows."""
    return Schema(
        views=[
            View(
                name=one.name,
                kind=one.kind,
                note=one.note,
                columns=[Column(name=name, type=kind) for name, kind in one.columns],
                parameters=list(one.parameters),
            )
            for one in schema_of(lake)
        ]
    )


@router.post("/sql", response_model=Rows, responses=forms("The rows, in the order of the query."))
def sql(request: Request, lake: LakeDep, query: Query) -> Response:
    """Answer one SELECT, in a process that reaches nothing but the views of `/schema`."""
    limits = Limits(timeout_s=query.timeout_s, max_rows=query.max_rows, max_bytes=query.max_bytes)
    try:
        found = ask_sql(lake, query.sql, limits)
    except SqlBusyError as error:
        headers = {"Retry-After": str(_RETRY_AFTER_S)}
        raise HTTPException(status.HTTP_429_TOO_MANY_REQUESTS, detail=str(error), headers=headers) from error
    facts = {
        "truncated": found.truncated,
        "seconds": round(found.seconds, 3),
        "mode": found.mode,
        "feeds": sorted(lake.manifest.feeds()),
    }
    response = answer(request, found.rows, name="query", facts=facts)
    response.headers["X-Barlake-Truncated"] = str(found.truncated).lower()
    return response
