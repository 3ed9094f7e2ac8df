"""Round trips: from the fill that opens a position to the one that leaves nothing of it, or to the last close."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from simulation_service.kernel import Replay
from simulation_service.rules import Reason
from simulation_service.ticks import FloatArray, to_dollars

__all__ = ["round_trips"]

_REASONS = pl.Series([*(reason.label for reason in Reason), None], dtype=pl.String)
_NO_REASON = len(Reason)


def round_trips(done: Replay, *, timestamp: pl.Series, close_ticks: FloatArray) -> pl.DataFrame:
    """Table of round trips, in order of time.

    Parameters
    ----------
    timestamp
        Opening instants of the replayed bars; entry and exit are named by the bar they were filled in.
    close_ticks
        Closes of the same bars, ticks; the last one values a position that was never left.

    Returns
    -------
    entry_timestamp, entry_price_usd, exit_timestamp, exit_price_usd, shares (below 0: short), fees_usd, profit_usd
    (after fees), simple_return (profit for each dollar of the entry), exit_reason, is_open. A position opened or
    left in parts is one trip at average prices, named by its first entry and its last exit; its reason is that of
    the first part that left. An open trade ends at the last bar's close, where nothing was sold, and has no
    exit_reason.
    """
    held_after = np.cumsum(np.rint(done.fill_shares * done.lots_per_share))
    held_before = np.concatenate([[0.0], held_after])[:-1]
    starts = np.flatnonzero(held_before == 0.0)
    return _table(_Trips(done, starts), timestamp, close_ticks)


class _Trips:
    """Fills cut into trips, each at the fill number in `starts`."""

    def __init__(self, done: Replay, starts: npt.NDArray[np.int64]) -> None:
        self.done = done
        self.starts = starts
        self.side = np.sign(done.fill_shares[starts])
        sizes = np.diff(np.append(starts, done.fill_bars.size))
        self.enters = done.fill_shares * np.repeat(self.side, sizes) > 0.0

    def total(self, values: FloatArray) -> FloatArray:
        """Sum by trip."""
        if not self.starts.size:
            return np.zeros(0)
        sums: FloatArray = np.add.reduceat(values, self.starts)
        return sums

    def first_exit(self) -> npt.NDArray[np.int64]:
        """Number of each trip's first fill that leaves; of a trip without one, of any fill."""
        exits = np.append(np.flatnonzero(~self.enters), self.done.fill_bars.size - 1)
        return exits[np.searchsorted(exits[:-1], self.starts)]


def _table(trips: _Trips, timestamp: pl.Series, close_ticks: FloatArray) -> pl.DataFrame:
    done, side = trips.done, trips.side
    shares = np.abs(done.fill_shares)
    value = shares * done.fill_prices
    entered, left = trips.total(shares * trips.enters), trips.total(shares * ~trips.enters)
    remaining = np.rint((entered - left) * done.lots_per_share) / done.lots_per_share
    # Sums of parts of shares are rounded floats; the number of shares is the float nearest to the exact one.
    entered = np.rint(entered * done.lots_per_share) / done.lots_per_share
    is_open = remaining > 0.0
    entry_value, exit_value = trips.total(value * trips.enters), trips.total(value * ~trips.enters)
    entry_price = entry_value / entered
    exit_price = (exit_value + remaining * close_ticks[-1]) / entered
    fees = trips.total(done.fill_fees)
    # What a position is still worth is rounded down, as the account counts it.
    lots = np.rint(side * remaining * done.lots_per_share).astype(np.int64)
    profit = trips.total(done.fill_cash) + lots * int(close_ticks[-1]) // done.lots_per_share
    last_fill = (np.append(trips.starts[1:], done.fill_bars.size) - 1)[: side.size]
    exit_bar = np.where(is_open, close_ticks.size - 1, done.fill_bars[last_fill])
    reason = np.where(is_open, _NO_REASON, done.fill_reasons[trips.first_exit()]).astype(np.uint32)
    return pl.DataFrame(
        {
            "entry_timestamp": timestamp.gather(done.fill_bars[trips.starts]),
            "entry_price_usd": to_dollars(entry_price),
            "exit_timestamp": timestamp.gather(exit_bar),
            "exit_price_usd": to_dollars(exit_price),
            "shares": side * entered,
            "fees_usd": to_dollars(fees),
            "profit_usd": to_dollars(profit),
            "simple_return": side * (exit_price / entry_price - 1.0) - fees / entry_value,
            "exit_reason": _REASONS.gather(reason),
            "is_open": is_open,
        }
    )
