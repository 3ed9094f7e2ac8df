"""Feature tables: which there are, what a version is, and the rows of one symbol."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.answering import answer, etag_of, forms, is_known, media_of, not_modified
from app.api.cursors import make_cursor, read_cursor
from app.api.deps import LakeDep
from app.api.parameters import Cursor, End, Feed, Limit, Start, Symbol
from app.use_cases.feature_rows import FeaturePlace, FeatureQuestion, PinnedFeatures, newest_features, pin_features
from app.use_cases.frame_pages import page_after
from barlake.errors import InvalidInputError
from barlake.feature_tables import feature_tables_of
from barlake.keys import FeatureSetKey
from barlake.ranges import parse_instant

__all__ = ["router"]

router = APIRouter(tags=["features"])

MOST_ROWS = 100_000


class FeatureTable(BaseModel):
    """One version of a set for one symbol."""

    name: str = Field(examples=["core"])
    version: str = Field(description="Hash of parameters and code.", examples=["3f2a9c01"])
    feed: str | None
    symbol: str = Field(examples=["SPY"])
    rows: int
    first: dt.datetime
    last: dt.datetime
    created_at: dt.datetime
    session: str | None = Field(description="Whose hours: regular or all.")
    adjustment: str | None
    features: int = Field(description="How many.")
    bytes: int
    code: str | None = Field(description="Hash of the code that computed it.")


class FeatureTables(BaseModel):
    """Feature tables, by set, version and symbol."""

    items: list[FeatureTable]
    next_cursor: str | None


class FeatureRow(BaseModel):
    """One row: session and timestamp, and a number for each column."""

    model_config = ConfigDict(extra="allow")

    session: dt.date
    timestamp: dt.datetime


class FeatureRows(BaseModel):
    """Rows of one table, oldest first."""

    symbol: str
    set: str
    version: str
    feed: str | None
    next_cursor: str | None = Field(description="Of the page of earlier rows; null on the last page, or without limit.")
    items: list[FeatureRow]


SetName = Annotated[str, Query(alias="set", description="Name of the feature set.", examples=["core"])]
Version = Annotated[str | None, Query(description="None takes the newest that was built.", examples=["3f2a9c01"])]


@router.get("/feature-sets", response_model=FeatureTables, responses=forms("Feature tables, by set and symbol."))
def feature_sets(
    request: Request,
    lake: LakeDep,
    name: Annotated[str | None, Query(description="Only of this set.")] = None,
    limit: Limit = 1_000,
    cursor: Cursor = None,
) -> Response:
    """Every version of every feature set that was built, and for which symbols."""
    question = {"list": "feature-sets", "name": name}
    place = None if cursor is None else read_cursor(cursor, question)
    found = feature_tables_of(lake).versions(name)
    page, following = page_after(found, ("name", "version", "symbol"), limit, place)
    next_cursor = None if following is None else make_cursor(question, following)
    return answer(request, page, name="feature-sets", next_cursor=next_cursor)


@router.get("/feature-sets/{name}/{version}")
def feature_set(
    lake: LakeDep,
    name: Annotated[str, Path(description="Of the feature set.", examples=["core"])],
    version: Annotated[str, Path(description="As `/feature-sets` has it.", examples=["3f2a9c01"])],
) -> dict[str, Any]:
    """What a version is: parameters, columns and the hash of its code."""
    return feature_tables_of(lake).definition(FeatureSetKey(name, version))


@router.get("/features/{symbol:path}", response_model=FeatureRows, responses=forms("Rows, oldest first."))
def features(
    request: Request,
    lake: LakeDep,
    symbol: Symbol,
    set_name: SetName = "core",
    version: Version = None,
    feed: Feed = None,
    start: Start = None,
    end: End = None,
    column: Annotated[list[str] | None, Query(description="Only these, each named; without one all.")] = None,
    limit: Annotated[
        int | None, Query(ge=1, le=MOST_ROWS, description="Only the newest so many; without it all, streamed.")
    ] = None,
    cursor: Cursor = None,
) -> Response:
    """Rows of a symbol's feature table with start <= timestamp < end, oldest first.

    A value is null where it cannot be known yet. With `limit` the newest so many, and `next_cursor` leads to those
    before them; a table that is built again in between is a conflict (409).
    """
    question = FeatureQuestion(symbol, set_name, version, feed, start, end, tuple(column or ()))
    if cursor is not None and limit is None:
        raise InvalidInputError("cursor is given without limit: name how many rows a page shall have.")
    pinned = pin_features(feature_tables_of(lake), question)
    asked = dataclasses.asdict(question)
    etag = etag_of(media_of(request).value, pinned.key, asked, limit, cursor, pinned.state)
    if is_known(request, etag):
        return not_modified(etag)
    name, facts = f"{pinned.symbol}-{pinned.key.name}", _facts(pinned)
    if limit is None:
        return answer(request, pinned.frames(), name=name, facts=facts, etag=etag)
    place = None if cursor is None else _place(read_cursor(cursor, asked))
    rows, following = newest_features(pinned, limit, place)
    next_cursor = None if following is None else make_cursor(asked, _spelled(following))
    return answer(request, rows, name=name, facts=facts, next_cursor=next_cursor, etag=etag)


def _facts(pinned: PinnedFeatures) -> dict[str, str | None]:
    return {"symbol": pinned.symbol, "set": pinned.key.name, "version": pinned.key.version, "feed": pinned.feed}


def _spelled(place: FeaturePlace) -> dict[str, str | None]:
    return {"before": place.before.isoformat(), "state": place.state}


def _place(content: dict[str, str | None]) -> FeaturePlace:
    before = parse_instant(content.get("before"), "cursor")
    if before is None:
        raise InvalidInputError("cursor says no place: hand back `next_cursor` as it came.")
    return FeaturePlace(before, content.get("state") or "")
