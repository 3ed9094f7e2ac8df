"""The curves over time: account value, drawdown and rolling Sharpe ratio, beside buy and hold."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from simulation_service.ratios import SESSIONS_PER_YEAR, last_bars, session_returns
from simulation_service.tear_sheet.charts import Chart, Label, Line, Scale, Whole, date_labels, line
from simulation_service.ticks import FloatArray

__all__ = ["Paths", "drawdown_chart", "drawdowns", "equity_chart", "rolling_sharpe", "sharpe_chart"]

_EQUITY_HEIGHT, _LOW_HEIGHT = 340, 190
_FLAT = 1e-12
# A curve that never fell still needs a height to be drawn in.
_LEAST_DEPTH = -0.01
# Shorter first: a ratio over fewer sessions than these says nothing at all.
_WINDOWS = (21, 63, 252)


@dataclass(frozen=True, eq=False)
class Paths:
    """The account per bar, what it is held against, and where its sessions begin.

    Parameters
    ----------
    equity
        The run's table of that name.
    cash_usd
        Cash before the first bar.
    """

    equity: pl.DataFrame
    cash_usd: float

    @cached_property
    def own(self) -> FloatArray:
        """Shape (n_bars,), the account's value after each bar, dollars."""
        return self.equity["equity_usd"].to_numpy()

    @cached_property
    def held(self) -> FloatArray | None:
        """The same of buy and hold; None where there is none."""
        return self._other("buy_and_hold_usd")

    @cached_property
    def same_close(self) -> FloatArray | None:
        """The same of the optimistic fill; None where there is none."""
        return self._other("same_close_usd")

    def _other(self, name: str) -> FloatArray | None:
        if name not in self.equity.columns or self.equity[name].null_count() == self.equity.height:
            return None
        return self.equity[name].to_numpy()

    @cached_property
    def starts(self) -> Whole:
        """Shape (n_sessions,), the first bar of each session."""
        return np.append(0, self.ends[:-1] + 1)

    @cached_property
    def ends(self) -> Whole:
        """Shape (n_sessions,), the last bar of each session."""
        return last_bars(self.equity["session"].to_physical().to_numpy())

    @cached_property
    def sessions(self) -> list[dt.date]:
        """Their dates."""
        return self.equity["session"][self.starts].to_list()

    @cached_property
    def dates(self) -> list[Label]:
        """Labels below a chart with one point for each bar."""
        return date_labels(self.sessions, self.starts, self.equity.height)

    def returns(self, values: FloatArray) -> FloatArray:
        """Shape (n_sessions,), simple returns between session closes, the first from the starting cash."""
        return session_returns(values, self.ends, self.cash_usd)


def equity_chart(paths: Paths, legend: str) -> Chart:
    """Account value beside buy and hold and the optimistic fill.

    Parameters
    ----------
    legend
        What the account's own line is called.
    """
    lines = [("held", "Buy and hold", paths.held), ("same", "Same close (optimistic)", paths.same_close)]
    drawn = [(style, text, values) for style, text, values in lines if values is not None]
    drawn.append(("own", legend, paths.own))
    lowest = min(float(values.min()) for _, _, values in drawn)
    highest = max(float(values.max()) for _, _, values in drawn)
    scale = Scale.holding(min(lowest, paths.cash_usd), max(highest, paths.cash_usd), height=_EQUITY_HEIGHT)
    return Chart(
        height=_EQUITY_HEIGHT,
        lines=[line(style, text, values, scale) for style, text, values in drawn],
        y_labels=scale.labels("{:,.0f}" if scale.step >= 1 else "{:,.2f}"),
        x_labels=paths.dates,
        zero=scale.percent(paths.cash_usd),
    )


def drawdowns(equity: FloatArray, start: float) -> FloatArray:
    """Fall from the highest point so far at every bar, as a fraction at or below 0.

    Examples
    --------
    >>> drawdowns(np.array([110.0, 99.0]), 100.0).round(3)
    array([ 0. , -0.1])
    """
    falls: FloatArray = equity / np.maximum(np.maximum.accumulate(equity), start) - 1.0
    return falls


def drawdown_chart(paths: Paths, legend: str) -> Chart:
    """Drawdown of the account as an area, and that of buy and hold as a line."""
    drawn = [("own", legend, drawdowns(paths.own, paths.cash_usd))]
    if paths.held is not None:
        drawn.insert(0, ("held", "Buy and hold", drawdowns(paths.held, paths.cash_usd)))
    lowest = min(_LEAST_DEPTH, *(float(values.min()) for _, _, values in drawn))
    scale = Scale.holding(lowest, 0.0, height=_LOW_HEIGHT, count=4)
    lines = [line(style, text, values, scale) for style, text, values in drawn]
    return Chart(
        height=_LOW_HEIGHT,
        lines=lines,
        y_labels=scale.labels(_percents(scale)),
        x_labels=paths.dates,
        area=f"{lines[-1].path}L1000 0L0 0Z",
    )


def _percents(scale: Scale) -> str:
    """Format of a scale's marks with no more decimals than their distance needs."""
    places = max(0, math.ceil(-math.log10(scale.step) - 2 - 1e-9))
    # 2.5 % has a decimal of its own.
    places += round(scale.step * 10 ** (places + 2), 6) % 1 > 0
    return f"{{:.{places}%}}"


def rolling_sharpe(returns: FloatArray, window: int) -> FloatArray:
    """Yearly Sharpe ratio of the last `window` sessions at each session; NaN before, and without spread.

    Examples
    --------
    >>> rolling_sharpe(np.array([0.01, -0.01, 0.01, 0.01]), 2).round(1)
    array([nan,  0.,  0., nan])
    """
    ratio = np.full(returns.size, np.nan)
    if returns.size >= window:
        stretches = np.lib.stride_tricks.sliding_window_view(returns, window)
        spread = stretches.std(axis=1, ddof=1)
        has_spread = np.ptp(stretches, axis=1) > _FLAT
        mean = stretches.mean(axis=1)
        ratio[window - 1 :][has_spread] = mean[has_spread] / spread[has_spread] * math.sqrt(SESSIONS_PER_YEAR)
    return ratio


def sharpe_chart(paths: Paths, legend: str) -> tuple[int, Chart | None]:
    """Window in sessions and chart of the rolling Sharpe ratio; None below twice the shortest window."""
    count = len(paths.sessions)
    window = max((size for size in _WINDOWS if count >= 2 * size), default=_WINDOWS[0])
    drawn = [("own", legend, rolling_sharpe(paths.returns(paths.own), window))]
    if paths.held is not None:
        drawn.insert(0, ("held", "Buy and hold", rolling_sharpe(paths.returns(paths.held), window)))
    known = np.concatenate([values[~np.isnan(values)] for _, _, values in drawn])
    if count < 2 * window or not known.size:
        return window, None
    scale = Scale.holding(min(0.0, float(known.min())), max(0.0, float(known.max())), height=_LOW_HEIGHT, count=4)
    lines: list[Line] = [line(style, text, values, scale) for style, text, values in drawn]
    chart = Chart(
        height=_LOW_HEIGHT,
        lines=lines,
        y_labels=scale.labels("{:.0f}" if scale.step >= 1 else "{:.1f}"),
        x_labels=date_labels(paths.sessions, np.arange(count), count),
        zero=scale.percent(0.0),
    )
    return window, chart
