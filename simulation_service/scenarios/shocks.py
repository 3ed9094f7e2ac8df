"""Shocks: what is done to real bars so that they become those of a bad day. Pure, each a frozen value.

A shock takes a stage and gives one back: the bars of the market and those that a strategy sees, which differ
only while a feed is out. Bars have symbol, session, timestamp and prices, sorted by timestamp and symbol, and
whatever else they carry stays with them: a prediction is that of the real minute.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError
from barlake.ranges import parse_boundary
from barlake.sessions import NEW_YORK
from simulation_service.scenarios.session_blocks import PRICES, on_tick

__all__ = ["FeedOutage", "Gap", "Halt", "SessionMoves", "Shock", "Stage", "Volatility"]

_MOST_GROWTH = 100.0


@dataclass(frozen=True, eq=False)
class Stage:
    """Bars of the market, in which orders fill, and the rows of them that a strategy sees, by which it decides."""

    market: pl.DataFrame
    seen: pl.DataFrame

    @classmethod
    def of(cls, bars: pl.DataFrame) -> Stage:
        """A stage on which everything is seen."""
        ordered = bars.sort("timestamp", "symbol")
        return cls(ordered, ordered)

    @property
    def sessions(self) -> list[dt.date]:
        """Session dates of the market, oldest first."""
        return list(self.market["session"].unique().sort())


class Shock(ABC):
    """Something that happens to a market, or to the view of it."""

    @abstractmethod
    def apply(self, stage: Stage) -> Stage:
        """The stage after it happened."""


@dataclass(frozen=True)
class Gap(Shock):
    """All prices from an instant on, times 1 + `size`.

    Parameters
    ----------
    size
        A fraction above -1: -0.1 is a fall of ten percent.
    session, time
        From the first bar of this session (default: the one in the middle), or from this New York time in it.
    """

    size: float
    session: str | None = None
    time: str | None = None

    def __post_init__(self) -> None:
        _require(-1.0 < self.size < _MOST_GROWTH, "gap", "size", self.size, "a fraction above -1, such as -0.1")

    def apply(self, stage: Stage) -> Stage:
        """Raise or lower everything from the instant on."""
        day = _session(stage, self.session)
        later = pl.col("session") > day
        on_the_day = (
            (pl.col("session") == day) & (_clock() >= _time(self.time)) if self.time else pl.col("session") == day
        )
        factor = pl.when(later | on_the_day).then(1.0 + self.size).otherwise(1.0)
        return _repriced(stage, {name: pl.col(name) * factor for name in PRICES})


@dataclass(frozen=True)
class Volatility(Shock):
    """Swings about the way from the first to the last price of each symbol, times `factor`; both ends stay.

    Every log price is moved away from the straight line between the ends, so that the span's whole return is
    kept and only the road to it is rougher.
    """

    factor: float = 2.0

    def __post_init__(self) -> None:
        _require(0.0 <= self.factor <= _MOST_GROWTH, "volatility", "factor", self.factor, "a number from 0 to 100")

    def apply(self, stage: Stage) -> Stage:
        """Stretch all log prices away from their line."""
        first, last = pl.col("open").first().log(), pl.col("close").last().log()
        share = pl.int_range(pl.len()) / pl.max_horizontal(pl.len() - 1, 1)
        line = (first + (last - first) * share).over("symbol")
        return _repriced(stage, {name: (line + self.factor * (pl.col(name).log() - line)).exp() for name in PRICES})


@dataclass(frozen=True)
class Halt(Shock):
    """Trading stops: no bars for some minutes, in one session or in every so many sessions.

    Parameters
    ----------
    time, minutes
        New York time at which it begins, and how long it lasts; 15 minutes is a market-wide breaker of level 1.
    session
        Default: the session in the middle.
    every
        In place of one session: each so-manieth of them, beginning with the first.
    """

    time: str = "10:00"
    minutes: int = 15
    session: str | None = None
    every: int | None = None

    def __post_init__(self) -> None:
        _require_window(self, "halt")

    def apply(self, stage: Stage) -> Stage:
        """Take the minutes out of the market."""
        inside = _window(stage, self)
        return Stage(stage.market.filter(~inside), stage.seen.filter(~inside))


@dataclass(frozen=True)
class FeedOutage(Shock):
    """The market trades on, but no bar arrives: nothing is decided for some minutes, and resting orders still fill.

    Parameters
    ----------
    time, minutes, session, every
        As of a halt.
    """

    time: str = "10:00"
    minutes: int = 60
    session: str | None = None
    every: int | None = None

    def __post_init__(self) -> None:
        _require_window(self, "feed_outage")

    def apply(self, stage: Stage) -> Stage:
        """Take the minutes out of what is seen."""
        return replace(stage, seen=stage.seen.filter(~_window(stage, self)))


@dataclass(frozen=True)
class SessionMoves(Shock):
    """Consecutive sessions that move as some historical ones did, each on the minute shape it really had.

    Parameters
    ----------
    moves
        One row per session: overnight move (last close to open), move of the session (open to close), and its
        range (high over low, less 1); all fractions.
    session
        The first of them. Default: so that they lie in the middle.

    Notes
    -----
    Of each session the opening gap and the close come out exactly, to a tick; swings inside it are stretched by
    range wanted over range had, so the range comes out nearly. Prices afterwards go on from the level reached.
    """

    moves: tuple[tuple[float, float, float], ...]
    session: str | None = None

    def __post_init__(self) -> None:
        fine = all(len(row) == 3 and min(row[:2]) > -1 and row[2] >= 0 for row in self.moves)  # noqa: PLR2004 - as described
        _require(
            bool(self.moves) and fine, "session_moves", "moves", self.moves[:3], "rows of overnight, session, range"
        )

    def apply(self, stage: Stage) -> Stage:
        """Bend the sessions of every symbol."""
        days = stage.sessions
        first = (len(days) - len(self.moves)) // 2
        if self.session is not None:
            first = days.index(_session(stage, self.session))
        if first < 0 or first + len(self.moves) > len(days):
            raise InvalidInputError(
                f"session_moves needs {len(self.moves)} sessions from its first on, of {len(days)} in the span: "
                "take a longer span, or begin earlier."
            )
        wanted = dict(zip(days[first:], self.moves, strict=False))
        bent = [self._bend(own, wanted) for _, own in stage.market.group_by("symbol", maintain_order=True)]
        return _with_market(stage, pl.concat(bent).sort("timestamp", "symbol"))

    @staticmethod
    def _bend(bars: pl.DataFrame, wanted: dict[dt.date, tuple[float, float, float]]) -> pl.DataFrame:
        """One symbol's bars, session by session, each beginning where the one before it came to."""
        out, had, now = [], 0.0, 0.0
        for (day,), own in bars.group_by("session", maintain_order=True):
            prices = own.select(PRICES).to_numpy()
            begins, ends = prices[0, 0], prices[-1, 3]
            level = now / had if had else 1.0
            if day in wanted:
                overnight, whole, extent = wanted[day]
                opening = now * (1.0 + overnight) if had else begins
                prices = opening * _bent(prices / begins, 1.0 + whole, 1.0 + extent)
            else:
                prices = prices * level
            had, now = ends, prices[-1, 3]
            out.append(own.with_columns(pl.Series(name, prices[:, place]) for place, name in enumerate(PRICES)))
        return pl.concat(out).with_columns(on_tick(pl.col(name)) for name in PRICES)


def _bent(relative: np.ndarray, close: float, extent: float) -> np.ndarray:
    """Prices relative to the open, shape (n, 4), stretched to about an extent and tilted to end at `close`."""
    had = np.log(relative[:, 1].max() / relative[:, 2].min())
    stretch = np.log(extent) / had if had > 0 else 1.0
    logs = stretch * np.log(relative)
    share = np.arange(len(logs)) / max(len(logs) - 1, 1)
    tilted: np.ndarray = np.exp(logs + ((np.log(close) - logs[-1, 3]) * share)[:, None])
    return tilted


def _repriced(stage: Stage, prices: dict[str, pl.Expr]) -> Stage:
    """New prices in the market, and the same in what is seen of it."""
    return _with_market(stage, stage.market.with_columns(on_tick(price).alias(name) for name, price in prices.items()))


def _with_market(stage: Stage, market: pl.DataFrame) -> Stage:
    """The same minutes with other prices, and what is seen of them."""
    if stage.seen.height == stage.market.height:
        return Stage(market, market)
    return Stage(market, market.join(stage.seen.select("timestamp", "symbol"), on=["timestamp", "symbol"], how="semi"))


def _clock() -> pl.Expr:
    return pl.col("timestamp").dt.convert_time_zone(NEW_YORK.key).dt.time()


def _time(text: str) -> dt.time:
    try:
        return dt.time.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"time {text!r} is no time of day in New York: write it as 10:00.") from error


def _session(stage: Stage, wanted: str | None) -> dt.date:
    """A session of the stage by its date; the one in the middle when none is named."""
    days = stage.sessions
    if wanted is None:
        return days[len(days) // 2]
    day = parse_boundary(wanted, "session")
    if day not in days:
        raise InvalidInputError(
            f"session {wanted!r} has no bars here: the span has {len(days)} sessions from {days[0]} to {days[-1]}."
        )
    assert isinstance(day, dt.date)  # noqa: S101 - it is one of the days
    return day


def _window(stage: Stage, shock: Halt | FeedOutage) -> pl.Expr:
    """Whether a bar opens in the minutes of a halt or an outage."""
    days = [_session(stage, shock.session)] if shock.every is None else stage.sessions[:: shock.every]
    begins = _time(shock.time)
    clock = _clock()
    minute = clock.dt.hour().cast(pl.Int32) * 60 + clock.dt.minute() - (begins.hour * 60 + begins.minute)
    return pl.col("session").is_in(days) & (minute >= 0) & (minute < shock.minutes)


def _require_window(shock: Halt | FeedOutage, name: str) -> None:
    _time(shock.time)
    _require(shock.minutes >= 1, name, "minutes", shock.minutes, "at least 1")
    _require(shock.every is None or shock.every >= 1, name, "every", shock.every, "at least 1")
    _require(
        shock.every is None or shock.session is None,
        name,
        "every",
        shock.every,
        "given in place of session, not with it",
    )


def _require(fine: bool, shock: str, name: str, value: object, rule: str) -> None:  # noqa: FBT001 - a condition
    if not fine:
        raise InvalidInputError(f"{shock}: {name} {value!r} must be {rule}.")
