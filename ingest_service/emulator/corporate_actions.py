"""Corporate actions as Alpaca answers them: groups by type, pages by limit, dates of processing.

A file is a CSV as `barlake actions import` reads it; of statements that disagree only those that count are
served, as one vendor would. A file knows ex-dates only, so an action is processed on its ex-date here.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from barlake.action_files import read_actions
from barlake.actions import ACTIONS, ActionKind, counting
from barlake.errors import InvalidInputError
from barlake.sessions import NEW_YORK
from ingest_service.emulator.query import RefusedError, is_symbol, parse_limit

__all__ = ["ActionBook", "Rename"]

_LIMIT_DEFAULT, _LIMIT_MAX = 100, 1000
_LARGEST_TERM = 10_000
_NAMESPACE = uuid.UUID("6f6c6c5c-6b8e-4a40-9d35-0d8d1f1f7a55")
_TYPES = {
    "forward_splits": "forward_split",
    "reverse_splits": "reverse_split",
    "stock_dividends": "stock_dividend",
    "cash_dividends": "cash_dividend",
    "spin_offs": "spin_off",
    "name_changes": "name_change",
}
"""Group in the answer -> its word in `types`."""


class Rename(NamedTuple):
    """The first day on which a company trades under another name."""

    day: dt.date
    old: str
    new: str


class ActionBook:
    """The actions of one file, those that are built in, and those announced while it runs.

    Parameters
    ----------
    path
        CSV file; None for no file.
    built_in
        Further records by group, as `post` takes them.

    Raises
    ------
    NotFoundError, InvalidInputError
        If the file cannot be read, or a row of it states no action.
    """

    def __init__(self, path: Path | None, built_in: Mapping[str, Sequence[Mapping[str, Any]]] | None = None) -> None:
        self._first = _from_file(path) if path is not None else []
        self._built_in = built_in or {}
        self.reset()

    def reset(self) -> None:
        """Forget what was announced."""
        self._records = list(self._first)
        self.post(self._built_in)

    def post(self, groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> int:
        """Announce actions, in groups as an answer has them; how many there were.

        A record without `id` gets one, and its process date is its ex-date unless it is given.

        Raises
        ------
        InvalidInputError
            If a group is unknown or a record lacks what its group needs.
        """
        announced = [(group, _completed(group, record)) for group, records in groups.items() for record in records]
        names = {record["id"] for _, record in announced}
        kept = [one for one in self._records if one[1]["id"] not in names]
        self._records = sorted([*kept, *announced], key=lambda one: _place(one[1]))
        return len(announced)

    def of(self, symbol: str) -> list[tuple[str, dict[str, Any]]]:
        """Groups and records of one symbol that have an ex-date."""
        return [(group, one) for group, one in self._records if one.get("symbol") == symbol and "ex_date" in one]

    def renames(self) -> list[Rename]:
        """Changes of names, oldest first."""
        return [
            Rename(dt.date.fromisoformat(one["process_date"]), one["old_symbol"], one["new_symbol"])
            for group, one in self._records
            if group == "name_changes"
        ]

    def answer(self, parameters: Mapping[str, str], *, now: dt.datetime) -> dict[str, Any]:
        """Body of an answer; as Alpaca's, today's actions unless dates are given.

        Raises
        ------
        RefusedError
            With the status and body to answer.
        """
        today = now.astimezone(NEW_YORK).date()
        start, end = (_date(parameters, name, today) for name in ("start", "end"))
        if start > end:
            raise _bad("end should not be before start")
        symbols = set(_words(parameters, "symbols"))
        for name in symbols:
            if not is_symbol(name):
                raise _bad(f"invalid symbol: {name}")
        types = _words(parameters, "types")
        wanted = [
            (group, record)
            for group, record in self._records
            if start.isoformat() <= record["process_date"] <= end.isoformat()
            and (not symbols or not symbols.isdisjoint(_symbols_of(record)))
            and (not types or _TYPES[group] in types)
        ]
        if parameters.get("sort") == "desc":
            wanted.reverse()
        return _page(wanted, parameters)


def _from_file(path: Path) -> list[tuple[str, dict[str, Any]]]:
    parsed = read_actions(path)
    if parsed.bad:
        raise InvalidInputError(f"{path} line {parsed.bad[0].line}: {parsed.bad[0].reason} Mend the row.")
    known = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    stamps = {"known_at": known, "superseded_at": None}
    statements = parsed.statements.with_columns(
        pl.lit(value, dtype=pl.Datetime("us", "UTC")).alias(name) for name, value in stamps.items()
    )
    records = [_record(row) for row in counting(statements.select(*ACTIONS)).iter_rows(named=True)]
    return [one for one in records if one is not None]


def _page(wanted: list[tuple[str, dict[str, Any]]], parameters: Mapping[str, str]) -> dict[str, Any]:
    limit = parse_limit(parameters, _LIMIT_DEFAULT, _LIMIT_MAX)
    names = [record["id"] for _, record in wanted]
    begin = 0
    if "page_token" in parameters:
        last = _last_id(parameters["page_token"])
        if last not in names:
            raise _bad("invalid page_token")
        begin = names.index(last) + 1
    kept = wanted[begin : begin + limit]
    groups: dict[str, list[dict[str, Any]]] = {}
    for group, record in kept:
        groups.setdefault(group, []).append(record)
    token = None
    if begin + limit < len(wanted):
        last_record = kept[-1][1]
        text = f"{_symbols_of(last_record)[-1]}|{last_record['process_date']}|{last_record['id']}"
        token = base64.b64encode(text.encode()).decode()
    return {"corporate_actions": groups, "next_page_token": token}


def _record(row: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Group and record of a statement; None for kinds that a file has no figures for."""
    date = row["ex_date"].isoformat()
    name = str(uuid.uuid5(_NAMESPACE, f"{row['source']}|{row['action_id']}"))
    common = {"id": name, "symbol": row["symbol"], "ex_date": date, "process_date": date}
    match ActionKind(row["kind"]):
        case ActionKind.SPLIT:
            ratio = Fraction(row["ratio"]).limit_denominator(_LARGEST_TERM)
            rates = {"new_rate": ratio.numerator, "old_rate": ratio.denominator}
            return ("forward_splits" if ratio > 1 else "reverse_splits", common | rates)
        case ActionKind.STOCK_DIVIDEND:
            return "stock_dividends", common | {"rate": round(row["ratio"] - 1, 9)}
        case ActionKind.DIVIDEND:
            return "cash_dividends", common | {"rate": row["cash_usd"], "special": False, "foreign": False}
    return None


_NEEDED = {
    "forward_splits": ("symbol", "new_rate", "old_rate", "ex_date"),
    "reverse_splits": ("symbol", "new_rate", "old_rate", "ex_date"),
    "stock_dividends": ("symbol", "rate", "ex_date"),
    "cash_dividends": ("symbol", "rate", "ex_date"),
    "spin_offs": ("source_symbol", "source_rate", "new_symbol", "new_rate", "ex_date"),
    "name_changes": ("old_symbol", "new_symbol", "process_date"),
}


def _completed(group: str, record: Mapping[str, Any]) -> dict[str, Any]:
    if group not in _NEEDED:
        raise InvalidInputError(f"group {group!r} is not known: use one of {', '.join(_NEEDED)}.")
    missing = [name for name in _NEEDED[group] if name not in record]
    if missing:
        raise InvalidInputError(f"a record of {group} lacks {', '.join(missing)}: {dict(record)}.")
    day = record.get("process_date") or record["ex_date"]
    identity = "|".join(str(record[name]) for name in _NEEDED[group])
    return {"id": str(uuid.uuid5(_NAMESPACE, f"{group}|{identity}")), **record, "process_date": day}


def _symbols_of(record: Mapping[str, Any]) -> list[str]:
    return [record[name] for name in ("symbol", "source_symbol", "old_symbol", "new_symbol") if name in record]


def _place(record: Mapping[str, Any]) -> tuple[str, str, str]:
    return record["process_date"], _symbols_of(record)[-1], record["id"]


def _bad(message: str) -> RefusedError:
    return RefusedError(400, {"message": message})


def _words(parameters: Mapping[str, str], name: str) -> list[str]:
    return [word for word in parameters.get(name, "").split(",") if word]


def _date(parameters: Mapping[str, str], name: str, default: dt.date) -> dt.date:
    text = parameters.get(name)
    if text is None:
        return default
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise _bad(f"invalid {name}: {text}") from error


def _last_id(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode().split("|")[-1]
    except (binascii.Error, ValueError) as error:
        raise _bad("invalid page_token") from error
