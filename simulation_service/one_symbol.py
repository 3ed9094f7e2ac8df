"""The account of one symbol: as the plan wants it, and beside it the plain rule at either fill and holding."""

from __future__ import annotations

from typing import Any

import polars as pl

from barlake.run_tables import TRADES
from barlake.sessions import Calendar
from simulation_service.account_tables import equity_table, fills_table, orders_table
from simulation_service.accounts import Accounts
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay, replay
from simulation_service.market import Market
from simulation_service.metrics import measure
from simulation_service.outcome import Outcome, returns_by_session
from simulation_service.plan import SimulationPlan
from simulation_service.rules import Rules
from simulation_service.ticks import TICKS_PER_DOLLAR, usd_text
from simulation_service.trades import round_trips

__all__ = ["trade_one_symbol"]


def trade_one_symbol(
    plan: SimulationPlan, bars: pl.DataFrame, *, feed: str, session: str, calendar: Calendar
) -> Outcome:
    """Carry a plan out over the bars of its one symbol.

    Parameters
    ----------
    bars
        Oldest first, with a column signal (null holds), as `simulation_service.signals.place` gives them.
    feed, session, calendar
        Whose bars they are, which hours they cover, and when those end.

    Raises
    ------
    InvalidInputError
        If a price or volume cannot be traded, or the account outgrows what can be counted to the cent.
    """
    market = Market.of(bars, feed=feed, hours=session, calendar=calendar)
    plain = Accounts.replayed(bars, cash_ticks=plan.cash_ticks, market=market)
    signal = bars["signal"].fill_null(float("nan")).to_numpy()
    done = _account(plan, plain, signal, market)
    symbol, timestamp = plan.symbols[0], bars["timestamp"]
    trips = round_trips(done, timestamp=timestamp, close_ticks=market.close)
    trades = trips.select(pl.lit(symbol).alias("symbol"), pl.all())
    fill = plan.execution.fill
    return Outcome(
        figures={"account": account_figures(done, trips, bars, fill), **plain.results()},
        orders=orders_table(
            done, signal, lag=plan.execution.lag, direction=plan.rules.direction, timestamp=timestamp, symbol=symbol
        ),
        fills=fills_table(done, timestamp=timestamp, symbol=symbol),
        trades=trades.select(pl.col(name).cast(kind) for name, kind in TRADES.items()),
        equity=equity_table(
            done,
            timestamp=timestamp,
            session=bars["session"],
            held=plain.held[fill if fill in plain.held else Fill.SAME_CLOSE].equity,
            same_close=plain.strategy[Fill.SAME_CLOSE].equity,
        ),
        returns=returns_by_session(done.equity, bars["session"], float(done.start_cash)),
    )


def _account(plan: SimulationPlan, plain: Accounts, signal: Any, market: Market) -> Replay:
    """The account as the plan wants it; where that is the plain rule, it was kept already."""
    fill = plan.execution.fill
    if plan.rules == Rules() and plan.execution == Execution(fill) and fill in plain.strategy:
        return plain.strategy[fill]
    return replay(signal, market, cash_ticks=plan.cash_ticks, execution=plan.execution, rules=plan.rules)


def account_figures(done: Replay, trips: pl.DataFrame, bars: pl.DataFrame, fill: Fill) -> dict[str, Any]:
    """The headline: what became of the cash, what was traded, and what that cost."""
    measured = measure(done, trips, timestamp=bars["timestamp"], session=bars["session"])
    return {
        "fill": fill.value,
        "optimistic": fill.is_optimistic,
        "final_value": usd_text(done.final_value),
        "final_value_usd": done.final_value / TICKS_PER_DOLLAR,
        "fills": int(done.fill_bars.size),
        "shares_bought": done.shares_bought,
        "costs_usd": done.costs_paid / TICKS_PER_DOLLAR,
        "metrics": measured.as_dict(),
    }
