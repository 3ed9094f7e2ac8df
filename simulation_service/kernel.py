"""The trading rule, replayed bar by bar in whole ticks: exact, and compiled.

Signal above 0 while flat buys the most whole shares that cash allows; signal 0 or below while long sells
them all; anything else holds. A buy that cash cannot pay is tried again at every following bar whose
signal is above 0. A bar without a signal (NaN) holds.

Why whole ticks: in float dollars 0.30 / 0.10 is 2.9999999999999996, a share is lost, and the account is wrong
from there on. Here cash and prices are whole numbers in float64 with cash + price < 2**53; the
quotient of two such numbers never rounds up to the next whole number, so its floor is the true share count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from barlake.errors import InvalidInputError
from simulation_service.ticks import MAX_TICKS, TICKS_PER_DOLLAR, FloatArray

__all__ = ["Fill", "Replay", "buy_and_hold", "replay"]


class Fill(StrEnum):
    """Where an order made of a bar's signal is granted."""

    NEXT_OPEN = "next_open"
    SAME_CLOSE = "same_close"

    @property
    def is_optimistic(self) -> bool:
        """Whether the fill uses a price that is known only at the instant the signal is."""
        return self is Fill.SAME_CLOSE

    @classmethod
    def parse(cls, value: str) -> Fill:
        """Fill of that name; `InvalidInputError` lists the names there are."""
        for member in cls:
            if member.value == str(value):
                return member
        raise InvalidInputError(f"fill {value!r} is not known: use one of {', '.join(cls)}.")


@dataclass(frozen=True, eq=False)
class Replay:
    """What the rule did, all money in ticks.

    Parameters
    ----------
    start_cash
        Cash before the first bar.
    cash, shares, equity
        Shape (n_bars,), after the bar has closed; equity is cash plus shares at the bar's close.
    fill_bars, fill_shares, fill_prices
        Shape (n_fills,), in order of time: the bar filled in, shares bought (above 0) or sold (below 0),
        and the price of one share. Buys and sells alternate, beginning with a buy.
    """

    start_cash: int
    cash: FloatArray
    shares: FloatArray
    equity: FloatArray
    fill_bars: npt.NDArray[np.int64]
    fill_shares: FloatArray
    fill_prices: FloatArray

    @property
    def final_value(self) -> int:
        """Equity at the last close, ticks."""
        return int(self.equity[-1])

    @property
    def shares_bought(self) -> int:
        """Sum of the shares of all buys."""
        return int(self.fill_shares[self.fill_shares > 0].sum())


def _loop(
    price: FloatArray,
    signal: FloatArray,
    cash: float,
    lag: int,
    cash_path: FloatArray,
    shares_path: FloatArray,
    fill_bars: npt.NDArray[np.int64],
    fill_shares: FloatArray,
) -> int:
    """Fill the four output arrays and return the number of fills. `lag` bars lie between signal and fill."""
    shares = 0.0
    fills = 0
    for bar in range(price.size):
        wanted = signal[bar - lag] if bar >= lag else np.nan
        if shares == 0.0 and wanted > 0.0:
            shares = np.floor(cash / price[bar])
            if shares > 0.0:
                cash -= shares * price[bar]
                fill_bars[fills] = bar
                fill_shares[fills] = shares
                fills += 1
        elif shares > 0.0 and wanted <= 0.0:
            cash += shares * price[bar]
            fill_bars[fills] = bar
            fill_shares[fills] = -shares
            fills += 1
            shares = 0.0
        cash_path[bar] = cash
        shares_path[bar] = shares
    return fills


def _compile(function: Callable[..., int]) -> Any:
    """Compiled once per machine where a cache folder can be written, else once per process."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba: "no locator available", an installation nobody may write to
        return numba.njit(nogil=True)(function)


_compiled_loop = _compile(_loop)


def _replay(price: FloatArray, signal: FloatArray, close: FloatArray, cash: int, *, lag: int) -> Replay:
    bars = price.size
    cash_path, shares_path = np.empty(bars), np.empty(bars)
    # One fill per bar at most; pages that no fill reaches are never touched.
    fill_bars, fill_shares = np.empty(bars, dtype=np.int64), np.empty(bars)
    count = _compiled_loop(price, signal, float(cash), lag, cash_path, shares_path, fill_bars, fill_shares)
    equity = cash_path + shares_path * close
    # Sums only grow under rounding, so an account that ever left the exact range shows it here.
    if equity.max() >= MAX_TICKS:
        first = int(np.argmax(equity >= MAX_TICKS))
        raise InvalidInputError(
            f"the account passes {MAX_TICKS // TICKS_PER_DOLLAR:,} dollars at bar {first}, beyond"
            " which cents are not exact: start with less cash or check the prices."
        )
    bars_of_fills = fill_bars[:count].copy()
    return Replay(cash, cash_path, shares_path, equity, bars_of_fills, fill_shares[:count].copy(), price[bars_of_fills])


def replay(
    signal: FloatArray, *, open_ticks: FloatArray, close_ticks: FloatArray, cash_ticks: int, fill: Fill
) -> Replay:
    """Replay of one signal series over the bars of one symbol.

    Parameters
    ----------
    signal
        Shape (n_bars,), known when its bar has closed; NaN holds.
    open_ticks, close_ticks
        Shape (n_bars,), positive whole ticks, oldest first (see `simulation_service.ticks`).
    cash_ticks
        Starting cash, whole ticks.
    fill
        `next_open`: the signal of bar i fills at the open of bar i+1, the last bar's fills nothing.
        `same_close`: it fills at the close of bar i itself, which is optimistic.

    Raises
    ------
    InvalidInputError
        If the arrays differ in length or are empty, or the account outgrows 450 billion dollars.

    Examples
    --------
    >>> dollars = np.array([10.0, 11.0, 12.0]) * 10_000
    >>> done = replay(
    ...     np.array([1.0, 0.0, 0.0]),
    ...     open_ticks=dollars, close_ticks=dollars, cash_ticks=1_000_000, fill=Fill.NEXT_OPEN,
    ... )
    >>> done.fill_bars, done.fill_shares, done.final_value
    (array([1, 2]), array([ 9., -9.]), 1090000)
    """
    _require_same_length(signal, open_ticks, close_ticks)
    if fill is Fill.NEXT_OPEN:
        return _replay(open_ticks, signal, close_ticks, cash_ticks, lag=1)
    return _replay(close_ticks, signal, close_ticks, cash_ticks, lag=0)


def buy_and_hold(*, open_ticks: FloatArray, close_ticks: FloatArray, cash_ticks: int, fill: Fill) -> Replay:
    """Replay of one buy, kept: at the first open for `next_open`, at the first close for `same_close`."""
    _require_same_length(open_ticks, close_ticks)
    price = open_ticks if fill is Fill.NEXT_OPEN else close_ticks
    return _replay(price, np.ones(price.size), close_ticks, cash_ticks, lag=0)


def _require_same_length(*arrays: FloatArray) -> None:
    sizes = [array.size for array in arrays]
    if len(set(sizes)) > 1 or sizes[0] == 0:
        raise InvalidInputError(f"signal, open and close have {sizes} bars: each needs the same number, at least 1.")
