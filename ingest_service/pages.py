"""One page of minute bars: how it is asked for, and what its body says. Pure; nothing is sent from here.

Here Alpaca's inclusive `end` becomes the half-open window of the lake, and rows nobody asked for are told
apart. Facts about the endpoint: https://docs.alpaca.markets/reference/stockbars.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sized
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import polars as pl

from barlake.errors import InvalidInputError
from ingest_service.refusals import TransientError

__all__ = [
    "BarsPage",
    "ManyPage",
    "ManyRequest",
    "Page",
    "PageRequest",
    "Request",
    "Stray",
    "page_request",
    "read_page",
]

ENDPOINT = "/v2/stocks/bars"
PAGE_LIMIT = 10_000
MINUTE = dt.timedelta(minutes=1)
_RESUME = "resume-at:"


class Page(Protocol):
    """What an answer of any endpoint comes down to: rows, and the token of what follows."""

    @property
    def rows(self) -> Sized:
        """Rows that could be read."""

    @property
    def next_page_token(self) -> str | None:
        """Token of the next page; None after the last one."""


PageT_co = TypeVar("PageT_co", bound=Page, covariant=True)


class Question(Protocol):
    """What is asked, as a receipt says it; its text is for messages."""

    @property
    def endpoint(self) -> str:
        """Path on the server; where it is not known before, the kind of data."""

    @property
    def symbol(self) -> str:
        """What is asked about."""

    @property
    def start(self) -> dt.datetime:
        """First instant of the window."""

    @property
    def end(self) -> dt.datetime:
        """First instant that is left out."""

    @property
    def feed(self) -> str:
        """Feed of the rows; `-` where feeds make no difference."""

    @property
    def page_token(self) -> str | None:
        """Where to continue; None is the first page."""


class Request(Question, Protocol[PageT_co]):
    """A page to be asked for: how, about what, and what to make of the body."""

    def params(self) -> dict[str, str | int]:
        """Query of the request, in Alpaca's words."""

    def read(self, body: Any) -> PageT_co:
        """Page of an answer's body. Raises `TransientError` if the body is not one of this endpoint."""


@dataclass(frozen=True)
class Stray:
    """A row the answer held but the request did not ask for; `reason` says which rule it breaks."""

    symbol: str
    row: Any
    reason: str


@dataclass(frozen=True)
class BarsPage:
    """One page of raw bars.

    Parameters
    ----------
    rows
        As they came, fields t o h l c v n vw, where a row may be anything JSON allows; or a table with the
        lake's names and types.
    next_page_token
        To be given to the next `fetch_page` of the same window; None after the last page.
    strays
        Rows of other symbols and rows outside the window, for quarantine; not in `rows`.
    """

    rows: list[Any] | pl.DataFrame
    next_page_token: str | None
    strays: list[Stray] = field(default_factory=list)


@dataclass(frozen=True)
class PageRequest:
    """Window of one symbol of one feed, half-open and UTC, and the token of the page to continue from."""

    symbol: str
    start: dt.datetime
    end: dt.datetime
    feed: str
    page_token: str | None
    endpoint = ENDPOINT

    def params(self) -> dict[str, str | int]:
        """Query of the request, in Alpaca's words."""
        params: dict[str, str | int] = {
            "symbols": self.symbol,
            "timeframe": "1Min",
            "start": _wire(self.start),
            # Alpaca's end is inclusive: the last minute inside [start, end).
            "end": _wire(self.end - MINUTE),
            "limit": PAGE_LIMIT,
            "adjustment": "raw",
            "asof": "-",
            "feed": self.feed,
            "sort": "asc",
        }
        return params if self.page_token is None else params | {"page_token": self.page_token}

    def read(self, body: Any) -> BarsPage:
        """See `read_page`."""
        return read_page(body, self)

    def __str__(self) -> str:
        return f"{self.symbol} [{_wire(self.start)}, {_wire(self.end)}) of feed {self.feed!r}"


@dataclass(frozen=True)
class ManyPage:
    """One page of raw bars of several symbols: symbol and row, as they came."""

    rows: list[tuple[str, Any]]
    next_page_token: str | None


@dataclass(frozen=True)
class ManyRequest:
    """Window of several symbols of one feed, half-open, UTC and whole minutes."""

    symbols: tuple[str, ...]
    start: dt.datetime
    end: dt.datetime
    feed: str
    page_token: str | None = None
    endpoint = ENDPOINT

    @property
    def symbol(self) -> str:
        """The first, and how many more there are."""
        return self.symbols[0] if len(self.symbols) == 1 else f"{self.symbols[0]} +{len(self.symbols) - 1}"

    def params(self) -> dict[str, str | int]:
        """Query of the request, in Alpaca's words."""
        one = PageRequest(",".join(self.symbols), self.start, self.end, self.feed, self.page_token)
        return one.params()

    def read(self, body: Any) -> ManyPage:
        """Page of an answer's body; rows of other symbols and of other minutes are left out.

        Raises
        ------
        TransientError
            If the body is not a page of bars, or its token is empty, which would begin again from the first page.
        """
        by_symbol, token = _parts_of(body)
        if token == "":
            raise TransientError("the page token is empty")
        low, high = (_wire(moment) for moment in (self.start, self.end))
        asked = set(self.symbols)
        rows = [
            (symbol, row)
            for symbol, own in by_symbol.items()
            if symbol in asked
            for row in own or ()
            if not (isinstance(row, dict) and isinstance(row.get("t"), str) and not low <= row["t"] < high)
        ]
        return ManyPage(rows, token)

    def __str__(self) -> str:
        return f"{self.symbol} [{_wire(self.start)}, {_wire(self.end)}) of feed {self.feed!r}"


def page_request(symbol: str, start: dt.datetime, end: dt.datetime, feed: str, page_token: str | None) -> PageRequest:
    """Checked request for a page; a token made by `read_page` for an empty one moves the start instead.

    Raises
    ------
    InvalidInputError
        If an instant is naive or not a whole minute, or start is not before end.
    """
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise InvalidInputError(
                f"{name} {moment} has no time zone: bars are asked for by instants, such as 2024-01-02T14:30Z."
            )
        if moment.second or moment.microsecond:
            raise InvalidInputError(f"{name} {moment} is not a whole minute: minute bars start on one.")
    if start >= end:
        raise InvalidInputError(f"window [{start}, {end}) is empty or reversed: start must be before end.")
    start, end = start.astimezone(dt.UTC), end.astimezone(dt.UTC)
    if page_token is not None and page_token.startswith(_RESUME):
        start, page_token = dt.datetime.fromisoformat(page_token.removeprefix(_RESUME)), None
    return PageRequest(symbol, start, end, feed, page_token)


def read_page(body: Any, request: PageRequest) -> BarsPage:
    """Page of an answer's body. Raises `TransientError` if the body is not one of this endpoint."""
    by_symbol, token = _parts_of(body)
    strays = [
        Stray(symbol, row, f"symbol {symbol!r} was not asked for")
        for symbol, rows in by_symbol.items()
        if symbol != request.symbol
        for row in rows or ()
    ]
    rows = []
    low, high = (_wire(moment).removesuffix("Z") for moment in (request.start, request.end))
    for row in by_symbol.get(request.symbol) or ():
        text = row.get("t") if isinstance(row, dict) else None
        # Texts of equal form sort like the instants they name; only others are worth parsing.
        if isinstance(text, str) and not (text[-1:] == "Z" and low <= text[:19] < high):
            moment = _instant(text)
            if moment is not None and not request.start <= moment < request.end:
                strays.append(Stray(request.symbol, row, "timestamp is outside the window that was asked for"))
                continue
        rows.append(row)
    if token == "":
        token = _resume_token(rows, request)
    return BarsPage(rows, token, strays)


def _parts_of(body: Any) -> tuple[dict[str, list[Any] | None], str | None]:
    """Rows by symbol, and the token."""
    # An object with neither key says nothing about bars, and must not pass for "there are none".
    if not isinstance(body, dict) or not {"bars", "next_page_token"} & body.keys():
        raise TransientError("the body is not a page of bars")
    by_symbol = body.get("bars") or {}
    token = body.get("next_page_token")
    if not isinstance(by_symbol, dict) or not isinstance(token, str | None):
        raise TransientError("the body is not a page of bars")
    if not all(isinstance(rows, list | None) for rows in by_symbol.values()):
        raise TransientError("the bars of a symbol are not a list")
    return by_symbol, token


def _resume_token(rows: list[Any], request: PageRequest) -> str | None:
    """Token in place of an empty one, which would start the pages again from the first.

    It may stand for the end or for a lost token. Asking once more from behind the last bar costs one request
    and cannot lose a bar, so only an empty page, or a bar in the last minute, is taken for the end.
    """
    if not rows:
        return None
    moments = [_instant(row["t"]) for row in rows if isinstance(row, dict) and isinstance(row.get("t"), str)]
    last = max((moment for moment in moments if moment is not None), default=None)
    if last is None:
        raise TransientError("the page token is empty and no bar says where to go on")
    following = last.replace(second=0, microsecond=0) + MINUTE
    return None if following >= request.end else _RESUME + _wire(following)


def _wire(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _instant(text: str) -> dt.datetime | None:
    """Instant a text names, or None if it names none; what to do with such a text is for `normalize.py`."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment
