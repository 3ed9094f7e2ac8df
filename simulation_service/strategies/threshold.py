"""A level to enter at and another to leave at, over predictions or any other column."""

from __future__ import annotations

import polars as pl

from barlake.errors import InvalidInputError
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.checks import column, require_most, require_number
from simulation_service.strategies.held import held

__all__ = ["Threshold"]


class Threshold(Strategy):
    """Long from the bar whose value is above `enter` until it is at `exit` or below; short the other way round.

    Parameters
    ----------
    enter, exit
        `exit` is at most `enter`; None: the same level. A probability of 0.5 says nothing, a return of 0 neither.
    short_enter, short_exit
        Short from below `short_enter` until at `short_exit` or above; None: never short, and `short_enter` for
        `short_exit`. `short_enter` is at most `exit`, and `short_exit` at most `enter`.
    column
        Column of bars that holds the value.

    Notes
    -----
    The gap between the levels is the hysteresis: a value that wavers inside it trades nothing. Null, hold,
    where there is no value.
    """

    def __init__(
        self,
        enter: float = 0.55,
        exit: float | None = 0.5,  # noqa: A002 - the word for it
        short_enter: float | None = None,
        short_exit: float | None = None,
        column: str = "prediction",
    ) -> None:
        self.enter = enter
        self.exit = exit
        self.short_enter = short_enter
        self.short_exit = short_exit
        self.column = column

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """1 while long, -1 while short, 0 while neither."""
        enter = require_number("enter", self.enter)
        leave = enter if self.exit is None else require_number("exit", self.exit)
        require_most("exit", leave, "enter", enter)
        value = column(bars, self.column)
        position = held(value > enter, value <= leave)
        if self.short_enter is not None:
            position = position - self._short(value, enter, leave)
        elif self.short_exit is not None:
            raise InvalidInputError(f"short_exit {self.short_exit!r} leaves what is never entered: give short_enter.")
        return position.set(value.is_null(), None).alias("signal")

    def _short(self, value: pl.Series, enter: float, leave: float) -> pl.Series:
        short_enter = require_number("short_enter", self.short_enter)
        short_leave = short_enter if self.short_exit is None else require_number("short_exit", self.short_exit)
        require_most("short_enter", short_enter, "short_exit", short_leave)
        # With these two no bar is in both positions: whatever enters one leaves the other.
        require_most("short_enter", short_enter, "exit", leave)
        require_most("short_exit", short_leave, "enter", enter)
        return held(value < short_enter, value >= short_leave)
