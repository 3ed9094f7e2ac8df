"""What a source of data is: capabilities, and one method for each kind of data it offers.

A source asks once and answers one page. Pacing, retries, receipts, windows and quarantine are not its business:
`courier.py` does them for every source alike, ours and a stranger's. How to write one is a page:
`docs/add-a-source.md`.

What a method raises says what is done about it:

- `TransientError`: the same request is made again, after a wait;
- `CredentialsError`: the key or the plan is refused; a backup is asked;
- `SourceError`: the source is out of order; a backup is asked;
- `InvalidInputError`: the symbol or the window is wrong; nobody else is asked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

import polars as pl

from barlake.keys import Adjustment
from barlake.settings import Settings
from ingest_service.refusals import TransientError

__all__ = [
    "COLUMNS",
    "Capabilities",
    "DailyBars",
    "Dataset",
    "Factory",
    "Macro",
    "MinuteBars",
    "News",
    "RefusedRow",
    "Source",
    "SourcePage",
    "TransientError",
]

_INSTANT = pl.Datetime("us", "UTC")
_PRICES: dict[str, pl.DataType] = dict.fromkeys(("open", "high", "low", "close"), pl.Float64())
_COUNTS: dict[str, pl.DataType] = {"volume": pl.Float64(), "trade_count": pl.Int64(), "vwap": pl.Float64()}


class Dataset(StrEnum):
    """Kinds of data; a source offers one or more."""

    MINUTE = "minute"
    DAILY = "daily"
    NEWS = "news"
    MACRO = "macro"


COLUMNS: dict[Dataset, dict[str, pl.DataType]] = {
    Dataset.MINUTE: {"timestamp": _INSTANT, **_PRICES, **_COUNTS},
    Dataset.DAILY: {"session": pl.Date(), **_PRICES, **_COUNTS},
    Dataset.NEWS: {
        "article_id": pl.String(),
        "created_at": _INSTANT,
        "updated_at": _INSTANT,
        "headline": pl.String(),
        "summary": pl.String(),
        "content": pl.String(),
        "author": pl.String(),
        "url": pl.String(),
        "symbols": pl.List(pl.String()),
    },
    Dataset.MACRO: {"date": pl.Date(), "value": pl.Float64(), "known_at": _INSTANT},
}
"""Columns of a page by kind. Those of `MAY_LACK` may be missing or null.

A minute's `timestamp` is its opening instant; a day's `session` is a New York date, for a source of `24/7` a UTC
date; a macro value concerns the period that begins on `date` and could be known from `known_at` on.
"""

MAY_LACK = frozenset({"volume", "trade_count", "vwap", "updated_at", "summary", "content", "author", "url", "symbols"})
"""Columns that a page may leave out; minute bars need their volume."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a source has to offer, and under which conditions.

    Parameters
    ----------
    name
        Kept beside every row it gave: lower case letters, digits, `-` and `_`.
    offers
        Kinds of data; for each the source has the method of that name.
    feeds
        Feeds its minute bars belong to. Two sources that name the same feed sell the same consolidated tape,
        and one may stand in for the other; bars of different feeds are never mixed.
    calendar
        When it trades: the sessions of New York, or always.
    oldest_minute
        First date of minute bars; None when there is no bound.
    recent_minutes
        How far back its minute bars go from now; None when they go back to `oldest_minute`.
    longest_span
        Longest window one request may have; a longer one is asked for in parts.
    embargo
        Distance to keep from the present.
    adjusted
        What was done to the prices of a kind that does not have raw ones. The lake's minute bars are raw, so
        adjusted ones are refused; daily bars are kept as their source states them.
    requests_per_minute
        Its pace, unless its settings say another.
    needs_key
        Whether it answers nobody without a key.
    """

    name: str
    offers: frozenset[Dataset]
    feeds: tuple[str, ...] = ()
    calendar: Literal["XNYS", "24/7"] = "XNYS"
    oldest_minute: dt.date | None = None
    recent_minutes: dt.timedelta | None = None
    longest_span: dt.timedelta | None = None
    embargo: dt.timedelta = dt.timedelta(0)
    adjusted: Mapping[Dataset, Adjustment] = field(default_factory=dict)
    requests_per_minute: int = 60
    needs_key: bool = False


@dataclass(frozen=True)
class RefusedRow:
    """A row that could not be read, as it came, and the rule it breaks; it goes to quarantine."""

    row: Any
    reason: str


@dataclass(frozen=True)
class SourcePage:
    """One answer.

    Parameters
    ----------
    rows
        Columns of `COLUMNS`, oldest first; no rows is an answer too.
    next_page_token
        Given back with the next request of the same window; None ends the window.
    refused
        Rows that could not be read.
    """

    rows: pl.DataFrame
    next_page_token: str | None = None
    refused: Sequence[RefusedRow] = ()


class Source(Protocol):
    """Whom data is asked from; it has the method of each kind that it offers."""

    @property
    def capabilities(self) -> Capabilities:
        """What it offers."""
        ...


class MinuteBars(Source, Protocol):
    """A source of minute bars."""

    def minute(
        self, symbol: str, start: dt.datetime, end: dt.datetime, *, feed: str, page_token: str | None
    ) -> SourcePage:
        """One page of the raw minute bars in [start, end), UTC, whole minutes."""
        ...


class DailyBars(Source, Protocol):
    """A source of daily bars."""

    def daily(self, symbol: str, start: dt.date, end: dt.date, *, page_token: str | None) -> SourcePage:
        """One page of the daily bars of the sessions in [start, end)."""
        ...


class News(Source, Protocol):
    """A source of news."""

    def news(
        self, symbols: Sequence[str], start: dt.datetime, end: dt.datetime, *, page_token: str | None
    ) -> SourcePage:
        """One page of the articles published or revised in [start, end); no symbols are all of them."""
        ...


class Macro(Source, Protocol):
    """A source of macro series."""

    def macro(self, series: str, start: dt.date, end: dt.date, *, page_token: str | None) -> SourcePage:
        """One page of every value released in [start, end), revisions included."""
        ...


Factory = Callable[[Settings], Source]
"""What an entry point of the group `barlake.sources` names: a source, made with the settings."""
