"""Settings and origin of a run as names and texts, whatever its plan holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

__all__ = ["Fact", "hashes", "listed", "settings", "shares_by_source"]

_NOT_USED: tuple[Any, ...] = (None, 0, 0.0, False, "", (), [])
_HASH_LENGTH = 16
_UNITS = {"_usd": "${}", "_bps": "{} bps"}
_SHOWN_APART = {"symbol", "symbols", "feed", "session", "start", "end"}


@dataclass(frozen=True)
class Fact:
    """A name and its text; a hash is set in another type."""

    name: str
    text: str
    is_hash: bool = False


def settings(parameters: Mapping[str, Any]) -> list[Fact]:
    """What the run was told to do; in a group what is not used is left out, and an empty one says none.

    Examples
    --------
    >>> settings({"rules": {"stop_loss": 0.01, "take_profit": None}})
    [Fact(name='rules', text='stop loss 0.01', is_hash=False)]
    """
    found: list[Fact] = []
    for name, value in parameters.items():
        if name in _SHOWN_APART:
            continue
        if isinstance(value, Mapping):
            inner = {key: deep for key, deep in value.items() if isinstance(deep, Mapping)}
            plain = {key: flat for key, flat in value.items() if key not in inner}
            if plain or not inner:
                found.append(Fact(_words(name), listed(plain)))
            found += [Fact(_words(key), listed(deep)) for key, deep in inner.items()]
        elif value is not None:
            found.append(Fact(_words(name), _text(value, name)))
    return found


def listed(group: Mapping[str, Any]) -> str:
    """What of a group is used, by name and with its unit; `none` where nothing is.

    Examples
    --------
    >>> listed({"half_spread_bps": 1.0, "per_share_usd": 0.0})
    'half spread 1 bps'
    """
    used = [f"{_words(name)} {_text(value, name)}" for name, value in group.items() if value not in _NOT_USED]
    return ", ".join(used) or "none"


def _text(value: Any, name: str = "") -> str:
    """A value with the unit that its name ends with."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return listed(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(one) for one in value)
    unit = next((text for ending, text in _UNITS.items() if name.endswith(ending)), "{}")
    if isinstance(value, str):
        return unit.format(f"{Decimal(value):,}" if unit != "{}" else value.replace("_", " "))
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.12f}".rstrip("0").rstrip(".")
    return unit.format(text)


def _words(name: str) -> str:
    unit = next((ending for ending in _UNITS if name.endswith(ending)), "")
    return name.removesuffix(unit).replace("_", " ")


def hashes(inputs: Mapping[str, Any], *, code: str, run_id: str) -> list[Fact]:
    """Everything the run was made from, by hash: bars of each symbol, what gave the signals, code, and the run."""
    found = [
        Fact(f"{bars['symbol']}, {bars['rows']:,} bars of all hours", str(bars["content_hash"]), is_hash=True)
        for bars in inputs["bars"]["symbols"]
    ]
    for name, value in inputs.items():
        if name != "bars" and value is not None:
            found += [
                Fact(_words(label), text, is_hash=len(text) >= _HASH_LENGTH) for label, text in _leaves(name, value)
            ]
    return [*found, Fact("code", code, is_hash=True), Fact("run", run_id, is_hash=True)]


def _leaves(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [leaf for key, deep in value.items() for leaf in _leaves(f"{name} {key}", deep)]
    return [(name, _text(value))]


def shares_by_source(bars: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Source, bars and their share of all, the largest first.

    Examples
    --------
    >>> shares_by_source({"import": 1, "alpaca": 3})
    [('alpaca', 3, 0.75), ('import', 1, 0.25)]
    """
    total = sum(bars.values())
    ordered = sorted(bars.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(name, count, count / total) for name, count in ordered if total]
