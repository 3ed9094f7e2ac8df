"""Clock: where in its session and week a bar stands. Known before the bar, from the exchange calendar.

A date that is no session of the exchange has no opening and no close: minutes are null there.
"""

from __future__ import annotations

import math

import polars as pl

from feature_service.declare import feature

__all__ = [
    "day_of_week",
    "minute_of_session",
    "minutes_since_bar",
    "minutes_to_close",
    "session_cosine",
    "session_minutes",
    "session_sine",
]

TIMESTAMP = pl.col("timestamp")
_ONE_BAR_MINUTES = 1
_ANGLE = 2 * math.pi / 390


@feature(unit="minutes", history_bars=0)
def minute_of_session() -> pl.Expr:
    """Minutes from the session's opening to the bar's: 0 at 09:30, 389 at 15:59 New York.

    Formula: timestamp - session open. Negative before the opening; from the clock, not from counting
    bars, so a minute without a bar shifts nothing.
    Source: XNYS calendar.
    """
    return (TIMESTAMP - pl.col("session_open")).dt.total_minutes()


@feature(unit="minutes", history_bars=0)
def minutes_to_close() -> pl.Expr:
    """Minutes left in the session once the bar is complete: 389 after the first bar, 0 after the last.

    Formula: session close - timestamp - 1 minute. Early closes count as scheduled. Negative after the
    close.
    Source: XNYS calendar.
    """
    return (pl.col("session_close") - TIMESTAMP).dt.total_minutes() - _ONE_BAR_MINUTES


@feature(unit="1 Monday to 7 Sunday", history_bars=0)
def day_of_week() -> pl.Expr:
    """Weekday of the session.

    Formula: ISO weekday of the session's New York date.
    Source: ISO 8601.
    """
    return pl.col("session").dt.weekday()


@feature(unit="sine", history_bars=0)
def session_sine() -> pl.Expr:
    """Place in the session on a circle, first coordinate: 0 at the opening, 1 after a quarter of 390 minutes.

    Formula: sin(2 * pi * minutes since the session's opening / 390).
    Source: the definition.
    """
    return (minute_of_session() * _ANGLE).sin()


@feature(unit="cosine", history_bars=0)
def session_cosine() -> pl.Expr:
    """Place in the session on a circle, second coordinate: 1 at the opening and at 16:00, -1 halfway.

    Formula: cos(2 * pi * minutes since the session's opening / 390).
    Source: the definition.
    """
    return (minute_of_session() * _ANGLE).cos()


@feature(unit="minutes", history_bars=1)
def minutes_since_bar() -> pl.Expr:
    """Minutes without a bar before this one: 0 in a busy market, the whole night at the opening.

    Formula: timestamp - previous timestamp - 1 minute.
    Source: the definition.
    """
    return (TIMESTAMP - TIMESTAMP.shift(1)).dt.total_minutes() - _ONE_BAR_MINUTES


@feature(unit="minutes", history_bars=0)
def session_minutes() -> pl.Expr:
    """How long the session lasts: 390, or 210 on most days of an early close. Known before it opens.

    Formula: session close - session open.
    Source: XNYS calendar.
    """
    return (pl.col("session_close") - pl.col("session_open")).dt.total_minutes()
