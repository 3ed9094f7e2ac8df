"""Rows of a table as a type, so that the description of the service says which columns an answer has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import polars as pl
from pydantic import BaseModel, create_model

__all__ = ["list_of", "row_model"]

_KINDS: dict[type[pl.DataType], type] = {
    pl.String: str, pl.Float64: float, pl.Int64: int, pl.Boolean: bool, pl.Date: dt.date, pl.Datetime: dt.datetime,
}  # fmt: skip


def row_model(name: str, columns: Mapping[str, pl.DataType], *, about: str) -> type[BaseModel]:
    """The type of one row as JSON holds it; every value may be null."""
    fields: dict[str, Any] = {column: (_KINDS[type(kind)] | None, None) for column, kind in columns.items()}
    return create_model(name, __doc__=about, **fields)


def list_of(row: type[BaseModel], *, about: str) -> type[BaseModel]:
    """The type of an answer that lists such rows, a page at a time."""
    fields: dict[str, Any] = {"items": (list[row], ...), "next_cursor": (str | None, None)}  # type: ignore[valid-type]
    return create_model(f"{row.__name__}List", __doc__=about, **fields)
