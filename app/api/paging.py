"""Pages of lists that are held in memory: of what was made over time, and of tables that never change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import polars as pl

from app.api.cursors import make_cursor, read_cursor
from barlake.errors import InvalidInputError

__all__ = ["newest_page", "number_of", "row_page"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_MOST_DIGITS = 17
"""Of a number that is an instant still, in microseconds after 1970: they end in the year 5138."""


def row_page(
    rows: pl.DataFrame, question: Mapping[str, Any], *, limit: int, cursor: str | None
) -> tuple[pl.DataFrame, str | None]:
    """A page of a table that never changes, and the cursor of the next one; errors as `read_cursor`."""
    first = 0 if cursor is None else number_of(read_cursor(cursor, question), "row")
    behind = first + limit
    return rows.slice(first, limit), make_cursor(question, {"row": str(behind)}) if behind < rows.height else None


def newest_page(
    rows: pl.DataFrame, question: Mapping[str, Any], *, name: str, limit: int, cursor: str | None
) -> tuple[pl.DataFrame, str | None]:
    """A page of what was made over time, the newest first, and the cursor of the next one; errors as `read_cursor`.

    What is made or deleted between two pages moves nothing.

    Parameters
    ----------
    rows
        With `created_at`, UTC.
    name
        The column that tells two of one instant apart.
    """
    ordered = rows.sort("created_at", name, descending=True)
    if cursor is not None:
        place = read_cursor(cursor, question)
        at, last = _EPOCH + number_of(place, "at") * _MICROSECOND, place.get("id") or ""
        is_behind = (pl.col("created_at") < at) | ((pl.col("created_at") == at) & (pl.col(name) < last))
        ordered = ordered.filter(is_behind)
    page = ordered.head(limit)
    if ordered.height <= limit:
        return page, None
    at = page["created_at"].dt.epoch("us")[-1]
    return page, make_cursor(question, {"at": str(at), "id": str(page[name][-1])})


def number_of(place: Mapping[str, str | None], part: str) -> int:
    """A number of a cursor's place.

    Raises
    ------
    InvalidInputError
        If it holds none there.
    """
    text = place.get(part) or ""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidInputError("cursor was changed: hand back `next_cursor` as it came, or leave it out.")
    return int(text)
