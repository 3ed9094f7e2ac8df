"""Corporate actions as Alpaca answers them: groups by type, pages by limit, dates of processing.

The file is a CSV as `barlake actions import` reads it; of statements that disagree only those that count are
served, as one vendor would. A file knows ex-dates only, so an action is processed on its ex-date here.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import uuid
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from barlake.action_files import read_actions
from barlake.actions import ACTIONS, ActionKind, counting
from barlake.errors import InvalidInputError
from barlake.sessions import NEW_YORK
from ingest_service.emulator.query import RefusedError, is_symbol

__all__ = ["ActionBook"]

_LIMIT_DEFAULT, _LIMIT_MAX = 100, 1000
_LARGEST_TERM = 10_000
_NAMESPACE = uuid.UUID("6f6c6c5c-6b8e-4a40-9d35-0d8d1f1f7a55")
_TYPES = {
    "forward_splits": "forward_split",
    "reverse_splits": "reverse_split",
    "stock_dividends": "stock_dividend",
    "cash_dividends": "cash_dividend",
}
"""Group in the answer -> its word in `types`."""


class ActionBook:
    """The actions of one file, ready to be asked for.

    Parameters
    ----------
    path
        CSV file; None is a book without an action.

    Raises
    ------
    NotFoundError, InvalidInputError
        If the file cannot be read, or a row of it states no action.
    """

    def __init__(self, path: Path | None) -> None:
        self._records: list[tuple[str, dict[str, Any]]] = []
        if path is None:
            return
        parsed = read_actions(path)
        if parsed.bad:
            raise InvalidInputError(f"{path} line {parsed.bad[0].line}: {parsed.bad[0].reason} Mend the row.")
        known = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        stamps = {"known_at": known, "superseded_at": None}
        statements = parsed.statements.with_columns(
            pl.lit(value, dtype=pl.Datetime("us", "UTC")).alias(name) for name, value in stamps.items()
        )
        records = [_record(row) for row in counting(statements.select(*ACTIONS)).iter_rows(named=True)]
        self._records = sorted((one for one in records if one is not None), key=lambda one: _place(one[1]))

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
        symbols = _words(parameters, "symbols")
        for name in symbols:
            if not is_symbol(name):
                raise _bad(f"invalid symbol: {name}")
        types = _words(parameters, "types")
        wanted = [
            (group, record)
            for group, record in self._records
            if start.isoformat() <= record["process_date"] <= end.isoformat()
            and (not symbols or record["symbol"] in symbols)
            and (not types or _TYPES[group] in types)
        ]
        if parameters.get("sort") == "desc":
            wanted.reverse()
        return _page(wanted, parameters)


def _page(wanted: list[tuple[str, dict[str, Any]]], parameters: Mapping[str, str]) -> dict[str, Any]:
    limit = _limit(parameters.get("limit", str(_LIMIT_DEFAULT)))
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
        text = f"{last_record['symbol']}|{last_record['process_date']}|{last_record['id']}"
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


def _place(record: Mapping[str, Any]) -> tuple[str, str, str]:
    return record["process_date"], record["symbol"], record["id"]


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


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= _LIMIT_MAX:
        raise _bad(f"invalid limit: {text}, must be between 1 and {_LIMIT_MAX}")
    return int(text)


def _last_id(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode().split("|")[-1]
    except (binascii.Error, ValueError) as error:
        raise _bad("invalid page_token") from error
