"""What a simulation gives, whoever kept its account: figures, tables, and the return of each session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from simulation_service.ratios import last_bars, session_returns
from simulation_service.ticks import FloatArray

__all__ = ["Outcome", "returns_by_session"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """One account, kept to its end.

    Parameters
    ----------
    figures
        What goes into the run's results, `account` among it, as JSON can hold it.
    orders, fills, trades, equity
        Tables of `barlake.run_tables`.
    returns
        Simple return of each session, close to close; the first one from the starting cash.
    """

    figures: dict[str, Any]
    orders: pl.DataFrame
    fills: pl.DataFrame
    trades: pl.DataFrame
    equity: pl.DataFrame
    returns: Mapping[dt.date, float]


def returns_by_session(equity: FloatArray, session: pl.Series, start_cash: float) -> dict[dt.date, float]:
    """Return of each session by its date.

    Parameters
    ----------
    equity
        Shape (n_bars,), in the unit of `start_cash`.
    session
        Session of each bar, rising.
    """
    last = last_bars(session.to_physical().to_numpy())
    returns = session_returns(equity, last, start_cash)
    return dict(zip(session.gather(last).to_list(), returns.tolist(), strict=True))
