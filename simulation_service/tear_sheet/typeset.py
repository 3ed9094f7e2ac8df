"""Figures and instants as a reader expects them in print: true minus signs, grouped digits, New York time."""

from __future__ import annotations

import datetime as dt

from barlake.sessions import NEW_YORK

__all__ = ["UNDEFINED", "day", "duration", "eastern", "number"]

UNDEFINED = "\N{EN DASH}"

_FORMATS = {
    "percent": "{:+,.2%}",
    "fine_percent": "{:+,.4%}",
    "share": "{:,.2%}",
    "whole_share": "{:,.0%}",
    "ratio": "{:,.2f}",
    "points": "{:+,.1f}",
    "dollars": "{:+,.2f}",
    "usd": "{:,.2f}",
    "count": "{:,}",
    "whole": "{:,.0f}",
}
_CENTS_ONLY = 2
_MINUTES = (("min", 1), ("h", 60), ("d", 1440), ("y", 525_600))


def number(value: float | str | None, kind: str) -> str:
    """A figure for eyes: digits in groups, a true minus sign, a dash where it is not defined.

    Parameters
    ----------
    kind
        Signed: `percent`, `fine_percent`, `points` (one decimal), `dollars`. Unsigned above 0: `share`, `whole_share`,
        `ratio`, `usd`, `count`, `whole`, `shares` (up to six decimals), `price` (four decimals where two do not hold
        it), and `money`, which is exact decimal text.

    Examples
    --------
    >>> number("1234.5", "money"), number(1234.5, "dollars"), number(0, "points")
    ('1,234.5', '+1,234.50', '0.0')
    """
    if value is None:
        return UNDEFINED
    if kind == "money":
        whole, point, cents = str(value).lstrip("-").partition(".")
        sign = "-" if str(value).startswith("-") else ""
        return _typeset(f"{sign}{int(whole):,}{point}{cents}")
    if kind == "price":
        price = float(value)
        return f"{price:,.2f}" if round(price, _CENTS_ONLY) == price else f"{price:,.4f}"
    if kind == "shares":
        return _typeset(f"{float(value):,.6f}".rstrip("0").rstrip("."))
    return _without_sign_of_zero(_typeset(_FORMATS[kind].format(value)))


def _typeset(text: str) -> str:
    """The same number with a minus sign as wide as a digit and a space that keeps the percent sign with it."""
    return text.replace("-", "\N{MINUS SIGN}").replace("%", "\N{NO-BREAK SPACE}%")


def _without_sign_of_zero(text: str) -> str:
    """A loss too small to show is not shown as minus nothing, nor a gain as plus nothing."""
    return text if any(digit in text for digit in "123456789") else text.lstrip("+\N{MINUS SIGN}")


def eastern(instant: dt.datetime | str | None) -> str:
    """New York clock time of an instant, for eyes.

    Examples
    --------
    >>> eastern("2024-01-02T14:30:00+00:00")
    '2024-01-02 09:30'
    """
    if instant is None:
        return UNDEFINED
    stamp = dt.datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return stamp.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M")


def day(date: dt.date | str) -> str:
    """A date as in a text.

    Examples
    --------
    >>> day("2024-01-02")
    '2 January 2024'
    """
    date = dt.date.fromisoformat(date[:10]) if isinstance(date, str) else date
    return f"{date.day} {date:%B %Y}"


def duration(minutes: float) -> str:
    """A length of time in its largest whole unit.

    Examples
    --------
    >>> [duration(minutes).split() for minutes in (1, 60, 2880)]
    [['1', 'min'], ['1', 'h'], ['2', 'd']]
    """
    unit, length = next((unit, length) for unit, length in reversed(_MINUTES) if minutes >= length or length == 1)
    return f"{minutes / length:.0f}\N{NO-BREAK SPACE}{unit}"
