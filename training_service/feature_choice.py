"""Which build of a feature set a training reads: the newest one over these hours, of prices so adjusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from barlake.errors import NotFoundError
from barlake.feature_tables import FeatureTables
from barlake.keys import Adjustment, FeatureSetKey, SessionFilter

__all__ = ["FeatureChoice", "feature_inputs"]

_BUILT_BY_DEFAULT = {"session": SessionFilter.REGULAR.value, "adjustment": Adjustment.RAW.value, "context": None}
"""What `barlake features` does without these options."""

_DEFAULT_SET = "core"


@dataclass(frozen=True)
class FeatureChoice:
    """What a build must be to be taken; of several the newest is, whatever its context symbol."""

    name: str
    feed: str
    session: SessionFilter
    adjustment: Adjustment

    def newest(self, tables: FeatureTables, symbols: Sequence[str]) -> FeatureSetKey:
        """Newest such version that holds the primary symbol, the first one.

        Raises
        ------
        NotFoundError
            If there is none; the message has the command that builds it.
        """
        builds = tables.versions(self.name).filter(feed=self.feed, symbol=symbols[0])
        for row in builds.sort("created_at", "version", descending=True).iter_rows(named=True):
            # A table that says nothing of its prices holds them as they were traded.
            prices = row["adjustment"] or Adjustment.RAW.value
            if (row["session"], prices) == (self.session.value, self.adjustment.value):
                return FeatureSetKey(row["name"], row["version"])
        wanted = {"session": self.session.value, "adjustment": self.adjustment.value}
        raise NotFoundError(
            f"symbol {symbols[0]!r} has no feature set {self.name!r} for feed {self.feed!r} over session "
            f"{self.session.value!r} with adjustment {self.adjustment.value!r}: build it with "
            f"`{_build_command(symbols, self.name, wanted)}`."
        )


def feature_inputs(tables: FeatureTables, key: FeatureSetKey, symbols: Sequence[str]) -> dict[str, Any]:
    """By symbol, what its feature table was made from: the snapshot of its bars.

    Raises
    ------
    NotFoundError
        If this version has no table of a symbol; the message has the command that builds them all.
    """
    found = {}
    for symbol in symbols:
        entry = tables.entry(key, symbol)
        if entry is None:
            raise NotFoundError(
                f"symbol {symbol!r} is not in version {key.version} of feature set {key.name!r}, the newest of "
                f"{symbols[0]!r}: build them together with "
                f"`{_build_command(symbols, key.name, tables.definition(key))}`."
            )
        found[symbol] = entry["inputs"]
    return found


def _build_command(symbols: Sequence[str], name: str, definition: Mapping[str, Any]) -> str:
    """What builds such tables of all symbols; options that are the default anyway are left out."""
    options = {} if name == _DEFAULT_SET else {"set": name}
    options |= {
        option: definition[option]
        for option, usual in _BUILT_BY_DEFAULT.items()
        if definition.get(option, usual) not in {usual, None}
    }
    return " ".join(["barlake features", *symbols, *(f"--{option} {value}" for option, value in options.items())])
