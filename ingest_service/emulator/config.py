"""What an emulator is told before it starts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from barlake.errors import InvalidInputError
from barlake.keys import SYNTHETIC_FEED, parse_feed
from ingest_service.emulator.accounts import PAPER_FREE, PAPER_PLUS, Account, Plan
from ingest_service.emulator.faults import Fault
from ingest_service.emulator.limiter import LimitClock, LimiterKind
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
        Name a folder is served under, `sip` unless given; several with commas between, such as `sip,iex`,
        each for all symbols. Made-up bars are always `synthetic`: another name is refused, so that no one can
        store them as traded prices.
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
        Budget of each free key: so many requests in a window, data and trading paths counted apart.
    limiter
        Whether a budget comes back whole at the end of a window, or bit by bit.
    limit_clock
        By which clock windows pass: `market` is the emulator's own, at its speed, so that 200 requests a
        minute of a made-up day stay 200; `machine` is real time.
    key_id, secret_key
        A pair of credentials that is accepted. The keys `PAPER_FREE` and `PAPER_PLUS` are so too, with
        the same secret.
    plan
        What `key_id` may ask for.
    wrong_key_status
        Status of a wrong pair: Alpaca's documents say 401 in one place and 403 in another.
    now
        Instant at which the emulator's clock starts, aware; it runs on from there. None: real time, or what
        the file of the clock says.
    speed
        Seconds of market time in one of machine time; 0 stops the clock.
    clock
        File that `BARLAKE_CLOCK` names for other processes; the emulator keeps it. None: nobody else looks.
    revised_share
        Fraction of bars that are first shown without a late trade and revised 30 s after their minute.
    short_pages
        Serve pages with fewer rows than asked for, which Alpaca reserves the right to do.
    trailing_token
        Give a token on the last full page, so that the page after it is empty.
    stream_batch
        Most messages in one frame of the stream.
    auth_seconds
        How long a new connection of the stream may wait before it says who it is.
    gzip_level
        Compression of answers for clients that accept it, 1 to 9; 0 sends them plain.
    actions
        CSV file of corporate actions to serve, as `barlake actions import` reads it; None serves none.
    cached_rows
        Bars of a folder kept in memory, about 72 bytes each; the least recently used symbol leaves first.

    cached_page_bytes
        Compressed pages kept to be sent again, 22 bytes a bar; 0 makes each anew.

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
    limiter: LimiterKind = LimiterKind.WINDOW
    limit_clock: LimitClock = LimitClock.MARKET
    key_id: str = PLACEHOLDER_KEY_ID
    secret_key: str = PLACEHOLDER_SECRET_KEY
    plan: Plan = Plan.BASIC
    wrong_key_status: int = 403
    now: dt.datetime | None = None
    speed: float = 1.0
    clock: Path | None = None
    revised_share: float = 0.0
    short_pages: bool = False
    trailing_token: bool = False
    stream_batch: int = 100
    auth_seconds: float = 10.0
    gzip_level: int = 1
    actions: Path | None = None
    cached_rows: int = 2_000_000
    cached_page_bytes: int = 256_000_000

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
            "speed": (self.speed, self.speed >= 0, "at least 0"),
            "revised_share": (self.revised_share, 0 <= self.revised_share < 1, "in [0, 1)"),
            "wrong_key_status": (self.wrong_key_status, self.wrong_key_status in {401, 403}, "401 or 403"),
            "stream_batch": (self.stream_batch, self.stream_batch >= 1, "at least 1"),
            "auth_seconds": (self.auth_seconds, self.auth_seconds > 0, "greater than 0"),
            "gzip_level": (self.gzip_level, 0 <= self.gzip_level <= 9, "0 to 9"),  # noqa: PLR2004 - zlib's range
            "cached_page_bytes": (self.cached_page_bytes, self.cached_page_bytes >= 0, "at least 0"),
            "cached_rows": (self.cached_rows, self.cached_rows >= 1, "at least 1"),
        }
        for name, (value, holds, rule) in rules.items():
            if not holds:
                raise InvalidInputError(f"{name} {value!r} is out of range: it must be {rule}.")

    @property
    def served_feeds(self) -> tuple[str, ...]:
        """The feeds that answer; asking for another is an error."""
        if self.bars is None:
            return (SYNTHETIC_FEED,)
        return tuple(dict.fromkeys(parse_feed(name) for name in (self.feed or "sip").split(",")))

    @property
    def served_feed(self) -> str:
        """The first of the feeds that answer."""
        return self.served_feeds[0]

    def account(self, key_id: str, secret_key: str) -> Account | None:
        """Whose credentials these are; None if they are wrong."""
        plans = {PAPER_FREE: Plan.BASIC, PAPER_PLUS: Plan.PLUS, self.key_id: self.plan}
        if key_id not in plans or secret_key != self.secret_key:
            return None
        return Account(key_id, plans[key_id])
