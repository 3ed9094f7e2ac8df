"""One set of parameters tried on bars that were read once: signals, an account, and its figures."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import polars as pl

from barlake.artifacts import canonical_json
from barlake.errors import BarlakeError
from simulation_service.kernel import Replay, buy_and_hold, replay
from simulation_service.market import Market
from simulation_service.metrics import measure
from simulation_service.plan import SimulationPlan, StrategySource
from simulation_service.ratios import last_bars, session_returns
from simulation_service.strategies.catalogue import make_strategy
from simulation_service.strategies.placing import signal_frame
from simulation_service.sweeps.grid import Values
from simulation_service.sweeps.values import with_values
from simulation_service.ticks import TICKS_PER_DOLLAR, FloatArray
from simulation_service.trades import round_trips

__all__ = ["FIGURES", "Ground", "Tried", "Trier", "share", "try_shared"]

FIGURES: Mapping[str, pl.DataType] = {
    "final_value_usd": pl.Float64(), "total_return": pl.Float64(), "cagr": pl.Float64(), "volatility": pl.Float64(),
    "sharpe": pl.Float64(), "sortino": pl.Float64(), "calmar": pl.Float64(), "max_drawdown": pl.Float64(),
    "exposure": pl.Float64(), "turnover": pl.Float64(), "trades": pl.Int64(), "hit_rate": pl.Float64(),
    "profit_factor": pl.Float64(), "average_trade_usd": pl.Float64(), "break_even_cost_bps": pl.Float64(),
    "fills": pl.Int64(), "costs_usd": pl.Float64(),
}  # fmt: skip
"""What is kept of each set; all but the first and the last two as `simulation_service.metrics.Metrics` says."""


@dataclass(frozen=True, eq=False)
class Ground:
    """What every set of a sweep is tried on.

    Parameters
    ----------
    bars
        Bars of one symbol as a strategy sees them, oldest first.
    market
        The same bars, as the kernel reads them.
    signal
        Shape (n_bars,), NaN holds, where no strategy makes it; else None.
    """

    bars: pl.DataFrame
    market: Market
    signal: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Tried:
    """What came of one set.

    Parameters
    ----------
    error
        Why it could not be traded; then there are no figures.
    figures
        `FIGURES` by name.
    returns
        Shape (n_sessions,), simple return of each session.
    """

    values: Values
    error: str | None = None
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    returns: FloatArray | None = None


class Trier:
    """Tries sets on a ground, one after the other; signals of the last strategy are kept for sets that share them.

    Parameters
    ----------
    plan
        What is the same for all sets; a set's values go over it.
    """

    def __init__(self, ground: Ground, plan: SimulationPlan) -> None:
        self._ground = ground
        self._plan = plan
        self._last: tuple[str, FloatArray] | None = None

    def __call__(self, values: Values) -> Tried:
        """Figures of one set; what the house refuses of it is in its `error`."""
        try:
            plan = with_values(self._plan, values)
            done = replay(
                self._signal(plan),
                self._ground.market,
                cash_ticks=plan.cash_ticks,
                execution=plan.execution,
                rules=plan.rules,
            )
        except BarlakeError as error:
            return Tried(values, error=f"{type(error).__name__}: {error}")
        return Tried(values, None, self._figures(done), self._returns(done))

    def held(self) -> dict[str, Any]:
        """Figures of buying once and keeping, at the costs of the plan."""
        market, plan = self._ground.market, self._plan
        return self._figures(buy_and_hold(market, cash_ticks=plan.cash_ticks, execution=plan.execution))

    def _signal(self, plan: SimulationPlan) -> FloatArray:
        if self._ground.signal is not None:
            return self._ground.signal
        assert isinstance(plan.source, StrategySource)  # noqa: S101 - who else makes signals brought them along
        key = canonical_json(plan.source.parameters)
        if self._last is None or self._last[0] != key:
            placed = signal_frame(make_strategy(plan.source.name, plan.source.parameters), self._ground.bars)
            self._last = key, placed["signal"].to_numpy()
        return self._last[1]

    def _figures(self, done: Replay) -> dict[str, Any]:
        bars = self._ground.bars
        trips = round_trips(done, timestamp=bars["timestamp"], close_ticks=self._ground.market.close)
        measured = measure(done, trips, timestamp=bars["timestamp"], session=bars["session"]).as_dict()
        found = measured | {
            "final_value_usd": done.final_value / TICKS_PER_DOLLAR,
            "fills": int(done.fill_bars.size),
            "costs_usd": done.costs_paid / TICKS_PER_DOLLAR,
        }
        return {name: found[name] for name in FIGURES}

    def _returns(self, done: Replay) -> FloatArray:
        last = last_bars(self._ground.market.session_number)
        return session_returns(done.equity, last, float(done.start_cash))


def share(ground: Ground, plan: SimulationPlan, file: Path) -> None:
    """Put a ground where workers find it; its arrays are mapped into each of them, not copied."""
    joblib.dump((ground, plan), file)


def try_shared(file: Path, values: Values) -> Tried:
    """Try a set on the ground in a file, which a worker opens once."""
    return _trier(file)(values)


@functools.lru_cache(maxsize=1)
def _trier(file: Path) -> Trier:
    # Copied when written to, which nobody does: what is mapped for reading alone would be compiled for anew.
    ground, plan = joblib.load(file, mmap_mode="c")
    arrays = {name: np.asarray(held) for name, held in vars(ground.market).items() if isinstance(held, np.ndarray)}
    return Trier(dataclasses.replace(ground, market=dataclasses.replace(ground.market, **arrays)), plan)
