"""Parameter values from text, as they come from a command line."""

from __future__ import annotations

import contextlib
import typing
from typing import Any

__all__ = ["hints_of", "parse_value"]

_WORDS: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}


def parse_value(text: str, hint: Any = Any) -> Any:
    """The value a text stands for: a whole number, a number, true, false, none, or else the text itself.

    Parameters
    ----------
    hint
        Type of the parameter; one that is only text stays text, so that a symbol `123` is no number.

    Examples
    --------
    >>> parse_value("5"), parse_value("0.5"), parse_value("none"), parse_value("SPY"), parse_value("5", str)
    (5, 0.5, None, 'SPY', '5')
    """
    if hint is str:
        return text
    word = text.strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text


def hints_of(function: Any) -> dict[str, Any]:
    """Types of a function's parameters; empty where one of them cannot be resolved."""
    try:
        return typing.get_type_hints(function)
    except NameError:
        # A name that only a type checker imports: the values still say what they are.
        return {}
