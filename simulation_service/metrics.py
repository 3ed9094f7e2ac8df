"""What an equity curve was worth: return, risk, drawdown and trades, each with its definition.

Ratios come from session closes (`simulation_service.ratios` says why); how deep and when the curve fell, from
every bar. A figure that is not defined is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.multiple_testing import SharpeFacts, probabilistic_sharpe
from simulation_service.break_even import break_even_cost
from simulation_service.capacity import capacity
from simulation_service.drawdown import longest_drawdown, max_drawdown
from simulation_service.ratios import (
    cagr,
    calmar_ratio,
    expected_shortfall,
    last_bars,
    session_returns,
    sharpe_ratio,
    sortino_ratio,
    tail_ratio,
    value_at_risk,
    volatility,
)
from simulation_service.ticks import TICKS_PER_DOLLAR, FloatArray

__all__ = ["Account", "Metrics", "measure"]


class Account(Protocol):
    """What is measured: an account after each bar and its fills, as `Replay` holds them, money in ticks."""

    @property
    def start_cash(self) -> int:
        """Cash before the first bar."""

    @property
    def cash(self) -> FloatArray:
        """Shape (n_bars,), after the bar has closed."""

    @property
    def equity(self) -> FloatArray:
        """Shape (n_bars,), cash and positions at the bar's close."""

    @property
    def fill_bars(self) -> npt.NDArray[np.int64]:
        """Shape (n_fills,), the bar filled in."""

    @property
    def fill_shares(self) -> FloatArray:
        """Shape (n_fills,), bought above 0, sold below."""

    @property
    def fill_prices(self) -> FloatArray:
        """Shape (n_fills,), of one share."""


@dataclass(frozen=True)
class Metrics:
    """Figures of one equity curve. Returns and drawdown are fractions; None is not defined.

    Parameters
    ----------
    total_return
        Final value by starting cash, minus 1.
    cagr
        The yearly growth that gives the same total over the same number of sessions (252 a year).
    volatility, sharpe, sortino
        Yearly, from simple returns between session closes, the first one from the starting cash.
    calmar
        cagr by the deepest fall between session closes.
    probabilistic_sharpe
        How likely a lower Sharpe ratio than this one is where the true one is 0. It knows nothing of how many
        strategies were tried: that is what the deflated Sharpe ratio of a run is for.
    tail_ratio
        Size of the 95th percentile of session returns by that of the 5th.
    value_at_risk, expected_shortfall
        Loss of a session that 5 % of the sessions go beyond, and the mean loss of those.
    max_drawdown
        Of the curve per bar, with drawdown_start, drawdown_bottom and drawdown_end (opening instants of bars;
        start is None if the fall begins at the starting cash).
    longest_drawdown_sessions
        Most session closes in a row below the highest close before them.
    exposure, gross_exposure
        Fraction of bars that closed with shares held; mean dollars of positions, long and short alike, by
        mean equity.
    turnover
        Dollars bought and sold, by mean equity.
    trades, open_trade
        Closed round trips; whether one more is still open. The next four are over closed ones.
    hit_rate, profit_factor
        Fraction with a profit above 0; dollars won by dollars lost.
    average_trade_usd, average_trade_return
        Mean profit of a trade.
    break_even_cost_bps
        Cost per dollar bought or sold, in 1e-4, that would eat the whole profit, as `break_even_cost` has it. None
        without a profit or a closed trade.
    capacity_usd
        Starting cash with which 95 % of the fills would be at most 1 % of their bar's volume; None without
        a fill, or where volumes were not given.
    """

    total_return: float
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    probabilistic_sharpe: float | None
    tail_ratio: float | None
    value_at_risk: float | None
    expected_shortfall: float | None
    max_drawdown: float
    drawdown_start: str | None
    drawdown_bottom: str | None
    drawdown_end: str | None
    longest_drawdown_sessions: int
    exposure: float
    gross_exposure: float | None
    turnover: float | None
    trades: int
    open_trade: bool
    hit_rate: float | None
    profit_factor: float | None
    average_trade_usd: float | None
    average_trade_return: float | None
    break_even_cost_bps: float | None
    capacity_usd: float | None

    def as_dict(self) -> dict[str, Any]:
        """Figures by name, as JSON can hold them."""
        return dict(vars(self))

    @classmethod
    def undefined(cls) -> dict[str, Any]:
        """The names of all figures, each None: those of an account that could not be kept."""
        return dict.fromkeys(each.name for each in fields(cls))


def measure(
    done: Account,
    trips: pl.DataFrame,
    *,
    timestamp: pl.Series,
    session: pl.Series,
    position: FloatArray | None = None,
    fill_volume: FloatArray | None = None,
) -> Metrics:
    """Metrics of one account.

    Parameters
    ----------
    trips
        Its round trips, from `round_trips`.
    timestamp, session
        Opening instants and session dates of the replayed bars.
    position
        Shape (n_bars,), ticks: what positions were worth at the bar's close, long and short added up without
        their sign. None takes it for one symbol, from equity and cash.
    fill_volume
        Shape (n_fills,), shares that traded in the bar of each fill; None leaves the capacity out.
    """
    start = float(done.start_cash)
    held = np.abs(done.equity - done.cash) if position is None else position
    traded = np.abs(done.fill_shares) * done.fill_prices
    closed = ~trips["is_open"].to_numpy()
    trades = int(np.count_nonzero(closed))
    mean_equity = float(done.equity.mean())
    dearest = break_even_cost(start, float(done.equity[-1]), traded, done.equity[done.fill_bars])
    return Metrics(
        **_session_figures(done.equity, last_bars(session.to_physical().to_numpy()), start),
        **_drawdown_figures(done.equity, start, timestamp),
        exposure=float(np.count_nonzero(held) / held.size),
        gross_exposure=float(held.mean()) / mean_equity if mean_equity > 0 else None,
        turnover=float(traded.sum()) / mean_equity if mean_equity > 0 else None,
        trades=trades,
        open_trade=trades < trips.height,
        **_trade_figures(*(trips[name].to_numpy()[closed] for name in ("profit_usd", "simple_return"))),
        break_even_cost_bps=None if dearest is None or not trades else dearest * 1e4,
        capacity_usd=None if fill_volume is None else capacity(done.fill_shares, fill_volume, start / TICKS_PER_DOLLAR),
    )


def _session_figures(equity: FloatArray, session_last: npt.NDArray[np.int64], start: float) -> dict[str, Any]:
    returns = session_returns(equity, session_last, start)
    closes = equity[session_last]
    total_return = float(equity[-1]) / start - 1.0
    growth = cagr(total_return, sessions=session_last.size)
    sharpe, facts = sharpe_ratio(returns), SharpeFacts.of(returns)
    return {
        "total_return": total_return,
        "cagr": growth,
        "volatility": volatility(returns),
        "sharpe": sharpe,
        "sortino": sortino_ratio(returns),
        "calmar": calmar_ratio(growth, max_drawdown(closes, start).fraction),
        "probabilistic_sharpe": None if sharpe is None or facts is None else probabilistic_sharpe(facts),
        "tail_ratio": tail_ratio(returns),
        "value_at_risk": value_at_risk(returns),
        "expected_shortfall": expected_shortfall(returns),
        "longest_drawdown_sessions": longest_drawdown(closes, start),
    }


def _drawdown_figures(equity: FloatArray, start: float, timestamp: pl.Series) -> dict[str, Any]:
    drawdown = max_drawdown(equity, start)
    return {
        "max_drawdown": drawdown.fraction,
        "drawdown_start": _instant(timestamp, drawdown.peak),
        "drawdown_bottom": _instant(timestamp, drawdown.trough),
        "drawdown_end": _instant(timestamp, drawdown.recovery),
    }


def _trade_figures(profit: FloatArray, simple_return: FloatArray) -> dict[str, Any]:
    names = ("hit_rate", "profit_factor", "average_trade_usd", "average_trade_return")
    if not profit.size:
        return dict.fromkeys(names)
    lost = -float(profit[profit < 0].sum())
    factor = float(profit[profit > 0].sum()) / lost if lost else None
    hits = float(np.count_nonzero(profit > 0) / profit.size)
    return dict(zip(names, (hits, factor, float(profit.mean()), float(simple_return.mean())), strict=True))


def _instant(timestamp: pl.Series, bar: int | None) -> str | None:
    """ISO text of a bar's opening instant; None for no bar and for the starting cash (-1)."""
    return None if bar is None or bar < 0 else str(timestamp[bar].isoformat())
