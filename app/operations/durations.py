"""Spans of time in words."""

from __future__ import annotations

import datetime as dt

__all__ = ["age", "span_text"]

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
