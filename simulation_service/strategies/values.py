"""Parameter values from text, as they come from a command line."""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Iterable
from typing import Any

from barlake.errors import InvalidInputError

__all__ = ["hints_of", "parse_value", "settings_of"]

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


def settings_of(texts: Iterable[str]) -> dict[str, str]:
    """Parameters of a strategy from texts such as `fast_bars=5`; the strategy itself reads the values.

    Examples
    --------
    >>> settings_of(["fast_bars=5", "slow_bars=50"])
    {'fast_bars': '5', 'slow_bars': '50'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise InvalidInputError(f"--set {text!r} is not name=value: write it as --set fast_bars=5.")
        if name.strip() in found:
            raise InvalidInputError(f"--set {name.strip()!r} is given twice: give each parameter once.")
        found[name.strip()] = value.strip()
    return found
