"""What a bars request asks for, and the answers Alpaca gives to a wrong one."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from ingest_service.emulator.accounts import Plan
from ingest_service.emulator.resampled import parse_timeframe
from ingest_service.emulator.source import MINUTE_US

__all__ = [
    "RECENT_SIP",
    "BarsQuery",
    "PageToken",
    "RefusedError",
    "check_feed",
    "is_symbol",
    "parse_bars_query",
    "parse_crypto_query",
    "parse_limit",
    "parse_symbols",
]

RECENT_SIP = {"code": 42210000, "message": "subscription does not permit querying recent SIP data"}
EMBARGO = dt.timedelta(minutes=15)
_LIMIT_DEFAULT, _LIMIT_MAX = 1000, 10_000
_NEW_YORK = ZoneInfo("America/New_York")
_SYMBOL = re.compile(r"[A-Z]{1,8}(\.[A-Z]{1,3})?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})")
_CRYPTO_SYMBOL = re.compile(r"[A-Z0-9]{1,8}/[A-Z]{3,5}")
_ADJUSTMENTS = {"raw", "split", "dividend", "spin-off", "all"}
_ONLY = {"currency": {"USD"}, "sort": {"asc", "desc"}}


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
    """A valid request: sorted symbols, closed range in microseconds since the epoch, page size.

    `minutes` is the length of a bar, 0 a day. `adjustments` are Alpaca's words without `raw`. `asof` is the day
    whose symbols are meant; None asks for what traded under the name itself.
    """

    symbols: tuple[str, ...]
    start_us: int
    end_us: int
    limit: int
    descending: bool
    token: PageToken | None
    currency: str | None
    minutes: int = 1
    adjustments: frozenset[str] = frozenset()
    asof: dt.date | None = None


def parse_bars_query(
    parameters: Mapping[str, str],
    *,
    served_feeds: Sequence[str],
    plan: Plan,
    now: dt.datetime,
    symbol: str | None = None,
) -> BarsQuery:
    """Check a request as Alpaca does.

    Weeks, months and other currencies are not served; what else Alpaca offers is refused, not silently
    answered with something different. An omitted `feed` means `sip`. A date without time is midnight in New
    York (assumed). A range ends at the last finished minute.

    Parameters
    ----------
    parameters
        The query string.
    served_feeds
        The feeds that answer.
    plan
        What the key may ask for.
    now
        Server's clock.
    symbol
        Set on the single-symbol path.

    Raises
    ------
    RefusedError
        With the status and body to answer.
    """
    symbols = _symbols(parameters.get("symbols", "") if symbol is None else symbol, _SYMBOL)
    minutes = _minutes(parameters)
    _refuse_others(parameters)
    adjustments = frozenset(parameters.get("adjustment", "raw").split(","))
    if not adjustments <= _ADJUSTMENTS:
        raise _bad(f"invalid adjustment: {parameters['adjustment']}")
    feed = check_feed(parameters, served_feeds)
    start_us, end_us = _range(parameters, withheld=feed == "sip" and not plan.has_recent_sip, now=now)
    return BarsQuery(
        **_common(parameters, symbols),
        start_us=start_us,
        end_us=min(end_us, int(now.timestamp() * 1e6) - (MINUTE_US if minutes else 0)),
        minutes=minutes,
        adjustments=adjustments - {"raw"},
        asof=_asof(parameters, now),
    )


def parse_crypto_query(parameters: Mapping[str, str], *, now: dt.datetime) -> BarsQuery:
    """Check a request for crypto bars: pairs such as `BTC/USD`, no feed, no embargo, days in UTC."""
    minutes = _minutes(parameters)
    _refuse_others(parameters)
    symbols = _symbols(parameters.get("symbols", ""), _CRYPTO_SYMBOL)
    start_us, end_us = _range(parameters, withheld=False, now=now, zone=dt.UTC)
    return BarsQuery(
        **_common(parameters, symbols),
        start_us=start_us,
        end_us=min(end_us, int(now.timestamp() * 1e6) - MINUTE_US),
        minutes=minutes or 24 * 60,
    )


def check_feed(parameters: Mapping[str, str], served_feeds: Sequence[str]) -> str:
    """The feed that is asked for. Raises `RefusedError` (400) if it is not served."""
    feed = parameters.get("feed", "sip")
    if feed not in served_feeds:
        raise _bad(f"invalid feed: {feed}")
    return feed


def _common(parameters: Mapping[str, str], symbols: tuple[str, ...]) -> dict[str, Any]:
    token = PageToken.decode(parameters["page_token"]) if "page_token" in parameters else None
    if token is not None and token.symbol not in symbols:
        raise _bad("invalid page_token")
    return {
        "symbols": symbols,
        "limit": parse_limit(parameters, _LIMIT_DEFAULT, _LIMIT_MAX),
        "descending": parameters.get("sort") == "desc",
        "token": token,
        "currency": parameters.get("currency"),
    }


def _minutes(parameters: Mapping[str, str]) -> int:
    minutes = parse_timeframe(parameters.get("timeframe", ""))
    if minutes is None:
        raise _bad(f"invalid timeframe: {parameters.get('timeframe', '')}")
    return minutes


def _refuse_others(parameters: Mapping[str, str]) -> None:
    for name, allowed in _ONLY.items():
        if name in parameters and parameters[name] not in allowed:
            raise _bad(f"invalid {name}: {parameters[name]}")


def _asof(parameters: Mapping[str, str], now: dt.datetime) -> dt.date | None:
    text = parameters.get("asof")
    if text == "-":
        return None
    if text is None:
        return now.astimezone(_NEW_YORK).date()
    try:
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
    except ValueError:
        pass
    raise _bad(f"invalid asof: {text}")


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


def parse_symbols(parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Stocks that are asked for, sorted. Raises `RefusedError` (400) naming the first that is no symbol."""
    return _symbols(parameters.get("symbols", ""), _SYMBOL)


def _symbols(text: str, rule: re.Pattern[str]) -> tuple[str, ...]:
    if not text:
        raise _bad("symbols is required")
    names = text.split(",")
    for name in names:
        if not rule.fullmatch(name):
            raise _bad(f"invalid symbol: {name}")
    return tuple(sorted(set(names)))


def parse_limit(parameters: Mapping[str, str], default: int, most: int) -> int:
    """Rows a page, 1 to `most`. Raises `RefusedError` (400) if it is no such number."""
    text = parameters.get("limit", str(default))
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not 1 <= int(text) <= most:
        raise _bad(f"invalid limit: {text}, must be between 1 and {most}")
    return int(text)


def _range(
    parameters: Mapping[str, str], *, withheld: bool, now: dt.datetime, zone: dt.tzinfo = _NEW_YORK
) -> tuple[int, int]:
    latest = now - EMBARGO if withheld else now
    latest_ns = int(latest.timestamp() * 1e6) * 1000
    end_ns = _epoch_ns("end", parameters["end"], zone) if "end" in parameters else latest_ns
    if end_ns > latest_ns and withheld:
        raise RefusedError(403, RECENT_SIP)
    today = now.astimezone(zone).date().isoformat()
    start_ns = _epoch_ns("start", parameters.get("start", today), zone)
    if start_ns > end_ns and "start" in parameters:
        raise _bad("end should not be before start")
    # A range that starts within a microsecond starts with the next one.
    return -(-start_ns // 1000), end_ns // 1000


def _epoch_ns(name: str, text: str, zone: dt.tzinfo) -> int:
    """Nanoseconds since the epoch of an RFC 3339 instant, or of a date's midnight in that zone."""
    try:
        if _DATE.fullmatch(text):
            day = dt.date.fromisoformat(text)
            return int(dt.datetime.combine(day, dt.time(), tzinfo=zone).timestamp()) * 1_000_000_000
        if match := _INSTANT.fullmatch(text):
            seconds, fraction, offset = match.groups(default="")
            instant = dt.datetime.fromisoformat(seconds + offset)
            return int(instant.timestamp()) * 1_000_000_000 + int(fraction.ljust(9, "0"))
    except (ValueError, OverflowError) as error:
        raise _bad(f"invalid {name}: {text}") from error
    raise _bad(f"invalid {name}: {text}")
