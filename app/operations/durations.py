"""Spans of time in words, and back."""

from __future__ import annotations

import datetime as dt
import re

from barlake.errors import InvalidInputError
from barlake.ranges import parse_instant

__all__ = ["age", "since_instant", "span_text"]

_SINCE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|m|min|h|d)")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


def age(seconds: float) -> str:
    """A span in its two largest units.

    Examples
    --------
    >>> age(7.4), age(80), age(3700), age(200_000)
    ('7 s', '1 min 20 s', '1 h 1 min', '2 d 7 h')
    """
    whole = int(max(seconds, 0))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    if whole < _DAY:
        return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 // 60 else "")
    return f"{whole // 86400} d" + (f" {whole % 86400 // 3600} h" if whole % 86400 // 3600 else "")


def span_text(span: dt.timedelta) -> str:
    """A span in words."""
    return age(span.total_seconds())


def since_instant(text: str, now: dt.datetime, *, name: str = "since") -> dt.datetime:
    """The instant that `15m`, `2h` or `1d` ago was, or that the text itself is, UTC.

    Parameters
    ----------
    name
        What the message of an error calls it.

    Raises
    ------
    InvalidInputError
        If it is neither, or before the first year there is.

    Examples
    --------
    >>> since_instant("2h", dt.datetime(2024, 1, 2, 21, tzinfo=dt.UTC)).isoformat()
    '2024-01-02T19:00:00+00:00'
    """
    found = _SINCE.fullmatch(text.strip().lower())
    try:
        if found:
            return now - dt.timedelta(seconds=float(found[1]) * _UNITS[found[2]])
        instant = parse_instant(text, name)
        assert instant is not None  # noqa: S101 - the text is one
    except (InvalidInputError, OverflowError) as error:
        raise InvalidInputError(
            f"{name} {text!r} is neither a span, such as 15m, 2h or 1d, nor an instant with its zone, such as "
            "2024-01-02T21:00:00Z."
        ) from error
    return instant
