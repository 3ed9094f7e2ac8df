"""Alpaca's JSON rows as a table with the lake's names and types.

Only form is judged here: can the row be read at all. Whether its values make sense (high below low, a
negative price, NaN, a timestamp between minutes) is for the lake's quality rules.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

__all__ = ["Normalized", "normalize_bars"]

NAMES = {
    "t": "timestamp",
    "o": "open",
    "h": "high",
    "l": "low",
    "c": "close",
    "v": "volume",
    "n": "trade_count",
    "vw": "vwap",
}
"""Alpaca's field -> the lake's column (https://docs.alpaca.markets/reference/stockbars)."""

_PRICES = ("o", "h", "l", "c")
_OPTIONAL = ("n", "vw")
_INTEGERS = ("v", "n")
_TYPES: dict[str, pl.DataType] = {key: pl.Int64() if key in _INTEGERS else pl.Float64() for key in NAMES if key != "t"}
_TIMESTAMP = pl.Datetime("us", "UTC")
_GOOD_SCHEMA = {NAMES[key]: _TYPES.get(key, _TIMESTAMP) for key in NAMES}
_BAD_SCHEMA = {"row_number": pl.Int64(), "reason": pl.String(), "raw": pl.String()}

_PLAIN_LENGTH = len("2024-01-02T14:30:00Z")
_PLAIN_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_INT64_LIMIT = 2**63


@dataclass(frozen=True)
class Normalized:
    """The rows of one page, told apart.

    Parameters
    ----------
    good
        timestamp (us, UTC), open, high, low, close (f64), volume (i64), trade_count (i64, null when the
        source gave none), vwap (f64, the same). The page's order, duplicates kept.
    bad
        row_number (from 0, in the page), reason (one phrase), raw (the row as JSON).
    """

    good: pl.DataFrame
    bad: pl.DataFrame


class _UnreadableError(Exception):
    """A row that is not a bar; the text is the reason."""


def normalize_bars(rows: Sequence[Any] | pl.DataFrame) -> Normalized:
    """Table of a page of raw bars; a row that cannot be read goes to `bad` and never fails the page.

    A page that is a table already is taken as it is.

    Integers are taken for prices, integral floats for counts, any offset and up to nanoseconds for `t`
    (digits below the microsecond are cut). Text, booleans, a fraction of a share and anything absent other
    than `n` and `vw` are not. A table has been read already and is taken as it is.

    Examples
    --------
    >>> page = normalize_bars(
    ...     [
    ...         {"t": "2024-01-02T14:30:00Z", "o": 10, "h": 11, "l": 9.5, "c": 10.5, "v": 100.0},
    ...         {"t": "2024-01-02T14:31:00Z", "o": "ten", "h": 11, "l": 9.5, "c": 10.5, "v": 100},
    ...     ]
    ... )
    >>> page.good.select("open", "volume", "trade_count").row(0)
    (10.0, 100, None)
    >>> page.bad.select("row_number", "reason").row(0)
    (1, "o is text: 'ten'")
    """
    if isinstance(rows, pl.DataFrame):
        return Normalized(rows, pl.DataFrame(schema=_BAD_SCHEMA))
    whole = rows if isinstance(rows, pl.DataFrame) else _whole_page(rows)
    if whole is not None:
        return Normalized(whole, pl.DataFrame(schema=_BAD_SCHEMA))
    return _row_by_row(rows)


def _whole_page(rows: Sequence[Any]) -> pl.DataFrame | None:
    """Page converted column by column, or None if any row needs a closer look."""
    if not all(type(row) is dict for row in rows):
        return None
    columns = {key: [row.get(key) for row in rows] for key in NAMES}
    # A census of Python types is what keeps `true` from becoming 1.0 and text from being parsed.
    for key, values in columns.items():
        if not set(map(type, values)) <= _plain_types(key):
            return None
    instants = pl.Series("t", columns["t"], dtype=pl.String())
    if not (instants.str.len_bytes() == _PLAIN_LENGTH).all():
        return None
    timestamps = instants.str.to_datetime(_PLAIN_FORMAT, time_unit="us", strict=False)
    if timestamps.null_count():
        return None
    try:
        numbers = [pl.Series(NAMES[key], columns[key], dtype=kind) for key, kind in _TYPES.items()]
    except (TypeError, OverflowError):  # an integer beyond 64 bits
        return None
    return pl.DataFrame([timestamps.dt.replace_time_zone("UTC").alias("timestamp"), *numbers])


def _plain_types(key: str) -> set[type]:
    """Python types whose values need no closer look in that field."""
    if key == "t":
        return {str}
    plain: set[type] = {int} if key in _INTEGERS else {int, float}
    return plain | {type(None)} if key in _OPTIONAL else plain


def _row_by_row(rows: Sequence[Any]) -> Normalized:
    good: list[tuple[Any, ...]] = []
    bad: list[tuple[int, str, str]] = []
    for number, row in enumerate(rows):
        try:
            good.append(_values(row))
        except _UnreadableError as error:
            bad.append((number, str(error), json.dumps(row, default=repr)))
    return Normalized(
        pl.DataFrame(good, schema=_GOOD_SCHEMA, orient="row"),
        pl.DataFrame(bad, schema=_BAD_SCHEMA, orient="row"),
    )


def _values(row: Any) -> tuple[Any, ...]:
    if not isinstance(row, dict):
        raise _UnreadableError(f"a bar is an object, not {type(row).__name__}")
    values: list[Any] = [_instant(row.get("t"))]
    for key in _TYPES:
        value = row.get(key)
        if value is None and key in _OPTIONAL:
            values.append(None)
        elif key in _INTEGERS:
            values.append(_integer(key, value))
        else:
            values.append(_number(key, value))
    return tuple(values)


def _number(key: str, value: Any) -> float:
    if value is None:
        raise _UnreadableError(f"{key} is missing")
    if isinstance(value, str):
        raise _UnreadableError(f"{key} is text: {value[:40]!r}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _UnreadableError(f"{key} is not a number but {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        raise _UnreadableError(f"{key} is too large for a 64-bit float") from None


def _integer(key: str, value: Any) -> int:
    number = _number(key, value)
    if not math.isfinite(number) or number != math.floor(number):
        raise _UnreadableError(f"{key} is not a whole number: {value}")
    if not -_INT64_LIMIT <= int(value) < _INT64_LIMIT:
        raise _UnreadableError(f"{key} does not fit in 64 bits: {value}")
    return int(value)


def _instant(value: Any) -> dt.datetime:
    if value is None:
        raise _UnreadableError("t is missing")
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _UnreadableError(f"t is not an RFC 3339 instant with an offset: {str(value)[:40]!r}")
    date, time, fraction, offset = match.groups()
    microseconds = (fraction or "0").ljust(6, "0")[:6]
    try:
        instant = dt.datetime.fromisoformat(f"{date}T{time}.{microseconds}{offset}")
        return instant.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise _UnreadableError(f"t is not on the calendar: {value!r}") from None
