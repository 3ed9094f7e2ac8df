"""Round trips: each buy with the sell that closed it, or with the last close while it is still open."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulation_service.kernel import Replay
from simulation_service.ticks import FloatArray, to_dollars

__all__ = ["round_trips"]


def round_trips(done: Replay, *, timestamp: pl.Series, close_ticks: FloatArray) -> pl.DataFrame:
    """Table of round trips, in order of time.

    Parameters
    ----------
    timestamp
        Opening instants of the replayed bars; entry and exit are named by the bar they were filled in.
    close_ticks
        Closes of the same bars, ticks; the last one values a position that was never sold.

    Returns
    -------
    entry_timestamp, entry_price_usd, exit_timestamp, exit_price_usd, shares, profit_usd, simple_return
    (profit for each dollar paid), is_open. An open trade ends at the last bar's close,
    where nothing was sold.
    """
    entries, exits = done.fill_bars[::2], done.fill_bars[1::2]
    entry_ticks, exit_ticks = done.fill_prices[::2], done.fill_prices[1::2]
    shares = done.fill_shares[::2]
    is_open = np.zeros(entries.size, dtype=bool)
    if exits.size < entries.size:
        is_open[-1] = True
        exits = np.append(exits, close_ticks.size - 1)
        exit_ticks = np.append(exit_ticks, close_ticks[-1])
    return pl.DataFrame(
        {
            "entry_timestamp": timestamp[entries],
            "entry_price_usd": to_dollars(entry_ticks),
            "exit_timestamp": timestamp[exits],
            "exit_price_usd": to_dollars(exit_ticks),
            "shares": shares.astype(np.int64),
            "profit_usd": to_dollars((exit_ticks - entry_ticks) * shares),
            "simple_return": exit_ticks / entry_ticks - 1.0,
            "is_open": is_open,
        }
    )
