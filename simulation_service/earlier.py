"""Session closes before a simulated period, for sizes and correlations that are estimated from the past."""

from __future__ import annotations

import datetime as dt

import polars as pl

from barlake import Lake
from barlake.keys import Timeframe
from barlake.sessions import session_of
from simulation_service.origin import Origin
from simulation_service.plan import SimulationPlan
from simulation_service.span_checks import require_no_split

__all__ = ["earlier_closes", "earlier_span"]


def earlier_span(lake: Lake, plan: SimulationPlan, origin: Origin) -> tuple[dt.date, dt.date] | None:
    """Sessions [first, last) before the period that the plan's allocation looks at; None if it looks at none."""
    sessions = 0 if plan.sizing is None else plan.sizing.earlier_sessions
    if not sessions:
        return None
    edge = pl.Series("timestamp", [origin.span.start], dtype=pl.Datetime("us", "UTC")).to_frame()
    begins = edge.select(session_of(pl.col("timestamp"), origin.feed)).item()
    held = lake.calendar.of(origin.feed).frame["session"]
    # One more, because the first return needs two closes.
    before = held.filter(held < begins).sort().tail(sessions + 1)
    return (before[0], begins) if before.len() else None


def earlier_closes(lake: Lake, plan: SimulationPlan, origin: Origin) -> pl.DataFrame | None:
    """Closes of the sessions of `earlier_span`, in the terms of the plan.

    Returns
    -------
    session, then a column per symbol, dollars, null where the lake has no bar; oldest first.

    Raises
    ------
    InvalidInputError
        If prices jump by a split there.
    """
    span = earlier_span(lake, plan, origin)
    if span is None:
        return None
    actions = lake.corporate_actions(plan.symbols).filter("counts")
    require_no_split(actions, *span, plan.adjustment)
    bars = lake.bars(
        plan.symbols,
        *span,
        timeframe=Timeframe.DAY,
        session=origin.session,
        feed=origin.feed,
        adjustment=plan.adjustment,
    )
    found = bars.select("session").unique().sort("session")
    for symbol in plan.symbols:
        own = bars.filter(symbol=symbol).select("session", pl.col("close").alias(symbol))
        found = found.join(own, on="session", how="left", maintain_order="left")
    return found
