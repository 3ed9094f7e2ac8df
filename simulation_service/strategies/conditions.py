"""Conditions on time and on volatility, each around any other strategy."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from enum import StrEnum
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from barlake.errors import InvalidInputError, did_you_mean
from barlake.keys import parse_member
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.checks import require_bars, require_below, require_number
from simulation_service.strategies.placing import signals_beside

__all__ = ["Condition", "DayOfWeek", "Outside", "TimeOfDay", "VolatilityRegime"]

_STEP_PARTS = 10**7
"""Steps of prices as whole parts of a log return: a cent of a thousand dollars is a hundred of them."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Outside(StrEnum):
    """What is wanted where a condition does not hold: no position, or whatever there is."""

    FLAT = "flat"
    HOLD = "hold"


class Condition(Strategy):
    """A strategy that follows the one in its parameter `strategy` where `holds` says so."""

    each_symbol: ClassVar[bool] = False
    strategy: Strategy
    outside: str

    @abstractmethod
    def holds(self, bars: pl.DataFrame) -> pl.Series:
        """Booleans aligned with the rows of `bars`; null, not known yet, wants whatever there is."""

    def traded_symbols(self) -> tuple[str, ...] | None:
        """Those of `strategy`."""
        return self._inside().traded_symbols()

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """Those of `strategy` where the condition holds; elsewhere 0, or null if `outside` is `hold`."""
        outside = parse_member(Outside, "outside", self.outside)
        inside = signals_beside(self._inside(), bars)["signal"]
        elsewhere = 0.0 if outside is Outside.FLAT else None
        frame = pl.DataFrame({"signal": inside, "holds": self.holds(bars)})
        return frame.select(pl.when("holds").then("signal").when(~pl.col("holds")).then(elsewhere)).to_series()

    def _inside(self) -> Strategy:
        if not isinstance(self.strategy, Strategy):
            raise InvalidInputError(f"strategy {self.strategy!r} is none: put a strategy inside {type(self).__name__}.")
        return self.strategy


class TimeOfDay(Condition):
    """Follows a strategy at some time of the day, and is out at all others.

    Parameters
    ----------
    strategy
        Any strategy.
    start, end
        Clock times [start, end), such as 10:00, at which a signal is known: a minute after its bar opened.
    outside
        `flat` leaves outside of them, `hold` neither enters nor leaves.
    zone
        Of the clock.

    Notes
    -----
    With the end at 15:55 the first signal to be out is known then, and fills at the open of that minute.
    An end at 16:00 is that of the session's last bar: its order waits for the next session.
    """

    def __init__(
        self,
        strategy: Strategy,
        start: str = "10:00",
        end: str = "15:55",
        outside: str = "flat",
        zone: str = "America/New_York",
    ) -> None:
        self.strategy = strategy
        self.start = start
        self.end = end
        self.outside = outside
        self.zone = zone

    def holds(self, bars: pl.DataFrame) -> pl.Series:
        """Whether the bar is complete within [start, end)."""
        start, end = _clock_time("start", self.start), _clock_time("end", self.end)
        if start >= end:
            raise InvalidInputError(f"start {self.start!r} must be before end {self.end!r}: swap them or change one.")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise InvalidInputError(f"zone {self.zone!r} is not known: write it as America/New_York.") from error
        known = (bars["timestamp"] + dt.timedelta(minutes=1)).dt.convert_time_zone(self.zone).dt.time()
        return (known >= start) & (known < end)


class DayOfWeek(Condition):
    """Follows a strategy on some days of the week, and is out on all others.

    Parameters
    ----------
    strategy
        Any strategy.
    days
        Sessions' days, such as `mon,tue,fri`.
    outside
        `flat` leaves at the first bar of another day, `hold` neither enters nor leaves.
    """

    def __init__(self, strategy: Strategy, days: str = "mon,tue,wed,thu,fri", outside: str = "flat") -> None:
        self.strategy = strategy
        self.days = days
        self.outside = outside

    def holds(self, bars: pl.DataFrame) -> pl.Series:
        """Whether the bar's session is on one of the days."""
        named = [day.strip().lower()[:3] for day in str(self.days).split(",")]
        for day in named:
            if day not in _DAYS:
                raise InvalidInputError(
                    f"days {self.days!r}: {day!r} is no day, use {', '.join(_DAYS)}.{did_you_mean(day, _DAYS)}"
                )
        return bars["session"].dt.weekday().is_in([_DAYS.index(day) + 1 for day in named])


class VolatilityRegime(Condition):
    """Follows a strategy while prices move less, or more, than they used to.

    Parameters
    ----------
    strategy
        Any strategy.
    window_bars, history_bars
        Bars over which volatility is measured now, and for comparison; the second is the longer.
    least, most
        Follow while volatility now over volatility before is in [least, most); most None: no upper bound.
    outside
        `flat` leaves in another regime, `hold` neither enters nor leaves.

    Notes
    -----
    Volatility is the root of the mean square of log returns from bar to bar within a session; the step over night
    is no minute's. It is null, and whatever there is is held, until `history_bars` of them are there.
    """

    def __init__(
        self,
        strategy: Strategy,
        window_bars: int = 60,
        history_bars: int = 3900,
        least: float = 0.0,
        most: float | None = 1.0,
        outside: str = "flat",
    ) -> None:
        self.strategy = strategy
        self.window_bars = window_bars
        self.history_bars = history_bars
        self.least = least
        self.most = most
        self.outside = outside

    def holds(self, bars: pl.DataFrame) -> pl.Series:
        """Whether volatility now over volatility before is in [least, most)."""
        window = require_bars("window_bars", self.window_bars)
        history = require_bars("history_bars", self.history_bars)
        require_below("window_bars", window, "history_bars", history)
        least = require_number("least", self.least, least=0.0)
        ratio = _volatility_ratio(bars, window, history)
        if self.most is None:
            return ratio >= least
        most = require_number("most", self.most)
        require_below("least", least, "most", most)
        return (ratio >= least) & (ratio < most)


def _volatility_ratio(bars: pl.DataFrame, window: int, history: int) -> pl.Series:
    """Volatility of the last `window` steps over that of the last `history`, beside the rows of `bars`."""
    # Whole numbers, whose sums are exact: a moving sum of floats would forget a large step only nearly.
    step = pl.col("close").log().diff().over("symbol", "session")
    rows = bars.select("symbol", square=(step * _STEP_PARTS).round().cast(pl.Int64) ** 2).with_row_index("row")
    now, before = (pl.col("square").rolling_sum(size).over("symbol") / size for size in (window, history))
    steps = rows.drop_nulls("square").select("row", ratio=(now / before).sqrt().fill_nan(None))
    joined = rows.join(steps, on="row", how="left", maintain_order="left")
    return joined.select(pl.col("ratio").forward_fill().over("symbol")).to_series()


def _clock_time(name: str, text: str) -> dt.time:
    try:
        return dt.time.fromisoformat(str(text))
    except ValueError as error:
        raise InvalidInputError(f"{name} {text!r} is no clock time: write it as 09:45.") from error
