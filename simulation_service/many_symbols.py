"""The account of several symbols: as the plan wants it, and beside it the same weights at either fill and holding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from barlake.run_tables import FILLS, ORDERS, TRADES
from barlake.sessions import Calendar
from simulation_service.account_tables import equity_table, fills_table, orders_table
from simulation_service.accounts import unkept
from simulation_service.allocation import Allocation, target_weights
from simulation_service.execution import Execution, Fill
from simulation_service.kernel import Replay
from simulation_service.ladder import climb_with
from simulation_service.material import Material
from simulation_service.metrics import measure
from simulation_service.outcome import Outcome, returns_by_session
from simulation_service.panel import Panel
from simulation_service.plan import SimulationPlan
from simulation_service.portfolio import PortfolioReplay, allowed, hold_evenly, replay_weights
from simulation_service.rules import Direction
from simulation_service.ticks import TICKS_PER_DOLLAR, ExactRangeError, FloatArray, usd_text
from simulation_service.trades import round_trips

__all__ = ["trade_portfolio"]

_BOUGHT_AT = {Fill.NEXT_OPEN: "first open", Fill.SAME_CLOSE: "first close"}


def trade_portfolio(
    plan: SimulationPlan, allocation: Allocation, material: Material, *, feed: str, session: str, calendar: Calendar
) -> Outcome:
    """Carry a plan out over the bars of its symbols.

    Parameters
    ----------
    feed, session, calendar
        Whose bars they are, which hours they cover, and when those end.

    Raises
    ------
    InvalidInputError
        If a price or volume cannot be traded, or the account outgrows what can be counted to the cent.
    """
    own_bars = {name: material.bars.filter(symbol=name) for name in plan.symbols}
    panel = Panel.of(own_bars, feed=feed, hours=session, calendar=calendar)
    signals = allowed(panel.place(material.bars), plan.rules.direction)
    weights = target_weights(signals, panel, allocation, earlier_closes=material.earlier_closes)

    def keep(way: Execution, **terms: Any) -> PortfolioReplay:
        return replay_weights(weights, panel, cash_ticks=plan.cash_ticks, allocation=allocation, execution=way, **terms)

    done = keep(plan.execution, rules=plan.rules)
    held = {fill: hold_evenly(panel, cash_ticks=plan.cash_ticks, execution=Execution(fill)) for fill in _BOUGHT_AT}
    trips = _trips(done, panel)
    ladder = climb_with(
        lambda way: keep(way, rules=plan.rules).account,
        session_number=panel.session_rows(),
        cash_ticks=plan.cash_ticks,
        execution=plan.execution,
    )
    fill = plan.execution.fill
    return Outcome(
        figures={
            "account": _headline(done.account, fill) | _figures(done, trips, panel),
            **{way.value: {"optimistic": way.is_optimistic} | _plain(keep, way, panel) for way in _BOUGHT_AT},
            "buy_and_hold": {
                way.value: {"bought_at": _BOUGHT_AT[way]} | _figures(one, _trips(one, panel), panel)
                for way, one in held.items()
            },
            "by_symbol": _by_symbol(done, trips, panel),
            "ladder": ladder.as_dict(),
            "random_entries": None,  # entries of several symbols on one account cannot be put in another order
            "prices_rounded": sum(market.prices_rounded for market in panel.markets),
            "largest_rounding_usd": max(market.largest_rounding_usd for market in panel.markets),
        },
        orders=_orders(done, weights, panel, plan.execution.lag),
        fills=_joined(
            [
                fills_table(_own(done, panel, place), timestamp=_stamps(panel, place), symbol=symbol)
                for place, symbol in enumerate(panel.symbols)
            ],
            FILLS,
        ),
        trades=_joined([trips], TRADES, by="entry_timestamp"),
        equity=equity_table(
            done.account,
            timestamp=panel.timestamp,
            session=panel.session,
            held=held[fill if fill in held else Fill.SAME_CLOSE].account.equity,
            same_close=ladder.same_close,
        ),
        returns=returns_by_session(done.account.equity, panel.session, float(plan.cash_ticks)),
    )


def _own(done: PortfolioReplay, panel: Panel, place: int) -> Replay:
    return done.of_symbol(place, panel.rows[place])


def _stamps(panel: Panel, place: int) -> pl.Series:
    return panel.timestamp.gather(panel.rows[place])


def _joined(tables: list[pl.DataFrame], schema: dict[str, pl.DataType], by: str = "timestamp") -> pl.DataFrame:
    """Tables of all symbols as one, in order of time, then of the symbols."""
    whole = pl.concat(tables).sort(by, maintain_order=True)
    return whole.select(pl.col(name).cast(kind) for name, kind in schema.items())


def _trips(done: PortfolioReplay, panel: Panel) -> pl.DataFrame:
    return pl.concat(
        round_trips(
            _own(done, panel, place), timestamp=_stamps(panel, place), close_ticks=panel.markets[place].close
        ).select(pl.lit(symbol).alias("symbol"), pl.all())
        for place, symbol in enumerate(panel.symbols)
    )


def _orders(done: PortfolioReplay, weights: FloatArray, panel: Panel, lag: int) -> pl.DataFrame:
    """Orders by symbol; a signal whose weight is 0 asks for nothing."""
    tables = [
        orders_table(
            _own(done, panel, place),
            weights[panel.rows[place], place],
            lag=lag,
            direction=Direction.BOTH,
            timestamp=_stamps(panel, place),
            symbol=symbol,
        )
        for place, symbol in enumerate(panel.symbols)
    ]
    return _joined(tables, ORDERS)


def _headline(done: Replay, fill: Fill) -> dict[str, Any]:
    return {
        "fill": fill.value,
        "optimistic": fill.is_optimistic,
        "costs_usd": done.costs_paid / TICKS_PER_DOLLAR,
    }


def _plain(keep: Callable[[Execution], PortfolioReplay], fill: Fill, panel: Panel) -> dict[str, Any]:
    """Figures of an account that stands beside the run, or why it has none."""
    try:
        done = keep(Execution(fill))
    except ExactRangeError as error:
        return unkept(str(error))
    return _figures(done, _trips(done, panel), panel)


def _figures(done: PortfolioReplay, trips: pl.DataFrame, panel: Panel) -> dict[str, Any]:
    account = done.account
    volumes = panel.spread([market.volume for market in panel.markets], 0.0)
    measured = measure(
        account,
        trips,
        timestamp=panel.timestamp,
        session=panel.session,
        position=np.abs(done.shares * panel.closes()).sum(axis=1),
        fill_volume=volumes[account.fill_bars, done.fill_symbols],
    )
    return {
        "final_value": usd_text(account.final_value),
        "final_value_usd": account.final_value / TICKS_PER_DOLLAR,
        "fills": int(account.fill_bars.size),
        "shares_bought": account.shares_bought,
        "metrics": measured.as_dict(),
    }


def _by_symbol(done: PortfolioReplay, trips: pl.DataFrame, panel: Panel) -> dict[str, dict[str, Any]]:
    """What each symbol did to the account; the profits add up to that of the account."""
    found = {}
    for place, symbol in enumerate(panel.symbols):
        own = trips.filter(symbol=symbol)
        found[symbol] = {
            "fills": int(np.count_nonzero(done.fill_symbols == place)),
            "trades": own.height,
            "fees_usd": float(own["fees_usd"].sum()),
            "profit_usd": float(own["profit_usd"].sum()),
        }
    return found
