"""What an equity curve was worth: return, risk, drawdown and trades, each with its definition.

Sharpe and Sortino come from session closes and sqrt(252): on minute bars the nights between sessions and
the bounce between bid and ask give figures that are off by a factor of up to three. No risk-free rate is
taken off. A figure that is not defined is None, never 0.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from simulation_service.kernel import Replay
from simulation_service.ticks import FloatArray

__all__ = [
    "SESSIONS_PER_YEAR",
    "Drawdown",
    "Metrics",
    "cagr",
    "max_drawdown",
    "measure",
    "session_returns",
    "sharpe_ratio",
    "sortino_ratio",
]

SESSIONS_PER_YEAR = 252

# Returns are quotients of floats near 1: what is smaller than this is rounding, not spread.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Drawdown:
    """The deepest fall of an equity curve from its highest point so far.

    Parameters
    ----------
    fraction
        0.1 is a fall of 10 %; 0 if the curve never fell.
    peak, trough, recovery
        Bars, counted from 0: where the fall began (-1: the starting cash), where it was deepest, and the
        first bar back at the peak's height. None if it never fell, or has not recovered.
    """

    fraction: float
    peak: int | None
    trough: int | None
    recovery: int | None


@dataclass(frozen=True)
class Metrics:
    """Figures of one equity curve. Returns and drawdown are fractions; None is not defined.

    Parameters
    ----------
    total_return
        Final value by starting cash, minus 1.
    cagr
        The yearly growth that gives the same total over the same number of sessions (252 a year).
    sharpe, sortino
        Yearly, from simple returns between session closes, the first one from the starting cash.
    max_drawdown
        Of the curve per bar, with drawdown_start, drawdown_bottom and drawdown_end (opening instants of bars;
        start is None if the fall begins at the starting cash).
    exposure
        Fraction of bars that closed with shares held.
    turnover
        Dollars bought and sold, by mean equity.
    trades, open_trade
        Closed round trips; whether one more is still open. The next three are over closed ones.
    hit_rate, profit_factor
        Fraction with a profit above 0; dollars won by dollars lost.
    average_trade_usd, average_trade_return
        Mean profit of a trade.
    break_even_cost_bps
        Cost per dollar bought or sold, in 1e-4, that would eat the whole profit (first order: the same
        trades). None without a profit or a closed trade.
    """

    total_return: float
    cagr: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    drawdown_start: str | None
    drawdown_bottom: str | None
    drawdown_end: str | None
    exposure: float
    turnover: float
    trades: int
    open_trade: bool
    hit_rate: float | None
    profit_factor: float | None
    average_trade_usd: float | None
    average_trade_return: float | None
    break_even_cost_bps: float | None

    def as_dict(self) -> dict[str, Any]:
        """Figures by name, as JSON can hold them."""
        return asdict(self)


def session_returns(equity: FloatArray, session_last: npt.NDArray[np.int64], start: float) -> FloatArray:
    """Return of each session, simple, close to close; the first one from `start`.

    Parameters
    ----------
    equity
        Shape (n_bars,).
    session_last
        Shape (n_sessions,), the last bar of each session, rising.

    Examples
    --------
    >>> session_returns(np.array([100.0, 110.0, 99.0]), np.array([1, 2]), 100.0).round(3)
    array([ 0.1, -0.1])
    """
    closes = np.concatenate([[start], equity[session_last]])
    returns: FloatArray = closes[1:] / closes[:-1] - 1.0
    return returns


def sharpe_ratio(returns: FloatArray) -> float | None:
    """Mean by sample standard deviation (ddof 1), times sqrt(252); None below two returns or without spread.

    Examples
    --------
    >>> sharpe_ratio(np.array([0.01, 0.01])) is None
    True
    """
    if returns.size < 2 or np.ptp(returns) < _ROUNDING:  # noqa: PLR2004 - one return has no spread
        return None
    return float(returns.mean() / returns.std(ddof=1) * math.sqrt(SESSIONS_PER_YEAR))


def sortino_ratio(returns: FloatArray) -> float | None:
    """Mean by the root mean square of the losses (target 0, over all returns), times sqrt(252).

    None below two returns or without a loss.
    """
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2))) if returns.size else 0.0
    if returns.size < 2 or downside < _ROUNDING:  # noqa: PLR2004 - as for the Sharpe ratio
        return None
    return float(returns.mean()) / downside * math.sqrt(SESSIONS_PER_YEAR)


def cagr(total_return: float, *, sessions: int) -> float | None:
    """Compound yearly growth over a number of sessions; None for a single one or nothing left.

    Examples
    --------
    >>> round(cagr(0.21, sessions=504), 12)
    0.1
    """
    if sessions < 2 or total_return <= -1.0:  # noqa: PLR2004 - one session says nothing about a year
        return None
    growth = math.log1p(total_return) * SESSIONS_PER_YEAR / sessions
    # Beyond e**700 the figure is no number any more.
    return math.expm1(growth) if growth < 700.0 else None  # noqa: PLR2004 - see above


def max_drawdown(equity: FloatArray, start: float) -> Drawdown:
    """Deepest fall of a curve that begins at `start`; the first of several equal ones.

    Examples
    --------
    >>> max_drawdown(np.array([120.0, 90.0, 120.0]), 100.0)
    Drawdown(fraction=0.25, peak=0, trough=1, recovery=2)
    """
    curve = np.concatenate([[start], equity])
    highest = np.maximum.accumulate(curve)
    falls = 1.0 - curve / highest
    trough = int(np.argmax(falls))
    if falls[trough] == 0.0:
        return Drawdown(0.0, None, None, None)
    # The last bar at the height is where the fall begins, not the first.
    peak = int(np.flatnonzero(curve[:trough] == highest[trough])[-1])
    back = np.flatnonzero(curve[trough:] >= highest[trough])
    recovery = trough + int(back[0]) - 1 if back.size else None
    return Drawdown(float(falls[trough]), peak - 1, trough - 1, recovery)


def measure(done: Replay, trips: pl.DataFrame, *, timestamp: pl.Series, session: pl.Series) -> Metrics:
    """Metrics of one replay.

    Parameters
    ----------
    trips
        Its round trips, from `round_trips`.
    timestamp, session
        Opening instants and session dates of the replayed bars.
    """
    start = float(done.start_cash)
    session_last = np.flatnonzero(np.append(session.to_numpy()[1:] != session.to_numpy()[:-1], True))
    returns = session_returns(done.equity, session_last, start)
    total_return = done.final_value / start - 1.0
    drawdown = max_drawdown(done.equity, start)
    traded = float(np.sum(np.abs(done.fill_shares) * done.fill_prices))
    profit = done.final_value - done.start_cash
    closed = trips.filter(~pl.col("is_open"))
    return Metrics(
        total_return=total_return,
        cagr=cagr(total_return, sessions=session_last.size),
        sharpe=sharpe_ratio(returns),
        sortino=sortino_ratio(returns),
        max_drawdown=drawdown.fraction,
        drawdown_start=_instant(timestamp, drawdown.peak),
        drawdown_bottom=_instant(timestamp, drawdown.trough),
        drawdown_end=_instant(timestamp, drawdown.recovery),
        exposure=float(np.count_nonzero(done.shares) / done.shares.size),
        turnover=traded / float(done.equity.mean()),
        trades=closed.height,
        open_trade=closed.height < trips.height,
        **_trade_figures(closed["profit_usd"].to_numpy(), closed["simple_return"].to_numpy()),
        break_even_cost_bps=profit / traded * 1e4 if profit > 0 and closed.height else None,
    )


def _trade_figures(profit: FloatArray, simple_return: FloatArray) -> dict[str, float | None]:
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
