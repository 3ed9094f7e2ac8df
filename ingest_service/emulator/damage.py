"""Pages of bars that are wrong in themselves: each function takes a right one and spoils it."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from barlake.sessions import NEW_YORK
from ingest_service.emulator.fault_rules import FaultRule
from ingest_service.emulator.faults import Fault

__all__ = ["Circumstances", "damaged", "spoils_the_page"]

Row = dict[str, Any]
Rows = dict[str, list[Row]]


@dataclass(frozen=True)
class Circumstances:
    """What a fault may need to know about the request that it spoils.

    Parameters
    ----------
    single
        The symbol, on the path of a single one.
    token
        Page token that was sent.
    before
        Rows of the page before by symbol, the last so many of them.
    running
        The bar of the minute that still runs, by symbol.
    start
        Where the window begins.
    """

    single: str | None
    token: str | None
    start: dt.datetime
    before: Callable[[int], Rows]
    running: Callable[[], Rows]


def spoils_the_page(rule: FaultRule | None) -> bool:
    """Whether a fault is one of the rows and tokens of a page."""
    return rule is not None and (rule.fault in _ROWS or rule.fault in _WHOLE)


def damaged(body: bytes, rule: FaultRule, circumstances: Circumstances) -> bytes:
    """JSON of the same page, spoiled as the rule says."""
    page = json.loads(body)
    single = circumstances.single
    rows: Rows = page["bars"] if single is None else {single: page["bars"] or []}
    if rule.fault in _ROWS:
        rows = _ROWS[rule.fault](rows, rule, circumstances)
        page["bars"] = rows if single is None else rows.get(single)
    else:
        _WHOLE[rule.fault](page, circumstances)
    return json.dumps(page, separators=(",", ":")).encode()


def _some(rows: Rows, rule: FaultRule) -> list[Row]:
    every = [row for found in rows.values() for row in found]
    count = min(len(every), max(1, round(len(every) * rule.share)))
    return random.Random(rule.seed).sample(every, count)  # noqa: S311 - no secret


def _nan(rows: Rows, rule: FaultRule, _: Circumstances) -> Rows:
    for row in _some(rows, rule):
        row["h"] = float("nan")
    return rows


def _missing_field(rows: Rows, rule: FaultRule, _: Circumstances) -> Rows:
    for row in _some(rows, rule):
        del row["c"]
    return rows


def _missing_minutes(rows: Rows, rule: FaultRule, _: Circumstances) -> Rows:
    withheld = {id(row) for row in _some(rows, rule)}
    kept = {symbol: [row for row in found if id(row) not in withheld] for symbol, found in rows.items()}
    return {symbol: found for symbol, found in kept.items() if found}


def _float_volume(rows: Rows, _rule: FaultRule, _: Circumstances) -> Rows:
    for found in rows.values():
        for row in found:
            row["v"] = float(row["v"])
    return rows


def _null_symbol(rows: Rows, _rule: FaultRule, _: Circumstances) -> Rows:
    last = list(rows)[-1:]
    return {symbol: None if symbol in last else found for symbol, found in rows.items()}  # type: ignore[misc] # the fault


def _out_of_order(rows: Rows, rule: FaultRule, _: Circumstances) -> Rows:
    for found in rows.values():
        random.Random(rule.seed).shuffle(found)  # noqa: S311 - no secret
    return rows


def _repeated(rows: Rows, count: int, circumstances: Circumstances) -> Rows:
    before = circumstances.before(count)
    first = {symbol: found + rows.get(symbol, []) for symbol, found in before.items()}
    return first | {symbol: found for symbol, found in rows.items() if symbol not in first}


def _duplicate_border(rows: Rows, _rule: FaultRule, circumstances: Circumstances) -> Rows:
    return _repeated(rows, 1, circumstances)


def _duplicate_page(rows: Rows, _rule: FaultRule, circumstances: Circumstances) -> Rows:
    return _repeated(rows, 10_000, circumstances)


def _foreign_symbol(rows: Rows, _rule: FaultRule, circumstances: Circumstances) -> Rows:
    every = [row for found in rows.values() for row in found][:3]
    return rows if circumstances.single else rows | {"FOREIGN": every}


def _outside_window(rows: Rows, _rule: FaultRule, circumstances: Circumstances) -> Rows:
    for found in rows.values():
        if found:
            # Of a later page, a week before its first row may lie in the window, where it would be another bar.
            first = min(dt.datetime.fromisoformat(found[0]["t"]), circumstances.start)
            moved = first - dt.timedelta(days=7)
            found.insert(0, found[0] | {"t": moved.strftime("%Y-%m-%dT%H:%M:%SZ")})
    return rows


def _day(row: Row) -> dt.date:
    return dt.datetime.fromisoformat(row["t"]).astimezone(NEW_YORK).date()


def _missing_session(rows: Rows, _rule: FaultRule, _: Circumstances) -> Rows:
    kept = {}
    for symbol, found in rows.items():
        last = _day(found[-1]) if found else None
        kept[symbol] = [row for row in found if _day(row) != last]
    return {symbol: found for symbol, found in kept.items() if found}


def _partial_session(rows: Rows, _rule: FaultRule, _: Circumstances) -> Rows:
    for found in rows.values():
        day = [row for row in found if _day(row) == _day(found[-1])]
        del found[len(found) - len(day) // 2 :]
    return rows


def _unfinished_minute(rows: Rows, _rule: FaultRule, circumstances: Circumstances) -> Rows:
    running = circumstances.running()
    return {symbol: rows.get(symbol, []) + running.get(symbol, []) for symbol in sorted({*rows, *running})}


_ROWS: dict[Fault, Callable[[Rows, FaultRule, Circumstances], Rows]] = {
    Fault.NAN: _nan,
    Fault.MISSING_FIELD: _missing_field,
    Fault.MISSING_MINUTES: _missing_minutes,
    Fault.FLOAT_VOLUME: _float_volume,
    Fault.NULL_SYMBOL: _null_symbol,
    Fault.OUT_OF_ORDER: _out_of_order,
    Fault.DUPLICATE_BORDER: _duplicate_border,
    Fault.DUPLICATE_PAGE: _duplicate_page,
    Fault.FOREIGN_SYMBOL: _foreign_symbol,
    Fault.OUTSIDE_WINDOW: _outside_window,
    Fault.MISSING_SESSION: _missing_session,
    Fault.PARTIAL_SESSION: _partial_session,
    Fault.UNFINISHED_MINUTE: _unfinished_minute,
}


def _null_bars(page: dict[str, Any], _: Circumstances) -> None:
    page["bars"] = None


def _repeat_token(page: dict[str, Any], circumstances: Circumstances) -> None:
    page["next_page_token"] = circumstances.token or page["next_page_token"]


def _empty_token(page: dict[str, Any], _: Circumstances) -> None:
    page["next_page_token"] = ""


_WHOLE: dict[Fault, Callable[[dict[str, Any], Circumstances], None]] = {
    Fault.NULL_BARS: _null_bars,
    Fault.REPEAT_TOKEN: _repeat_token,
    Fault.EMPTY_TOKEN: _empty_token,
}
