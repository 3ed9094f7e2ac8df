"""Alpaca's corporate actions: how a page is asked for, what its groups say, and all pages of a symbol into a lake.

Requests are sent by `alpaca.py`, with its pacing, timeouts and retries. The page is asked for by itself because
alpaca-py stops at 1,000 actions in all without a word, drops the types it does not know and raises on records
without a CUSIP. Facts about the endpoint: https://docs.alpaca.markets/reference/corporateactions-1.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from barlake.action_files import STATEMENTS, statement
from barlake.action_records import ActionReport
from barlake.actions import ActionKind
from barlake.errors import InvalidInputError
from barlake.keys import parse_symbol
from barlake.lake import Lake
from barlake.receipts import Receipt
from ingest_service.alpaca import AlpacaSource
from ingest_service.refusals import TransientError

__all__ = [
    "AHEAD",
    "ENDPOINT",
    "ActionsPage",
    "ActionsRequest",
    "SymbolActions",
    "fetch_actions",
    "read_actions_page",
    "refresh_actions",
]

logger = logging.getLogger(__name__)

SOURCE = "alpaca"
ENDPOINT = "/v1/corporate-actions"
TRAILING = dt.timedelta(days=30)
"""Alpaca gives no guarantee when an action appears: so many days of processing are asked for every day."""

AHEAD = dt.timedelta(days=90)
"""Actions are announced before they happen; those with an ex-date ahead wait until it is held."""

_PAGE_LIMIT = 1000
_SYMBOLS_AT_ONCE = 50
_FIRST_DATE = dt.date(2000, 1, 1)


@dataclass(frozen=True)
class ActionsPage:
    """One page: what it states, columns of `STATEMENTS`, and records that state nothing readable, with the reason."""

    statements: pl.DataFrame
    next_page_token: str | None
    unreadable: list[str] = field(default_factory=list)

    @property
    def rows(self) -> Sequence[Any]:
        """Records that were read."""
        return range(self.statements.height)


@dataclass(frozen=True)
class ActionsRequest:
    """Actions of some symbols that Alpaca processed, or will process, from `first` up to, not including, `beyond`.

    Parameters
    ----------
    symbol
        What the receipt says it was about: one symbol whose whole history is asked for, or `*`.
    """

    symbols: Sequence[str]
    first: dt.date
    beyond: dt.date
    page_token: str | None = None
    symbol: str = "*"
    endpoint = ENDPOINT
    feed = "-"

    @property
    def start(self) -> dt.datetime:
        """UTC midnight of the first date."""
        return dt.datetime.combine(self.first, dt.time(), tzinfo=dt.UTC)

    @property
    def end(self) -> dt.datetime:
        """UTC midnight of the first date left out."""
        return dt.datetime.combine(self.beyond, dt.time(), tzinfo=dt.UTC)

    def params(self) -> dict[str, str | int]:
        """Query of the request; Alpaca's dates are those of processing, and its end is inclusive."""
        params: dict[str, str | int] = {
            "symbols": ",".join(self.symbols),
            "start": self.first.isoformat(),
            "end": (self.beyond - dt.timedelta(days=1)).isoformat(),
            "limit": _PAGE_LIMIT,
            "sort": "asc",
        }
        return params if self.page_token is None else params | {"page_token": self.page_token}

    def read(self, body: Any) -> ActionsPage:
        """See `read_actions_page`."""
        return read_actions_page(body)

    def __str__(self) -> str:
        return f"corporate actions of {', '.join(self.symbols)} processed in [{self.first}, {self.beyond})"


@dataclass(frozen=True)
class SymbolActions:
    """What was fetched of one symbol, or of several (`*`), and what became of it."""

    symbol: str
    requests: int
    written: ActionReport
    unreadable: list[str]


def fetch_actions(
    lake: Lake, source: AlpacaSource, symbols: Sequence[str], start: dt.date | None = None, end: dt.date | None = None
) -> list[SymbolActions]:
    """Fetch and keep the corporate actions of some symbols, then publish the catalogue.

    The whole window is asked for each time: a symbol's history is a page, and Alpaca promises nothing about
    when an action appears or is mended. What is known already changes nothing.

    Parameters
    ----------
    start, end
        Dates of processing, half-open: a dividend is processed on the date it is paid, up to months after
        its ex-date. None begins with the first session held of the symbol, or 2000, and ends 90 days from now.

    Raises
    ------
    InvalidInputError
        If `start` is not before `end`, or Alpaca calls a symbol invalid.
    CredentialsError, SourceError
        As `AlpacaSource.fetch_page`; symbols that were finished before are kept.
    """
    held = {row["symbol"]: row["first"] for row in lake.symbols().sort("first", descending=True).to_dicts()}
    beyond = end or lake.now().date() + AHEAD
    done = []

    def receive(receipt: Receipt) -> None:
        lake.manifest.add_receipts([receipt])

    try:
        for name in dict.fromkeys(parse_symbol(symbol) for symbol in symbols):
            first = start or held.get(name, _FIRST_DATE)
            if first >= beyond:
                raise InvalidInputError(f"start {first} is not before end {beyond}: ranges leave their end out.")
            pages = _pages(source, ActionsRequest([name], first, beyond, symbol=name), receive)
            done.append(_keep(lake, name, pages))
    finally:
        if any(one.written.changed for one in done):
            lake.publish()
    return done


def refresh_actions(
    lake: Lake, source: AlpacaSource, symbols: Sequence[str], today: dt.date, *, stop: threading.Event | None = None
) -> list[SymbolActions]:
    """Ask once more for the newest actions of some symbols, many at a time, and publish what changed.

    The window of processing dates begins 30 days before today and ends 90 days after it. A symbol that Alpaca calls
    invalid does not keep the others from being asked about.

    Raises
    ------
    CredentialsError, SourceError
        As `AlpacaSource.fetch_page`; what came before is kept.
    """
    done: list[SymbolActions] = []
    first, beyond = today - TRAILING, today + AHEAD
    try:
        for begin in range(0, len(symbols), _SYMBOLS_AT_ONCE):
            if stop is not None and stop.is_set():
                break
            done += _ask_many(lake, source, symbols[begin : begin + _SYMBOLS_AT_ONCE], first, beyond)
    finally:
        if any(one.written.changed for one in done):
            lake.publish()
    return done


def _ask_many(
    lake: Lake, source: AlpacaSource, symbols: Sequence[str], first: dt.date, beyond: dt.date
) -> list[SymbolActions]:
    """What came of some symbols, asked about together; of each alone where one of them is refused."""

    def receive(receipt: Receipt) -> None:
        lake.manifest.add_receipts([receipt])

    try:
        pages = _pages(source, ActionsRequest(symbols, first, beyond), receive)
    except InvalidInputError as error:
        if len(symbols) == 1:
            logger.warning(
                "%s was not asked about: %s", symbols[0], error, extra={"symbol": symbols[0], "stage": "fetch"}
            )
            return []
        return [one for name in symbols for one in _ask_many(lake, source, [name], first, beyond)]
    return [_keep(lake, symbols[0] if len(symbols) == 1 else "*", pages)]


def _keep(lake: Lake, symbol: str, pages: Sequence[ActionsPage]) -> SymbolActions:
    """Store the statements of an answer's pages."""
    statements = pl.concat([page.statements for page in pages])
    # A record that is mended while pages are turned may come twice: the later one is the newer.
    statements = statements.unique(["source", "action_id"], keep="last", maintain_order=True)
    written = lake.manifest.actions.put(statements, now=lake.now())
    unreadable = [why for page in pages for why in page.unreadable]
    for why in unreadable:
        logger.warning("a corporate action cannot be read: %s", why, extra={"symbol": symbol, "stage": "fetch"})
    return SymbolActions(symbol, len(pages), written, unreadable)


def _pages(source: AlpacaSource, request: ActionsRequest, on_receipt: Callable[[Receipt], None]) -> list[ActionsPage]:
    pages = [source.fetch(request, on_receipt=on_receipt)]
    while (token := pages[-1].next_page_token) is not None:
        following = replace(request, page_token=token)
        pages.append(source.fetch(following, on_receipt=on_receipt))
    return pages


def read_actions_page(body: Any) -> ActionsPage:
    """Page of an answer's body: groups of records, a group for each type.

    A type that is not known becomes `other`, so it is listed and not lost. The ex-date of a record that has
    none is its effective date, or the date it was processed.

    Raises
    ------
    TransientError
        If the body is not one of this endpoint.
    """
    if not isinstance(body, dict) or not isinstance(body.get("corporate_actions"), dict | None):
        raise TransientError("the body is not a page of corporate actions")
    token = body.get("next_page_token")
    groups = body.get("corporate_actions") or {}
    known = "corporate_actions" in body or "next_page_token" in body
    if not known or not isinstance(token, str | None):
        raise TransientError("the body is not a page of corporate actions")
    rows, unreadable = [], []
    for group, records in groups.items():
        if not isinstance(records, list | None):
            raise TransientError(f"the {group} are not a list")
        for record in records or ():
            try:
                rows.append(_statement(group, record))
            except InvalidInputError as error:
                unreadable.append(f"{group}: {error} {json.dumps(record, default=str)[:200]}")
    return ActionsPage(pl.DataFrame(rows, schema=STATEMENTS), token or None, unreadable)


_KINDS = {
    "forward_splits": ActionKind.SPLIT,
    "reverse_splits": ActionKind.SPLIT,
    "stock_dividends": ActionKind.STOCK_DIVIDEND,
    "cash_dividends": ActionKind.DIVIDEND,
    "spin_offs": ActionKind.SPIN_OFF,
    "rights_distributions": ActionKind.RIGHTS,
    "cash_mergers": ActionKind.MERGER,
    "stock_mergers": ActionKind.MERGER,
    "stock_and_cash_mergers": ActionKind.MERGER,
    "unit_splits": ActionKind.UNIT_SPLIT,
    "name_changes": ActionKind.NAME_CHANGE,
    "redemptions": ActionKind.REDEMPTION,
    "worthless_removals": ActionKind.REMOVAL,
}
_SYMBOLS = ("symbol", "source_symbol", "old_symbol", "acquiree_symbol")
_DATES = ("ex_date", "effective_date", "process_date")


def _statement(group: str, record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise InvalidInputError(f"a record is an object, not {type(record).__name__}.")
    kind = _KINDS.get(group, ActionKind.OTHER)
    ratio = cash = None
    if kind is ActionKind.SPLIT:
        ratio = _number(record, "new_rate") / _number(record, "old_rate")
    elif kind is ActionKind.STOCK_DIVIDEND:
        ratio = 1.0 + _number(record, "rate")
    elif kind is ActionKind.DIVIDEND:
        cash = _number(record, "rate")
    return statement(
        source=SOURCE,
        action_id=_text(record, ("id",)),
        symbol=_text(record, _SYMBOLS),
        ex_date=_date(record),
        kind=kind,
        ratio=ratio,
        cash_usd=cash,
        details=json.dumps({"group": group, **record}, sort_keys=True),
    )


def _text(record: Mapping[str, Any], names: Sequence[str]) -> str:
    for name in names:
        if isinstance(record.get(name), str) and record[name]:
            found: str = record[name]
            return found
    raise InvalidInputError(f"{' or '.join(names)} is missing.")


def _date(record: Mapping[str, Any]) -> dt.date:
    text = _text(record, _DATES)
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"date {text!r} is not on the calendar.") from error


def _number(record: Mapping[str, Any], name: str) -> float:
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise InvalidInputError(f"{name} {value!r} is not a number above 0.")
    return float(value)
