"""What an emulator is told before it starts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from barlake.errors import InvalidInputError
from barlake.keys import SYNTHETIC_FEED, parse_feed
from ingest_service.emulator.faults import Fault
from ingest_service.emulator.query import is_symbol

__all__ = ["PLACEHOLDER_KEY_ID", "PLACEHOLDER_SECRET_KEY", "EmulatorConfig"]

PLACEHOLDER_KEY_ID = "your-key-id"
PLACEHOLDER_SECRET_KEY = "your-secret-key"  # noqa: S105 - a placeholder, good for nothing but the emulator


@dataclass(frozen=True, kw_only=True)
class EmulatorConfig:
    """Which bars are served, to whom, how fast and with which faults.

    Parameters
    ----------
    bars
        Folder of Parquet files to serve; None makes bars up from `seed`.
    feed
        Name a folder is served under, `sip` unless given. Made-up bars are always `synthetic`: another
        name is refused, so that no one can store them as traded prices.
    seed
        Seed of the made-up bars and of the places where faults strike.
    symbols
        Symbols that exist when bars are made up; a folder brings its own.
    faults
        Faults to inject; `Fault.NONE` changes nothing.
    fault_period
        About one data request in so many is disturbed, at least 2.
    missing_share
        Fraction of minutes that `Fault.MISSING_MINUTES` withholds once, in (0, 1).
    slow_seconds, hang_seconds
        How long `Fault.SLOW` delays an answer, and `Fault.HANG` gives none.
    requests_per_window, window_seconds
        Budget of each key: so many requests in a fixed window, data and trading paths counted apart.
    key_id, secret_key
        The one pair of credentials that is accepted.
    now
        Instant at which the emulator's clock starts, aware; it runs on from there. None: real time.
    gzip_level
        Compression of answers for clients that accept it, 1 to 9; 0 sends them plain.
    actions
        CSV file of corporate actions to serve, as `barlake actions import` reads it; None serves none.
    cached_rows
        Bars of a folder kept in memory, about 72 bytes each; the least recently used symbol leaves first.

    Raises
    ------
    InvalidInputError
        If a value breaks its rule; the message names it.
    """

    bars: Path | None = None
    feed: str | None = None
    seed: int = 0
    symbols: tuple[str, ...] = ("SYNA", "SYNB", "SYNC")
    faults: tuple[Fault, ...] = ()
    fault_period: int = 3
    missing_share: float = 0.05
    slow_seconds: float = 0.3
    hang_seconds: float = 120.0
    requests_per_window: int = 200
    window_seconds: float = 60.0
    key_id: str = PLACEHOLDER_KEY_ID
    secret_key: str = PLACEHOLDER_SECRET_KEY
    now: dt.datetime | None = None
    gzip_level: int = 1
    actions: Path | None = None
    cached_rows: int = 2_000_000

    def __post_init__(self) -> None:
        self._check_feed()
        self._check_numbers()
        self._check_symbols()
        if self.now is not None and self.now.tzinfo is None:
            raise InvalidInputError(f"now {self.now} has no time zone: give an aware instant, such as UTC.")
        if not self.key_id or not self.secret_key:
            raise InvalidInputError("key_id and secret_key must not be empty: give any pair of words.")

    def _check_feed(self) -> None:
        if self.bars is not None and not self.bars.is_dir():
            raise InvalidInputError(f"bars {str(self.bars)!r} is not a folder: name one that holds Parquet files.")
        if self.bars is None and self.feed not in {None, SYNTHETIC_FEED}:
            raise InvalidInputError(
                f"feed {self.feed!r} cannot be made up: without a folder the feed is {SYNTHETIC_FEED!r}."
            )

    def _check_symbols(self) -> None:
        wrong = [symbol for symbol in self.symbols if not is_symbol(symbol)]
        if wrong or not self.symbols:
            raise InvalidInputError(
                f"symbols {self.symbols!r} must be capital letters, such as 'SYNA' or 'SYN.B'; at least one."
            )

    def _check_numbers(self) -> None:
        rules = {
            "seed": (self.seed, self.seed >= 0, "at least 0"),
            "fault_period": (self.fault_period, self.fault_period >= 2, "at least 2"),  # noqa: PLR2004 - 1 would starve every client
            "missing_share": (self.missing_share, 0 < self.missing_share < 1, "in (0, 1)"),
            "slow_seconds": (self.slow_seconds, self.slow_seconds >= 0, "at least 0"),
            "hang_seconds": (self.hang_seconds, self.hang_seconds >= 0, "at least 0"),
            "requests_per_window": (self.requests_per_window, self.requests_per_window >= 1, "at least 1"),
            "window_seconds": (self.window_seconds, self.window_seconds > 0, "greater than 0"),
            "gzip_level": (self.gzip_level, 0 <= self.gzip_level <= 9, "0 to 9"),  # noqa: PLR2004 - zlib's range
            "cached_rows": (self.cached_rows, self.cached_rows >= 1, "at least 1"),
        }
        for name, (value, holds, rule) in rules.items():
            if not holds:
                raise InvalidInputError(f"{name} {value!r} is out of range: it must be {rule}.")

    @property
    def served_feed(self) -> str:
        """The one feed that answers; asking for another is an error."""
        if self.bars is None:
            return SYNTHETIC_FEED
        return parse_feed(self.feed or "sip")
