"""What can go wrong between a client and a data source, on purpose and reproducibly.

A fault never destroys data: a request that was disturbed is answered properly when it is repeated, and
a minute that was withheld is served the second time. Where faults strike depends only on the seed, the
period and the order of the requests. Single faults for single requests are ordered in `fault_rules.py`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Self

import polars as pl

from barlake.errors import InvalidInputError, did_you_mean
from ingest_service.emulator.draws import drawn
from ingest_service.emulator.pages import Page

__all__ = ["Fault", "FaultInjector"]


class Fault(StrEnum):
    """One way in which an answer can be bad; `description` says what a client sees."""

    description: str

    def __new__(cls, value: str, description: str) -> Self:
        """Member whose value is its name on the command line."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    NONE = "none", "every answer is good"
    RATE_LIMIT = "rate_limit", "429 although the budget is not used up, with a reset about one second ahead"
    SERVER_ERROR = "server_error", "500, in turn with a JSON body and with an HTML page"
    TRUNCATED_JSON = "truncated_json", "half of the JSON, with a Content-Length that matches the half"
    DUPLICATE_BORDER = "duplicate_border", "a page begins with the last row of the page before it"
    OUT_OF_ORDER = "out_of_order", "the rows of a page are shuffled"
    SLOW = "slow", "the answer comes late"
    MISSING_MINUTES = "missing_minutes", "some minutes are withheld the first time they are asked for"
    HANG = "hang", "no answer for a long time: only the client's own timeout ends it"
    DROP = "drop", "the connection closes in the middle of the body"
    STATUS = "status", "an error of any status, 503 unless told otherwise, with a JSON, HTML or empty body"
    CORRUPT_GZIP = "corrupt_gzip", "a compressed body that cannot be unpacked"
    NAN = "nan", "some prices are NaN, which is no JSON"
    NULL_BARS = "null_bars", "`bars` is null, the rest of the page as it should be"
    NULL_SYMBOL = "null_symbol", "the bars of a symbol are null"
    MISSING_FIELD = "missing_field", "some rows lack their close"
    FLOAT_VOLUME = "float_volume", "volumes are written as floats, such as 100.0"
    DUPLICATE_PAGE = "duplicate_page", "a page begins with all rows of the page before it"
    REPEAT_TOKEN = "repeat_token", "the next page token is the one that was sent, so that pages never end"
    EMPTY_TOKEN = "empty_token", "the next page token is an empty text"
    FOREIGN_SYMBOL = "foreign_symbol", "rows of a symbol that was not asked for"
    OUTSIDE_WINDOW = "outside_window", "a row from a week before the window"
    MISSING_SESSION = "missing_session", "the last day of a page is withheld"
    PARTIAL_SESSION = "partial_session", "the second half of the last day of a page is withheld"
    UNFINISHED_MINUTE = "unfinished_minute", "the bar of the minute that still runs is served"
    CLOCK_SKEW = "clock_skew", "`Date` is wrong, by five minutes unless told otherwise"

    @classmethod
    def parse(cls, value: str) -> Fault:
        """Fault of that name, in any case; `InvalidInputError` lists the names there are.

        Examples
        --------
        >>> Fault.parse("DROP").description
        'the connection closes in the middle of the body'
        """
        name = str(value).lower()
        for member in cls:
            if member.value == _ALIASES.get(name, name):
                return member
        names = [member.value for member in cls]
        raise InvalidInputError(
            f"fault {value!r} is not known: use one of {', '.join(names)}.{did_you_mean(str(value), names)}"
        )


_ALIASES = {
    "delay": "slow",
    "duplicate_border_row": "duplicate_border",
    "out_of_order_rows": "out_of_order",
    "short_body": "drop",
    "storm": "rate_limit",
    "truncate": "truncated_json",
}
"""Other names of the same things."""

_NEEDS_A_PAGE_BEFORE = {Fault.DUPLICATE_BORDER, Fault.DUPLICATE_PAGE, Fault.REPEAT_TOKEN}


class FaultInjector:
    """Decides which requests are disturbed, and withholds minutes.

    In every block of `period` data requests one is disturbed, at a place drawn from the seed; the kinds
    take turns. A request that was disturbed goes through untouched when it is repeated, so a client that
    tries twice gets everything. `MISSING_MINUTES` takes no turn: it touches rows of every answer, each
    row once.

    Parameters
    ----------
    faults
        Kinds to inject.
    period
        Length of a block, at least 2.
    seed
        Draws the places and the withheld minutes.
    missing_share
        Fraction of minutes to withhold once.
    """

    def __init__(self, faults: Sequence[Fault], *, period: int, seed: int, missing_share: float) -> None:
        self._period = period
        self._seed = seed
        self._missing_share = missing_share
        self.arm(faults)

    def arm(self, faults: Sequence[Fault]) -> None:
        """Inject these kinds from now on and forget what has been injected."""
        self.faults = tuple(dict.fromkeys(fault for fault in faults if fault is not Fault.NONE))
        self._kinds = [fault for fault in self.faults if fault is not Fault.MISSING_MINUTES]
        self._requests = 0
        self._turn = self._seed
        self._due = 0
        self._disturbed: set[str] = set()
        self._withheld: dict[str, set[int]] = {}

    def next(self, identity: str, *, continues: bool) -> Fault | None:
        """Fault for this data request, or None.

        Parameters
        ----------
        identity
            Path and query of the request: the same text is the same page.
        continues
            Whether the request carries a page token; only then is there a border to repeat.
        """
        if not self._kinds:
            return None
        block, place = divmod(self._requests, self._period)
        self._requests += 1
        if place == random.Random(f"{self._seed}/{block}").randrange(self._period):  # noqa: S311 - no secret
            self._due += 1
        if identity in self._disturbed:
            self._disturbed.remove(identity)
            return None
        # A fault that did not fit its request is kept for the next one that it fits.
        kind = self._kinds[self._turn % len(self._kinds)]
        if self._due == 0 or (kind in _NEEDS_A_PAGE_BEFORE and not continues):
            return None
        self._due = 0
        self._turn += 1
        self._disturbed.add(identity)
        return kind

    def withhold_from(self, page: Page) -> Page:
        """A page without the minutes that are withheld."""
        if Fault.MISSING_MINUTES not in self.faults:
            return page
        rows = {symbol: self.withhold(symbol, frame) for symbol, frame in page.rows.items()}
        return Page({symbol: frame for symbol, frame in rows.items() if frame.height}, page.next_token)

    def withhold(self, symbol: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows without those minutes that are asked for the first time and drawn to be missing."""
        if Fault.MISSING_MINUTES not in self.faults or rows.is_empty():
            return rows
        stamps = rows["timestamp"].to_physical().to_numpy()
        missing = drawn(stamps, share=self._missing_share, key=f"{self._seed}/{symbol}")
        withheld = self._withheld.setdefault(symbol, set())
        fresh = {int(stamp) for stamp in stamps[missing]} - withheld
        withheld |= fresh
        return rows.filter(~pl.Series([int(stamp) in fresh for stamp in stamps], dtype=pl.Boolean))
