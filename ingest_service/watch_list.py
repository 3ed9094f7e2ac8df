"""The watch list: which securities a lake is kept complete of, since when, and what each source calls them.

What the file may say, and every complaint about it, is in `securities_file.py`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from barlake.errors import InvalidInputError, NotFoundError, did_you_mean
from barlake.keys import parse_symbol
from barlake.settings import Settings

__all__ = ["CATEGORIES", "RECORDS", "Security", "WatchList", "find_watch_list", "load_watch_list"]

CATEGORIES = ("indices", "etfs", "stocks", "crypto")
"""Categories that mean something: Alpaca has no bars of indices, crypto never closes. Others may be made up."""

RECORDS = ("daily", "news")
"""Kinds of records that may be kept of securities, besides minute bars."""

DEFAULT_HISTORY = dt.timedelta(days=365)
"""How far back a security without a start reaches."""

_NOT_IN_SOURCES = re.compile(r"[^a-z0-9_]+")
_LONGEST_SOURCE = 32
_PUNCTUATION = re.compile(r"[^A-Z0-9]")


@dataclass(frozen=True)
class Security:
    """One entry of the watch list.

    Parameters
    ----------
    names
        Source -> what it calls the security; sources that are not named call it by its symbol.
    start
        First session wanted; None reaches a year back.
    line
        Where it stands in the file; of one from a ready-made list, where the list is included.
    included
        The ready-made list it comes from; None for an entry of the file's own.
    """

    symbol: str
    category: str = "stocks"
    enabled: bool = True
    names: Mapping[str, str] = field(default_factory=dict)
    start: dt.date | None = None
    line: int = 0
    included: str | None = None

    def name_at(self, source: str) -> str | None:
        """What a source calls it; None where the source is known to have no such thing under its symbol."""
        if source in self.names:
            return self.names[source]
        return None if self.category == "indices" else self.symbol

    def is_renamed(self, source: str) -> bool:
        """Whether rows of this source come under another name that is no mere spelling of the symbol.

        Such a name may be another instrument: Alpaca's SPY is a fund, a tenth of the index SPX. Rows carry
        `provenance`, and a series never changes over to such a source by itself.

        Examples
        --------
        >>> security = Security("BRK.B", names={"yahoo": "BRK-B", "alpaca": "BRK.A"})
        >>> security.is_renamed("yahoo"), security.is_renamed("alpaca")
        (False, True)
        """
        name = self.name_at(source)
        return name is not None and _PUNCTUATION.sub("", name.upper()) != _PUNCTUATION.sub("", self.symbol)

    def provenance(self, source: str) -> str:
        """The source as rows should tell it, also where the name may mean something else.

        Examples
        --------
        >>> Security("SPY").provenance("alpaca"), Security("SPX", names={"alpaca": "SPY"}).provenance("alpaca")
        ('alpaca', 'alpaca-spy')
        """
        full = f"{source}-{self.name_at(source)}" if self.is_renamed(source) else source
        return _NOT_IN_SOURCES.sub("-", full.lower()).strip("-")[:_LONGEST_SOURCE]

    def first_session(self, today: dt.date) -> dt.date:
        """First date wanted, in terms of today."""
        return self.start or today - DEFAULT_HISTORY


@dataclass(frozen=True)
class WatchList:
    """The securities of one file, in its order.

    Parameters
    ----------
    features
        Feature sets that are kept up to date.
    records
        Kinds of records that are kept of the securities: `daily`, `news`.
    macro
        Macro series that are kept.
    warnings
        What is allowed and still worth saying.
    """

    path: Path
    securities: tuple[Security, ...]
    features: tuple[str, ...] = ("core",)
    warnings: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    macro: tuple[str, ...] = ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories that have an entry, in the file's order."""
        return tuple(dict.fromkeys(one.category for one in self.securities))

    def get(self, symbol: str) -> Security | None:
        """The entry of a symbol, enabled or not."""
        return next((one for one in self.securities if one.symbol == symbol), None)

    def select(
        self,
        *,
        categories: Collection[str] = (),
        only: Collection[str] = (),
        skip: Collection[str] = (),
    ) -> tuple[Security, ...]:
        """Enabled securities of these categories and symbols, without those to skip; empty means no restriction.

        Raises
        ------
        NotFoundError
            If a category or symbol is not on the list: a misspelt one must not quietly select nothing.
        InvalidInputError
            If `only` names one that is switched off, or nothing is left.
        """
        for name in categories:
            if name not in self.categories:
                have = ", ".join(self.categories) or "none"
                hint = did_you_mean(name, self.categories)
                raise NotFoundError(f"category {name!r} has no entry in {self.path}, which has {have}.{hint}")
        wanted, unwanted = self._known(only), self._known(skip)
        for symbol in sorted(wanted):
            found = self.get(symbol)
            if found is not None and not found.enabled:
                raise InvalidInputError(f"{symbol} is switched off at {self.path}:{found.line}: set `enabled: true`.")
        chosen = tuple(
            one
            for one in self.securities
            if one.enabled
            and (not categories or one.category in categories)
            and (not wanted or one.symbol in wanted)
            and one.symbol not in unwanted
        )
        if not chosen:
            raise InvalidInputError(
                f"nothing is selected of the {len(self.securities)} securities in {self.path}: "
                "enable one, or ask for less narrow categories and symbols."
            )
        return chosen

    def _known(self, names: Iterable[str]) -> set[str]:
        symbols = [one.symbol for one in self.securities]
        wanted = {parse_symbol(name) for name in names}
        for name in sorted(wanted - set(symbols)):
            raise NotFoundError(f"symbol {name!r} is not in {self.path}.{did_you_mean(name, symbols)}")
        return wanted


def find_watch_list(settings: Settings, root: Path) -> Path:
    """The watch list's file: `BARLAKE_SECURITIES`, or `securities.yaml` here, or the one in the lake.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    if settings.securities_file is not None:
        if not settings.securities_file.is_file():
            raise NotFoundError(f"BARLAKE_SECURITIES names {settings.securities_file}, and there is no such file.")
        return settings.securities_file
    places = (Path("securities.yaml"), root / "securities.yaml")
    for place in places:
        if place.is_file():
            return place
    raise NotFoundError(
        f"no watch list: neither ./securities.yaml nor {places[1]} is there. "
        "`barlake securities init` writes one to start from; BARLAKE_SECURITIES names another."
    )


def load_watch_list(path: Path | str) -> WatchList:
    """The securities of a file, in its order; those of included lists follow.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InvalidInputError
        If anything in it is wrong; the message has a line for each fault: file, line, what was given, the rule.
    """
    from ingest_service.securities_file import read_securities_file  # noqa: PLC0415 - it reads into these classes

    return read_securities_file(Path(path))
