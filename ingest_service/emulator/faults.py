"""What can go wrong between a client and a data source, on purpose and reproducibly.

A fault never destroys data: a request that was disturbed is answered properly when it is repeated, and
a minute that was withheld is served the second time. Where faults strike depends only on the seed, the
period and the order of the requests.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Self

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError, did_you_mean

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

    @classmethod
    def parse(cls, value: str) -> Fault:
        """Fault of that name, in any case; `InvalidInputError` lists the names there are.

        Examples
        --------
        >>> Fault.parse("DROP").description
        'the connection closes in the middle of the body'
        """
        for member in cls:
            if member.value == str(value).lower():
                return member
        names = [member.value for member in cls]
        raise InvalidInputError(
            f"fault {value!r} is not known: use one of {', '.join(names)}.{did_you_mean(str(value), names)}"
        )


class FaultInjector:
    """Decides which requests are disturbed, and disturbs rows.

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
        Draws the places, the shuffles and the withheld minutes.
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
        self._html = True
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
        if self._due == 0 or (kind is Fault.DUPLICATE_BORDER and not continues):
            return None
        self._due = 0
        self._turn += 1
        self._disturbed.add(identity)
        return kind

    def turns_to_html(self) -> bool:
        """Whether this server error is an HTML page; the first is JSON, then they alternate."""
        self._html = not self._html
        return self._html

    def withhold(self, symbol: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows without those minutes that are asked for the first time and drawn to be missing."""
        if Fault.MISSING_MINUTES not in self.faults or rows.is_empty():
            return rows
        stamps = rows["timestamp"].to_physical().to_numpy()
        drawn = _uniform(stamps, seed=zlib.crc32(f"{self._seed}/{symbol}".encode())) < self._missing_share
        withheld = self._withheld.setdefault(symbol, set())
        fresh = {int(stamp) for stamp in stamps[drawn]} - withheld
        withheld |= fresh
        return rows.filter(~pl.Series([int(stamp) in fresh for stamp in stamps], dtype=pl.Boolean))

    def shuffled(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The same rows in an order drawn from the seed."""
        return rows.sample(fraction=1.0, shuffle=True, seed=self._seed)


def _uniform(
    stamps: np.ndarray[tuple[int, ...], np.dtype[np.int64]], *, seed: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """One number in [0, 1) for each stamp, the same whenever it is asked (SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        mixed = stamps.astype(np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed / np.float64(2**64)
