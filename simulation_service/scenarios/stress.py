"""Scenarios put to one account, beside the same account on the bars as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from barlake.errors import InvalidInputError, NotFoundError
from barlake.keys import SYNTHETIC_FEED
from simulation_service.scenarios.scenario_table import Scenario
from simulation_service.scenarios.shocks import Stage
from simulation_service.scenarios.trading import Traded, Trader
from simulation_service.ticks import TICKS_PER_DOLLAR

__all__ = ["AS_IT_WAS", "Outcome", "Span", "StressReport", "stress"]

AS_IT_WAS = Scenario("as_it_was", "The bars as they were")
"""What the others are compared with."""

Span = Callable[[Scenario], pl.DataFrame]
"""Bars of the span of a scenario."""

Notify = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one scenario did; without an account where it could not be tried, and then why."""

    scenario: Scenario
    traded: Traded | None
    is_synthetic: bool
    reason: str | None = None

    def row(self) -> dict[str, Any]:
        """Figures of one line of the table."""
        found: dict[str, Any] = {"scenario": self.scenario.name, "synthetic": self.is_synthetic}
        if self.traded is None:
            return {**found, "reason": self.reason}
        done, sessions = self.traded.account, self.traded.bars["session"]
        return {
            **found,
            "first_session": sessions[0],
            "last_session": sessions[-1],
            "bars": sessions.len(),
            "final_value_usd": done.final_value / TICKS_PER_DOLLAR,
            "total_return": float(self.traded.values[-1] - 1.0),
            "buy_and_hold": float(self.traded.held_values[-1] - 1.0),
            "max_drawdown": self.traded.drawdown,
            "worst_session": float(self.traded.returns.min()),
            "exposure": float(np.count_nonzero(done.shares) / done.shares.size),
            "fills": int(done.fill_bars.size),
            "reason": None,
        }


@dataclass(frozen=True, eq=False)
class StressReport:
    """Outcomes in the order of the scenarios, the first of them of the bars as they were."""

    run_id: str
    symbol: str
    cash_usd: float
    outcomes: tuple[Outcome, ...]

    def table(self) -> pl.DataFrame:
        """One row per scenario, figures null where it could not be tried.

        Returns
        -------
        scenario, synthetic, first_session, last_session, bars, final_value_usd, total_return, buy_and_hold,
        max_drawdown, worst_session (returns are fractions), exposure, fills, reason.
        """
        rows = [outcome.row() for outcome in self.outcomes]
        return pl.DataFrame(rows, schema=list(rows[0]), infer_schema_length=None)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        about = {outcome.scenario.name: outcome.scenario.description for outcome in self.outcomes}
        rows = [{**row, "description": about[row["scenario"]]} for row in self.table().to_dicts()]
        return {"run": self.run_id, "symbol": self.symbol, "cash_usd": self.cash_usd, "scenarios": rows}


def stress(
    trader: Trader,
    bars: pl.DataFrame,
    scenarios: Iterable[Scenario],
    *,
    span: Span,
    must_all_work: bool = False,
    notify: Notify = lambda _name, _done, _of: None,
) -> StressReport:
    """What an account would have come to under scenarios.

    Parameters
    ----------
    bars
        What shocks are applied to, with everything that the strategy looks at.
    span
        Fetches the bars of scenarios that are spans.
    must_all_work
        Whether a scenario that these bars do not allow is an error. Else why it has no figures is said in its row.
    """
    wanted = list(scenarios)
    stage, made_up = Stage.of(bars), trader.feed == SYNTHETIC_FEED
    outcomes = [Outcome(AS_IT_WAS, trader.trade(stage), made_up)]
    for number, scenario in enumerate(wanted):
        notify(scenario.name, number, len(wanted))
        try:
            traded = _traded(trader, stage, scenario, span)
            outcomes.append(Outcome(scenario, traded, scenario.is_synthetic or made_up))
        except (InvalidInputError, NotFoundError) as error:
            if must_all_work:
                raise
            outcomes.append(Outcome(scenario, None, scenario.is_synthetic or made_up, str(error)))
    notify("done", len(wanted), len(wanted))
    return StressReport(trader.run_id, trader.title, trader.plan.cash_ticks / TICKS_PER_DOLLAR, tuple(outcomes))


def _traded(trader: Trader, stage: Stage, scenario: Scenario, span: Span) -> Traded:
    if scenario.is_synthetic:
        return trader.trade(scenario.apply(stage), made_up=True)
    return trader.trade(Stage.of(span(scenario)))
