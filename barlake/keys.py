"""The frozen values that name things: feeds, symbols, timeframes, periods, partitions, artifacts.

Nothing here touches a disk or a clock. Paths are made from these keys in `layout.py`.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from barlake.errors import InvalidInputError, did_you_mean

__all__ = [
    "Adjustment",
    "ArtifactKind",
    "FeatureSetKey",
    "Names",
    "PartitionKey",
    "Period",
    "PeriodLength",
    "SessionFilter",
    "Timeframe",
    "is_always_open",
    "parse_feed",
    "parse_member",
    "parse_symbol",
    "parse_symbols",
    "preferred_feed",
]

Member = TypeVar("Member", bound=StrEnum)

Names = str | Iterable[str]
"""One symbol or several."""

SYNTHETIC_FEED = "synthetic"

_PREFERRED_FEEDS = ("sip", "iex")
"""All exchanges go before one of them."""

_ALWAYS = "all"

_COIN_EXCHANGES = frozenset({"binance", "binanceus", "bitstamp", "bybit", "coinbase", "kraken", "kucoin", "okx"})

_FEED = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.^/=_-]{0,31}")


class Adjustment(StrEnum):
    """Alpaca's words for what was done to prices; files hold `raw` only, the rest is made at read."""

    RAW = "raw"
    SPLIT = "split"
    DIVIDEND = "dividend"
    ALL = "all"


class Timeframe(StrEnum):
    """Length of a bar, in Alpaca's spelling. Everything above `1Min` is derived from minute bars."""

    MINUTE = "1Min"
    MINUTE_5 = "5Min"
    MINUTE_15 = "15Min"
    HOUR = "1Hour"
    DAY = "1Day"

    @classmethod
    def parse(cls, value: str) -> Timeframe:
        """Timeframe of that name, in any case; `InvalidInputError` lists the names there are."""
        return parse_member(cls, "timeframe", value)


class SessionFilter(StrEnum):
    """Which part of a session's bars: 09:30 to the close, before it, after it, or all that exist."""

    REGULAR = "regular"
    PRE = "pre"
    POST = "post"
    ALL = "all"

    @classmethod
    def parse(cls, value: str) -> SessionFilter:
        """Filter of that name, in any case; `InvalidInputError` lists the names there are."""
        return parse_member(cls, "session", value)


class ArtifactKind(StrEnum):
    """Folders of versioned results; the value is the folder's name."""

    FEATURES = "features"
    MODEL = "models"
    RUN = "runs"
    SWEEP = "sweeps"


class PeriodLength(StrEnum):
    """How much time one partition covers."""

    SESSION = "session"
    MONTH = "month"
    YEAR = "year"


def parse_member(kind: type[Member], what: str, value: str) -> Member:
    """Member of a closed set by its value, in any case.

    Raises
    ------
    InvalidInputError
        If there is none; calls it `what`, and lists the values there are.

    Examples
    --------
    >>> parse_member(SessionFilter, "session", "PRE")
    <SessionFilter.PRE: 'pre'>
    """
    for member in kind:
        if member.value.lower() == str(value).lower():
            return member
    names = [member.value for member in kind]
    hint = did_you_mean(str(value), names)
    raise InvalidInputError(f"{what} {value!r} is not known: use one of {', '.join(names)}.{hint}")


def parse_feed(value: str) -> str:
    """Feed name as stored: lower case letters, digits, `-` and `_`, at most 32.

    Feeds are an open set: `sip` and `iex` are Alpaca's, `synthetic` is made up, an import names its own.

    Examples
    --------
    >>> parse_feed("SIP")
    'sip'
    """
    feed = str(value).strip().lower()
    if not _FEED.fullmatch(feed):
        raise InvalidInputError(
            f"feed {value!r} is not a name: use 1 to 32 of a-z, 0-9, '-' and '_', starting with a letter."
        )
    return feed


def is_always_open(feed: str) -> bool:
    """Whether a feed's market never closes, as its name says: it has the part `crypto`, or is an exchange of coins.

    Examples
    --------
    >>> [name for name in ("sip", "binance", "alpaca-crypto", "cryptonite") if is_always_open(name)]
    ['binance', 'alpaca-crypto']
    """
    return feed in _COIN_EXCHANGES or "crypto" in re.split("[-_]", feed)


def parse_symbol(value: str) -> str:
    """Symbol as stored: upper case, such as `SPY`, `BRK.B`, `BTC/USD`, `^GSPC`.

    Examples
    --------
    >>> parse_symbol(" brk.b ")
    'BRK.B'
    """
    symbol = str(value).strip().upper()
    if not (str(value).isascii() and _SYMBOL.fullmatch(symbol)):  # U+017F, for one, is S in upper case
        raise InvalidInputError(
            f"symbol {value!r} is not a symbol: use 1 to 32 of A-Z, 0-9 and . ^ / = _ -, such as 'SPY' or 'BRK.B'."
        )
    return symbol


def parse_symbols(symbols: Names) -> list[str]:
    """One symbol or several, as stored, each once, in the order given.

    Raises
    ------
    InvalidInputError
        If there is none.

    Examples
    --------
    >>> parse_symbols(["spy", "QQQ", "SPY"])
    ['SPY', 'QQQ']
    """
    given = [symbols] if isinstance(symbols, str) else list(symbols)
    names = list(dict.fromkeys(parse_symbol(name) for name in given))
    if not names:
        raise InvalidInputError("no symbol was given: name at least one, such as 'SPY'.")
    return names


def preferred_feed(feeds: Iterable[str]) -> str | None:
    """The feed meant when none is named: `sip` before `iex` before the only other; None when several others are left.

    Examples
    --------
    >>> preferred_feed({"iex", "mine", "sip"}), preferred_feed({"mine"}), preferred_feed({"mine", "yours"})
    ('sip', 'mine', None)
    """
    found = set(feeds)
    only = found.pop() if len(found) == 1 else None
    return next((name for name in _PREFERRED_FEEDS if name in found), only)


@dataclass(frozen=True, order=True)
class Period:
    """Half-open range of session dates [start, end) that is one session, one month, one year or all time."""

    start: dt.date
    end: dt.date
    length: PeriodLength | None  # None: all time

    @classmethod
    def of_session(cls, session: dt.date) -> Period:
        """One session date as a period."""
        return cls(session, session + dt.timedelta(days=1), PeriodLength.SESSION)

    @classmethod
    def of_month(cls, session: dt.date) -> Period:
        """The calendar month that holds a session date."""
        days = calendar.monthrange(session.year, session.month)[1]
        start = session.replace(day=1)
        return cls(start, start + dt.timedelta(days=days), PeriodLength.MONTH)

    @classmethod
    def of_year(cls, session: dt.date) -> Period:
        """The calendar year that holds a session date."""
        return cls(dt.date(session.year, 1, 1), dt.date(session.year + 1, 1, 1), PeriodLength.YEAR)

    @classmethod
    def always(cls) -> Period:
        """All time: the period of what is so small that it is never cut."""
        return cls(dt.date.min, dt.date.max, None)

    @classmethod
    def of(cls, session: dt.date, length: PeriodLength) -> Period:
        """The period of a given length that holds a session date."""
        makers = {
            PeriodLength.SESSION: cls.of_session,
            PeriodLength.MONTH: cls.of_month,
            PeriodLength.YEAR: cls.of_year,
        }
        return makers[length](session)

    @classmethod
    def parse(cls, label: str) -> Period:
        """Period from its label.

        Examples
        --------
        >>> Period.parse("2024-02").end
        datetime.date(2024, 3, 1)
        """
        if label == _ALWAYS:
            return cls.always()
        try:
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", label):
                return cls.of_session(dt.date.fromisoformat(label))
            if re.fullmatch(r"\d{4}-\d{2}", label):
                return cls.of_month(dt.date.fromisoformat(f"{label}-01"))
            if re.fullmatch(r"\d{4}", label):
                return cls.of_year(dt.date.fromisoformat(f"{label}-01-01"))
        except ValueError as error:
            raise InvalidInputError(f"period {label!r} is not on the calendar: {error}.") from error
        raise InvalidInputError(f"period {label!r} is not one of YYYY-MM-DD, YYYY-MM, YYYY, all.")

    @property
    def label(self) -> str:
        """The period as paths spell it: `2024-01-02`, `2024-01`, `2024` or `all`."""
        if self.length is None:
            return _ALWAYS
        width = {PeriodLength.SESSION: 10, PeriodLength.MONTH: 7, PeriodLength.YEAR: 4}[self.length]
        return self.start.isoformat()[:width]

    def covers(self, other: Period) -> bool:
        """Whether every date of the other period lies in this one."""
        return self.start <= other.start and other.end <= self.end


@dataclass(frozen=True, order=True)
class PartitionKey:
    """The bars of one symbol of one feed in one period; exactly one file counts for it at a time.

    Of daily bars, news and macro values `feed` is the source, and of macro values `symbol` the series.
    """

    feed: str
    symbol: str
    period: Period


@dataclass(frozen=True, order=True)
class FeatureSetKey:
    """One version of a feature set; the version is the hash of its parameters and code."""

    name: str
    version: str
