"""What a bars request asks for, and the answers Alpaca gives to a wrong one."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from ingest_service.emulator.source import MINUTE_US

__all__ = ["BarsQuery", "PageToken", "RefusedError", "is_symbol", "parse_bars_query"]

RECENT_SIP = {"code": 42210000, "message": "subscription does not permit querying recent SIP data"}
EMBARGO = dt.timedelta(minutes=15)
_LIMIT_DEFAULT, _LIMIT_MAX = 1000, 10_000
_NEW_YORK = ZoneInfo("America/New_York")
_SYMBOL = re.compile(r"[A-Z]{1,8}(\.[A-Z]{1,3})?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})")
_ONLY = {
    "adjustment": {"raw"},
    "currency": {"USD"},
    "sort": {"asc", "desc"},
}


class RefusedError(Exception):
    """A request that gets an error answer instead of data.

    Parameters
    ----------
    status
        HTTP status.
    body
        JSON body; most of Alpaca's have a message and no code.
    """

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = dict(body)


@dataclass(frozen=True)
class PageToken:
    """The last row of a page; the next page begins after it."""

    symbol: str
    timestamp_us: int

    def encode(self) -> str:
        """Base64 of `SYMBOL|M|<epoch nanoseconds>`, as in Alpaca's published examples.

        Examples
        --------
        >>> PageToken("SPY", 1_704_205_800_000_000).encode()
        'U1BZfE18MTcwNDIwNTgwMDAwMDAwMDAwMA=='
        """
        return base64.b64encode(f"{self.symbol}|M|{self.timestamp_us * 1000}".encode()).decode()

    @classmethod
    def decode(cls, text: str) -> PageToken:
        """Token from its text; `RefusedError` (400) if it is not one."""
        try:
            symbol, kind, nanoseconds = base64.b64decode(text, validate=True).decode().split("|")
            if kind == "M":
                return cls(symbol, int(nanoseconds) // 1000)
        except (binascii.Error, ValueError) as error:
            raise _bad("invalid page_token") from error
        raise _bad("invalid page_token")


@dataclass(frozen=True)
class BarsQuery:
    """A valid request: sorted symbols, closed range in microseconds since the epoch, page size."""

    symbols: tuple[str, ...]
    start_us: int
    end_us: int
    limit: int
    descending: bool
    token: PageToken | None
    currency: str | None


def parse_bars_query(
    parameters: Mapping[str, str], *, served_feed: str, now: dt.datetime, symbol: str | None = None
) -> BarsQuery:
    """Check a request as Alpaca does.

    Only minute bars, raw prices and dollars are served; what else Alpaca offers is refused, not
    silently answered with something different. An omitted `feed` means `sip`. A date without time is
    midnight in New York (assumed). A range ends at the last finished minute.

    Parameters
    ----------
    parameters
        The query string.
    served_feed
        The one feed that answers.
    now
        Server's clock.
    symbol
        Set on the single-symbol path.

    Raises
    ------
    RefusedError
        With the status and body to answer.
    """
    symbols = _symbols(parameters.get("symbols", "") if symbol is None else symbol)
    if parameters.get("timeframe") not in {"1Min", "1T"}:
        raise _bad(f"invalid timeframe: {parameters.get('timeframe', '')}")
    for name, allowed in _ONLY.items():
        if name in parameters and parameters[name] not in allowed:
            raise _bad(f"invalid {name}: {parameters[name]}")
    asof = parameters.get("asof", "-")
    if asof != "-" and not _DATE.fullmatch(asof):
        raise _bad(f"invalid asof: {asof}")
    feed = parameters.get("feed", "sip")
    if feed != served_feed:
        raise _bad(f"invalid feed: {feed}")
    start_us, end_us = _range(parameters, feed=feed, now=now)
    token = PageToken.decode(parameters["page_token"]) if "page_token" in parameters else None
    if token is not None and token.symbol not in symbols:
        raise _bad("invalid page_token")
    return BarsQuery(
        symbols=symbols,
        start_us=start_us,
        end_us=min(end_us, int(now.timestamp() * 1e6) - MINUTE_US),
        limit=_limit(parameters.get("limit", str(_LIMIT_DEFAULT))),
        descending=parameters.get("sort") == "desc",
        token=token,
        currency=parameters.get("currency"),
    )


def _bad(message: str) -> RefusedError:
    return RefusedError(400, {"message": message})


def is_symbol(name: str) -> bool:
    """Whether Alpaca would look for such a symbol at all, or refuse the request.

    Examples
    --------
    >>> [is_symbol(name) for name in ("SPY", "BRK.B", "BRK-B", "spy")]
    [True, True, False, False]
    """
    return _SYMBOL.fullmatch(name) is not None


def _symbols(text: str) -> tuple[str, ...]:
    if not text:
        raise _bad("symbols is required")
    names = text.split(",")
    for name in names:
        if not is_symbol(name):
            raise _bad(f"invalid symbol: {name}")
    return tuple(sorted(set(names)))


def _limit(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not 1 <= int(text) <= _LIMIT_MAX:
        raise _bad(f"invalid limit: {text}, must be between 1 and {_LIMIT_MAX}")
    return int(text)


def _range(parameters: Mapping[str, str], *, feed: str, now: dt.datetime) -> tuple[int, int]:
    latest = now - EMBARGO if feed == "sip" else now
    latest_ns = int(latest.timestamp() * 1e6) * 1000
    end_ns = _epoch_ns("end", parameters["end"]) if "end" in parameters else latest_ns
    if end_ns > latest_ns and feed == "sip":
        raise RefusedError(403, RECENT_SIP)
    today = now.astimezone(_NEW_YORK).date().isoformat()
    start_ns = _epoch_ns("start", parameters.get("start", today))
    if start_ns > end_ns and "start" in parameters:
        raise _bad("end should not be before start")
    # A range that starts within a microsecond starts with the next one.
    return -(-start_ns // 1000), end_ns // 1000


def _epoch_ns(name: str, text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 instant or a date."""
    try:
        if _DATE.fullmatch(text):
            day = dt.date.fromisoformat(text)
            return int(dt.datetime.combine(day, dt.time(), tzinfo=_NEW_YORK).timestamp()) * 1_000_000_000
        if match := _INSTANT.fullmatch(text):
            seconds, fraction, zone = match.groups(default="")
            instant = dt.datetime.fromisoformat(seconds + zone)
            return int(instant.timestamp()) * 1_000_000_000 + int(fraction.ljust(9, "0"))
    except (ValueError, OverflowError) as error:
        raise _bad(f"invalid {name}: {text}") from error
    raise _bad(f"invalid {name}: {text}")
