"""The account of one symbol: as the plan wants it, and beside it the plain rule at either fill and holding."""

from __future__ import annotations

import functools
from typing import Any

import polars as pl

from barlake.run_tables import TRADES
from barlake.sessions import Calendar
from simulation_service.account_tables import equity_table, fills_table, orders_table
from simulation_service.accounts import Accounts
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay, replay
from simulation_service.ladder import climb_with
from simulation_service.market import Market
from simulation_service.outcome import Outcome, returns_by_session
from simulation_service.plan import SimulationPlan
from simulation_service.random_entries import random_entries
from simulation_service.rules import Rules
from simulation_service.ticks import TICKS_PER_DOLLAR, FloatArray

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
    signal = bars["signal"].to_numpy()
    replayed = functools.partial(_replayed, plan, plain, signal, market)
    done = replayed(plan.execution)
    ladder = climb_with(
        replayed, session_number=market.session_number, cash_ticks=plan.cash_ticks, execution=plan.execution
    )
    luck = random_entries(done, market, execution=plan.execution)
    symbol, timestamp = plan.symbols[0], bars["timestamp"]
    trades = plain.trips_of(done).select(pl.lit(symbol).alias("symbol"), pl.all())
    fill = plan.execution.fill
    return Outcome(
        figures={
            "account": _headline(plan, plain, done),
            **plain.results(),
            "ladder": ladder.as_dict(),
            "random_entries": None if luck is None else luck.as_dict(),
        },
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
            same_close=ladder.same_close,
        ),
        returns=returns_by_session(done.equity, bars["session"], float(done.start_cash)),
    )


def _replayed(
    plan: SimulationPlan, plain: Accounts, signal: FloatArray, market: Market, execution: Execution
) -> Replay:
    """The account under an execution; where that is the plain rule, it was kept already."""
    fill = execution.fill
    if plan.rules == Rules() and execution == Execution(fill) and fill in plain.strategy:
        return plain.strategy[fill]
    return replay(signal, market, cash_ticks=plan.cash_ticks, execution=execution, rules=plan.rules)


def _headline(plan: SimulationPlan, plain: Accounts, done: Replay) -> dict[str, Any]:
    """What became of the cash, what was traded, and what that cost."""
    fill = plan.execution.fill
    return {
        "fill": fill.value,
        "optimistic": fill.is_optimistic,
        **plain.figures(done),
        "costs_usd": done.costs_paid / TICKS_PER_DOLLAR,
    }
