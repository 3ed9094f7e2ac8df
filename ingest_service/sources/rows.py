"""Rows of a source as a table with the lake's names and types; a row that cannot be read is told apart. Pure."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from ingest_service.sources.interface import RefusedRow

__all__ = ["Field", "read_rows"]

Kind = Literal["instant", "instant_ms", "date", "number", "count", "text", "texts"]


@dataclass(frozen=True)
class Field:
    """Where a value stands in a row, and what it is.

    Parameters
    ----------
    key
        Name in an object, or place in a list.
    kind
        `instant` is RFC 3339 text with an offset, `instant_ms` milliseconds since 1970; a `number` may be text.
    optional
        Whether it may be absent.
    """

    key: str | int
    kind: Kind
    optional: bool = False


def read_rows(rows: Iterable[Any], fields: Mapping[str, Field]) -> tuple[pl.DataFrame, Sequence[RefusedRow]]:
    """Table of the rows that can be read, in their order, and the others with the reason.

    Examples
    --------
    >>> fields = {"timestamp": Field("t", "instant_ms"), "close": Field("c", "number")}
    >>> frame, refused = read_rows([{"t": 0, "c": "1.5"}, {"t": 60_000, "c": None}], fields)
    >>> frame.row(0)[1], refused[0].reason
    (1.5, 'c is missing')
    """
    good: list[list[Any]] = []
    refused: list[RefusedRow] = []
    for row in rows:
        try:
            good.append([_value(row, one) for one in fields.values()])
        except ValueError as error:
            refused.append(RefusedRow(row, str(error)))
    schema = {name: _TYPES[one.kind] for name, one in fields.items()}
    return pl.DataFrame(good, schema=schema, orient="row"), refused


def _value(row: Any, field: Field) -> Any:
    try:
        given = row[field.key]
    except (KeyError, IndexError, TypeError):
        given = None
    if given is None or given == "":
        if field.optional:
            return None
        raise ValueError(f"{field.key} is missing")
    try:
        return _READERS[field.kind](given)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{field.key} is no {field.kind}: {str(given)[:40]!r}") from error


def _instant(given: Any) -> dt.datetime:
    moment = dt.datetime.fromisoformat(given)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment.astimezone(dt.UTC)


def _instant_ms(given: Any) -> dt.datetime:
    return dt.datetime.fromtimestamp(_count(given) / 1000, dt.UTC)


def _number(given: Any) -> float:
    if isinstance(given, bool):
        raise TypeError("a truth value")
    return float(given)


def _count(given: Any) -> int:
    number = _number(given)
    if not math.isfinite(number) or number != math.floor(number):
        raise ValueError("not whole")
    return int(number)


def _text(given: Any) -> str:
    if not isinstance(given, str | int):
        raise TypeError("not text")
    return str(given)


def _texts(given: Any) -> list[str]:
    if not isinstance(given, list):
        raise TypeError("not a list")
    return [_text(one) for one in given]


_READERS: dict[Kind, Callable[[Any], Any]] = {
    "instant": _instant,
    "instant_ms": _instant_ms,
    "date": dt.date.fromisoformat,
    "number": _number,
    "count": _count,
    "text": _text,
    "texts": _texts,
}
_TYPES: dict[Kind, pl.DataType] = {
    "instant": pl.Datetime("us", "UTC"),
    "instant_ms": pl.Datetime("us", "UTC"),
    "date": pl.Date(),
    "number": pl.Float64(),
    "count": pl.Int64(),
    "text": pl.String(),
    "texts": pl.List(pl.String()),
}
