"""Return against risk, from the returns of sessions.

Everything here takes simple returns between session closes and is made yearly with 252 sessions. Minute returns
times the root of the minutes in a year give other figures, off by a factor of up to three: nights are no
minutes, and the bounce between bid and ask looks like spread of the price. No risk-free rate is taken off.
A figure that is not defined is None, never 0.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from simulation_service.ticks import FloatArray

__all__ = [
    "SESSIONS_PER_YEAR",
    "TAIL",
    "cagr",
    "calmar_ratio",
    "expected_shortfall",
    "last_bars",
    "session_returns",
    "sharpe_ratio",
    "sortino_ratio",
    "tail_ratio",
    "value_at_risk",
    "volatility",
]

SESSIONS_PER_YEAR = 252

TAIL = 0.05
"""Share of the sessions that a tail is made of."""

# Returns are quotients of floats near 1: what is smaller than this is rounding, not spread.
_ROUNDING = 1e-12
_FEWEST = 2
"""One return has no spread, and one session says nothing about a year."""
_LARGEST_EXPONENT = 700.0


def last_bars(session: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Index of the last bar of each session.

    Parameters
    ----------
    session
        Shape (n_bars,), a date or number that is the same for the bars of one session, which stand together.

    Examples
    --------
    >>> last_bars(np.array([7, 7, 8]))
    array([1, 2])
    """
    return np.flatnonzero(np.append(session[1:] != session[:-1], True))


def session_returns(equity: FloatArray, session_last: npt.NDArray[np.int64], start: float) -> FloatArray:
    """Return of each session, simple, close to close; the first one from `start`.

    Parameters
    ----------
    equity
        Shape (n_bars,).
    session_last
        Shape (n_sessions,), the last bar of each session, rising.

    Returns
    -------
    Shape (n_sessions,). 0 after a session that left nothing or debts: there is no capital to earn on.

    Examples
    --------
    >>> session_returns(np.array([100.0, 110.0, 99.0]), np.array([1, 2]), 100.0).round(3)
    array([ 0.1, -0.1])
    """
    closes = np.concatenate([[start], equity[session_last]])
    earning = np.minimum.accumulate(closes[:-1]) > 0
    returns: FloatArray = np.divide(closes[1:], closes[:-1], out=np.ones(closes.size - 1), where=earning) - 1.0
    return returns


def volatility(returns: FloatArray) -> float | None:
    """Sample standard deviation (ddof 1) times sqrt(252); None below two returns.

    Examples
    --------
    >>> round(volatility(np.array([0.01, -0.01])), 4)
    0.2245
    """
    if returns.size < _FEWEST:
        return None
    return float(returns.std(ddof=1) * math.sqrt(SESSIONS_PER_YEAR))


def sharpe_ratio(returns: FloatArray) -> float | None:
    """Mean by sample standard deviation (ddof 1), times sqrt(252); None below two returns or without spread.

    Examples
    --------
    >>> sharpe_ratio(np.array([0.01, 0.01])) is None
    True
    """
    if returns.size < _FEWEST or np.ptp(returns) < _ROUNDING:
        return None
    return float(returns.mean() / returns.std(ddof=1) * math.sqrt(SESSIONS_PER_YEAR))


def sortino_ratio(returns: FloatArray) -> float | None:
    """Mean by the root mean square of the losses (target 0, over all returns), times sqrt(252).

    None below two returns or without a loss.
    """
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2))) if returns.size else 0.0
    if returns.size < _FEWEST or downside < _ROUNDING:
        return None
    return float(returns.mean()) / downside * math.sqrt(SESSIONS_PER_YEAR)


def cagr(total_return: float, *, sessions: int) -> float | None:
    """Compound yearly growth over a number of sessions; None for a single one or nothing left.

    Examples
    --------
    >>> round(cagr(0.21, sessions=504), 12)
    0.1
    """
    if sessions < _FEWEST or total_return <= -1.0:
        return None
    growth = math.log1p(total_return) * SESSIONS_PER_YEAR / sessions
    # Beyond e**700 the figure is no number any more.
    return math.expm1(growth) if growth < _LARGEST_EXPONENT else None


def calmar_ratio(growth: float | None, drawdown: float) -> float | None:
    """Yearly growth by the deepest fall between session closes; None without either.

    Examples
    --------
    >>> calmar_ratio(0.1, 0.2)
    0.5
    """
    return None if growth is None or drawdown <= 0.0 else growth / drawdown


def tail_ratio(returns: FloatArray) -> float | None:
    """Size of the 95th percentile by that of the 5th; above 1 the good sessions reach further than the bad.

    None below two returns or where the 5th percentile is 0. Percentiles are interpolated linearly.
    """
    if returns.size < _FEWEST:
        return None
    low, high = np.abs(np.quantile(returns, [TAIL, 1 - TAIL]))
    return float(high / low) if low > _ROUNDING else None


def value_at_risk(returns: FloatArray) -> float | None:
    """Loss of a session that 5 % of the sessions go beyond, a fraction: minus the 5th percentile.

    Below 0 where even that session won. None below two returns.

    Examples
    --------
    >>> round(value_at_risk(np.linspace(-0.1, 0.1, 21)), 12)
    0.09
    """
    return float(-np.quantile(returns, TAIL)) if returns.size >= _FEWEST else None


def expected_shortfall(returns: FloatArray) -> float | None:
    """Mean loss of the worst sessions, a fraction: those up to the 5th percentile, at least one.

    None below two returns.
    """
    if returns.size < _FEWEST:
        return None
    worst = int((returns.size - 1) * TAIL)
    return float(-np.partition(returns, worst)[: worst + 1].mean())
