"""One replayed account as the tables of a run: fills, orders and equity, in dollars and by instant.

Columns and types are those of `barlake.run_tables`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.run_tables import EQUITY, FILLS, ORDERS
from simulation_service.kernel import Replay
from simulation_service.rules import Direction, Reason
from simulation_service.ticks import FloatArray, to_dollars

__all__ = ["equity_table", "fills_table", "orders_table"]

_REASONS = tuple(reason.label for reason in Reason)
_SIDES = ("buy", "sell")
_STATES = ("filled", "partly filled", "not filled")
_FILLED, _PARTLY, _NOT = range(3)


def fills_table(done: Replay, *, timestamp: pl.Series, symbol: str) -> pl.DataFrame:
    """One row per fill, in order of time.

    Parameters
    ----------
    timestamp
        Opening instants of the replayed bars.
    """
    return pl.DataFrame(
        {
            "timestamp": timestamp.gather(done.fill_bars),
            "symbol": pl.repeat(symbol, done.fill_bars.size, dtype=pl.String, eager=True),
            "shares": done.fill_shares,
            "price_usd": to_dollars(done.fill_prices),
            "fee_usd": to_dollars(done.fill_fees),
            "reason": _labels(done.fill_reasons, _REASONS),
            "signal_timestamp": _instants(timestamp, done.fill_signal_bars),
        },
        schema=FILLS,
    )


def orders_table(
    done: Replay, signal: FloatArray, *, lag: int, direction: Direction, timestamp: pl.Series, symbol: str
) -> pl.DataFrame:
    """One row per order: those that were filled, wholly or in parts, and those that found nothing to be filled with.

    An order that could not be filled at all and was given again with the next bar is one row, at its first bar.

    Parameters
    ----------
    signal
        Shape (n_bars,), as it was replayed.
    lag
        Bars between a signal and its fill.
    """
    first = _first_fills(done)
    filled = np.add.reduceat(np.abs(done.fill_shares), first) if first.size else np.empty(0)
    asked = np.abs(done.fill_asked[first])
    bars = np.where(done.fill_signal_bars < 0, done.fill_bars, done.fill_signal_bars)[first]
    missed, missed_side = _unfilled(done, signal, lag=lag, direction=direction)
    held = np.abs(_held_before(done, missed + lag))
    orders = pl.DataFrame(
        {
            "bar": np.concatenate([bars, missed]),
            "side": _labels(np.concatenate([done.fill_shares[first] < 0, missed_side < 0]), _SIDES),
            "reason": _labels(np.concatenate([done.fill_reasons[first], np.zeros(missed.size, np.int8)]), _REASONS),
            # What would have been bought depends on a price that was never met.
            "shares_asked": np.concatenate([asked, np.where(held > 0, held, np.nan)]),
            "shares_filled": np.concatenate([filled, np.zeros(missed.size)]),
            "status": _labels(
                np.concatenate([np.where(filled < asked, _PARTLY, _FILLED), np.full(missed.size, _NOT)]), _STATES
            ),
        }
    )
    if missed.size:
        orders = orders.sort("bar", maintain_order=True)
    named = orders.with_columns(
        timestamp.gather(orders["bar"]).alias("timestamp"),
        pl.lit(symbol).alias("symbol"),
        pl.col("shares_asked").fill_nan(None),
    )
    return named.select(pl.col(name).cast(kind) for name, kind in ORDERS.items())


def equity_table(
    done: Replay, *, timestamp: pl.Series, session: pl.Series, held: FloatArray, same_close: FloatArray | None
) -> pl.DataFrame:
    """One row per bar.

    Parameters
    ----------
    held, same_close
        Shape (n_bars,), ticks: equity of buy and hold, and of the ladder's first rung: signals filled at their
        own close under the same rules, free of cost. None where that left the exact range.
    """
    return pl.DataFrame(
        {
            "timestamp": timestamp,
            "session": session,
            "cash_usd": to_dollars(done.cash),
            "position_usd": to_dollars(done.equity - done.cash),
            "equity_usd": to_dollars(done.equity),
            "buy_and_hold_usd": to_dollars(held),
            "same_close_usd": None if same_close is None else to_dollars(same_close),
        },
        schema=EQUITY,
    )


def _first_fills(done: Replay) -> npt.NDArray[np.int64]:
    """Index of the first fill of each order: one that asks for more than the fill before it left of another order."""
    count = done.fill_bars.size
    if not count:
        return np.empty(0, dtype=np.int64)
    left = done.fill_asked - done.fill_shares
    goes_on = (done.fill_reasons[1:] == done.fill_reasons[:-1]) & (left[:-1] != 0) & (done.fill_asked[1:] == left[:-1])
    return np.flatnonzero(np.concatenate([[True], ~goes_on]))


def _unfilled(
    done: Replay, signal: FloatArray, *, lag: int, direction: Direction
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Bars whose signal asked for another position and was not filled, the first of each stretch; and the side."""
    bars = done.shares.size
    wanted = np.sign(signal)
    if direction is not Direction.BOTH:
        wanted = np.maximum(wanted, 0.0) if direction is Direction.LONG else np.minimum(wanted, 0.0)
    before = np.sign(_held_before(done, np.arange(bars) + lag))
    side = np.where(np.isnan(wanted), 0.0, wanted - before).astype(np.int64)
    side[done.fill_signal_bars[done.fill_signal_bars >= 0]] = 0
    begins = (side != 0) & (np.sign(side) != np.sign(np.concatenate([[0], side[:-1]])))
    found = np.flatnonzero(begins)
    return found, side[found]


def _held_before(done: Replay, bars: npt.NDArray[np.int64]) -> FloatArray:
    """Shares held when each of these bars opened; beyond the last bar those that were left."""
    held: FloatArray = np.concatenate([[0.0], done.shares])[np.minimum(bars, done.shares.size)]
    return held


def _labels(numbers: npt.NDArray[Any], names: tuple[str, ...]) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(numbers.astype(np.uint32))


def _instants(timestamp: pl.Series, bars: npt.NDArray[np.int64]) -> pl.Series:
    """Instants of bars, null for -1."""
    found = timestamp.gather(np.maximum(bars, 0))
    if bars.size and bars.min() < 0:
        return pl.select(pl.when(pl.Series(bars >= 0)).then(found)).to_series()
    return found
