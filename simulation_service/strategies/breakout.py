"""Trend following by channels: a close beyond what the last bars reached."""

from __future__ import annotations

import polars as pl

from simulation_service.strategies.base import Strategy
from simulation_service.strategies.checks import column, require_bars, require_most
from simulation_service.strategies.held import held

__all__ = ["Breakout"]


class Breakout(Strategy):
    """Long from a close above the highest high of the bars before, until a close below their lowest low.

    Parameters
    ----------
    entry_bars, exit_bars
        Bars before this one whose highs and lows make the channel to enter by, and the one to leave by, across
        sessions; the second is at most the first.

    Notes
    -----
    Short the other way round. Null until `entry_bars` bars lie before. Source: Donchian's channels; with 20 and 10
    sessions in place of bars the rule of the Turtles (Faith, 2003, "The Original Turtle Trading Rules").
    """

    def __init__(self, entry_bars: int = 120, exit_bars: int = 60) -> None:
        self.entry_bars = entry_bars
        self.exit_bars = exit_bars

    def signals(self, bars: pl.DataFrame) -> pl.Series:
        """1 while long, -1 while short, 0 while neither."""
        entry, leave = require_bars("entry_bars", self.entry_bars), require_bars("exit_bars", self.exit_bars)
        require_most("exit_bars", leave, "entry_bars", entry)
        high, low, close = (column(bars, name) for name in ("high", "low", "close"))
        top, bottom = high.rolling_max(entry).shift(), low.rolling_min(entry).shift()
        # What enters one side leaves the other: the shorter channel lies within the longer one.
        long = held(close > top, close < low.rolling_min(leave).shift())
        short = held(close < bottom, close > high.rolling_max(leave).shift())
        return (long - short).set(top.is_null(), None).alias("signal")
