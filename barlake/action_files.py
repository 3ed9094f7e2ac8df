"""Corporate actions out of CSV files: rows to statements, or to a reason why not. Nothing is stored here.

The simple form has the columns symbol, ex_date (2024-06-10), kind (values of `ActionKind`), ratio (`4:1`, `1:10`
or a number, new shares for one old), cash_usd, and may have close_before, source, id and details.

The form of factor files has type (`split` or `cash_dividend`), split_new_per_old, cash_per_share,
ref_close_before and note in place of those. Its ratios were divided out of rounded factors and are taken
for the ratio of small numbers they stand for; amounts whose note says they are implied are marked so.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from barlake.actions import ACTIONS, RATIO_KINDS, ActionKind, nearest_ratio
from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import parse_symbol

__all__ = ["STATEMENTS", "BadRow", "ParsedActions", "read_actions", "statement"]

STATEMENTS = {name: kind for name, kind in ACTIONS.items() if name not in {"known_at", "superseded_at"}}
"""Columns of a statement before the lake holds it."""

_NAMES = {
    "type": "kind",
    "split_new_per_old": "ratio",
    "cash_per_share": "cash_usd",
    "ref_close_before": "close_before",
    "note": "details",
}
"""Column of a factor file -> column of the simple form."""

_NEEDED = ("symbol", "ex_date", "kind")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PAIR = re.compile(r"(\d+(?:\.\d+)?)\s*:\s*(\d+(?:\.\d+)?)")
_LONGEST_SOURCE = 160


@dataclass(frozen=True)
class BadRow:
    """A row that states no action: its line in the file, from 1 for the header, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class ParsedActions:
    """What a file or an answer states; columns of `statements` as in `STATEMENTS`."""

    statements: pl.DataFrame
    bad: list[BadRow] = field(default_factory=list)


def read_actions(path: Path, *, source: str | None = None) -> ParsedActions:
    """Statements of a CSV file.

    Parameters
    ----------
    source
        Who says so, for rows that do not tell; None takes the file's name.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidInputError
        If it is no CSV file in UTF-8 with one of the two headers.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} is no file: name a CSV file of corporate actions.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = [name.strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            _check_header(header, path)
            implied = "split_new_per_old" in header
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{path} is no CSV file in UTF-8: {error}.") from error
    statements: dict[tuple[str, str], dict[str, Any]] = {}
    bad = []
    for line, row in rows:
        try:
            found = _statement(row, source or path.name, from_factors=implied)
            _refuse_second(statements.get((found["source"], found["action_id"])), found)
        except InvalidInputError as error:
            bad.append(BadRow(line, str(error)))
        else:
            statements[found["source"], found["action_id"]] = found
    return ParsedActions(pl.DataFrame(list(statements.values()), schema=STATEMENTS), bad)


def statement(
    *,
    source: str,
    symbol: str,
    ex_date: dt.date,
    kind: ActionKind,
    ratio: float | None = None,
    cash_usd: float | None = None,
    close_before: float | None = None,
    implied: bool = False,
    action_id: str | None = None,
    details: str = "",
) -> dict[str, Any]:
    """One checked statement, as a row of `STATEMENTS`.

    Raises
    ------
    InvalidInputError
        If a split has no ratio above 0 other than 1, or a dividend no cash above 0 and below the close before.
    """
    symbol = parse_symbol(symbol)
    if not source or len(source) > _LONGEST_SOURCE:
        raise InvalidInputError(f"source {source!r} must have 1 to {_LONGEST_SOURCE} letters.")
    if kind in RATIO_KINDS and (ratio is None or ratio == 1):
        raise InvalidInputError(f"ratio {ratio} makes no {kind}: give new shares for one old, such as 4:1 or 0.25.")
    if kind is ActionKind.DIVIDEND and cash_usd is None:
        raise InvalidInputError("a dividend needs cash_usd: dollars for one share held before the ex-date.")
    for name, value in (("ratio", ratio), ("cash_usd", cash_usd), ("close_before", close_before)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InvalidInputError(f"{name} {value} must be a number above 0.")
    if cash_usd is not None and close_before is not None and cash_usd >= close_before:
        raise InvalidInputError(f"cash_usd {cash_usd} is not below close_before {close_before}: check both.")
    return {
        "source": source,
        "action_id": action_id or f"{symbol}/{ex_date}/{kind}",
        "symbol": symbol,
        "ex_date": ex_date,
        "kind": kind.value,
        "ratio": ratio,
        "cash_usd": cash_usd,
        "close_before": close_before,
        "implied": implied,
        "details": details,
    }


def _check_header(header: list[str], path: Path) -> None:
    have = {_NAMES.get(name, name) for name in header}
    missing = [name for name in (*_NEEDED, "ratio", "cash_usd") if name not in have]
    if missing:
        raise InvalidInputError(
            f"{path} has no column {', '.join(missing)}: its first line must name symbol, ex_date, kind, ratio and "
            "cash_usd, and may name close_before, source, id and details."
        )


def _statement(row: Mapping[str, str | None], source: str, *, from_factors: bool) -> dict[str, Any]:
    if None in row:
        raise InvalidInputError("the row has more cells than the header.")
    cells = {_NAMES.get(name, name): (text or "").strip() for name, text in row.items()}
    for name in _NEEDED:
        if not cells[name]:
            raise InvalidInputError(f"{name} is empty.")
    kind = ActionKind.parse(cells["kind"])
    ratio = _ratio(cells["ratio"])
    if ratio is not None and from_factors:
        ratio = nearest_ratio(ratio)
    details = cells.get("details", "")
    return statement(
        source=cells.get("source") or source,
        symbol=cells["symbol"],
        ex_date=_date(cells["ex_date"]),
        kind=kind,
        ratio=ratio,
        cash_usd=_number("cash_usd", cells["cash_usd"]),
        close_before=_number("close_before", cells.get("close_before", "")),
        implied=from_factors and (ratio is not None or "implied" in details),
        action_id=cells.get("id") or None,
        details=details,
    )


def _refuse_second(first: dict[str, Any] | None, second: dict[str, Any]) -> None:
    if first is not None and first != second:
        raise InvalidInputError(
            f"{second['source']} states {second['action_id']} twice with different values: if both are true, "
            "such as a regular and a special dividend, give each an id."
        )


def _date(text: str) -> dt.date:
    try:
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"ex_date {text!r} is not on the calendar.") from error
    raise InvalidInputError(f"ex_date {text!r} is not a date: write it as 2024-06-10.")


def _ratio(text: str) -> float | None:
    pair = _PAIR.fullmatch(text)
    if pair is None:
        return _number("ratio", text)
    new, old = float(pair[1]), float(pair[2])
    if not new or not old:
        raise InvalidInputError(f"ratio {text!r} must have two numbers above 0.")
    return new / old


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise InvalidInputError(f"{name} {text!r} is not a number.") from None
