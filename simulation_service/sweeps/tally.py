"""All sets of a sweep, tried: the best of them, their tables, what is said of them, and their trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from barlake.multiple_testing import SharpeFacts, overfitting_of
from barlake.trials import Deflation, Ended, TrialStatus
from simulation_service.material import Material
from simulation_service.origin import Origin
from simulation_service.plan import SimulationPlan
from simulation_service.simulate import choices
from simulation_service.sweeps.grid import Axis, Grid
from simulation_service.sweeps.trying import FIGURES, Tried
from simulation_service.sweeps.values import origin_with, with_values
from simulation_service.ticks import usd_text

__all__ = ["Tally"]

_SCORES = ("total_return", "max_drawdown", "trades", "turnover")


@dataclass(frozen=True, eq=False)
class Tally:
    """All sets of a sweep, tried."""

    plan: SimulationPlan
    grid: Grid
    origin: Origin
    material: Material
    tried: Sequence[Tried]

    @property
    def best(self) -> int | None:
        """Number of the set with the highest Sharpe ratio, the first of equal ones; None where none has one."""
        sharpes = [one.figures.get("sharpe") for one in self.tried]
        held = [(value, -number) for number, value in enumerate(sharpes) if value is not None]
        return -max(held)[1] if held else None

    def table(self) -> pl.DataFrame:
        """One row per set: `set` (its number), a column per axis, `error`, and `FIGURES`."""
        numbers = pl.Series("set", range(len(self.tried)), dtype=pl.Int64)
        values = [_column(axis, [one.values[axis.name] for one in self.tried]) for axis in self.grid.axes]
        errors = pl.Series("error", [one.error for one in self.tried], dtype=pl.String)
        figures = [
            pl.Series(name, [one.figures.get(name) for one in self.tried], dtype=kind) for name, kind in FIGURES.items()
        ]
        return pl.DataFrame([numbers, *values, errors, *figures])

    def places(self) -> pl.DataFrame:
        """Place of each set's value on each swept axis: `place_0` and so on."""
        found = {}
        for number, axis in enumerate(self.grid.swept):
            place = {repr(value): at for at, value in enumerate(axis.values)}
            found[f"place_{number}"] = [place[repr(one.values[axis.name])] for one in self.tried]
        return pl.DataFrame(found)

    def returns(self) -> pl.DataFrame:
        """`session`, then the returns of each set that was traded under its number."""
        sessions = self.material.bars["session"].unique(maintain_order=True)
        columns = [pl.Series(str(number), one.returns) for number, one in self._traded()]
        return pl.DataFrame([sessions, *columns])

    def _traded(self) -> list[tuple[int, Tried]]:
        return [(number, one) for number, one in enumerate(self.tried) if one.returns is not None]

    def results(self, held: Mapping[str, Any], deflation: Deflation | None) -> dict[str, Any]:
        """What is said of the sweep, as JSON can hold it.

        Parameters
        ----------
        held
            Figures of buying and holding over the same bars.
        deflation
            What the best set is worth.
        """
        bars, best = self.material.bars, self.best
        returns = np.column_stack([one.returns for _, one in self._traded() if one.returns is not None])
        median = pl.Series([one.figures.get("sharpe") for one in self.tried], dtype=pl.Float64).median()
        chosen = None if best is None else self.tried[best]
        return {
            "symbol": self.plan.symbols[0],
            "feed": self.origin.feed,
            "session": self.origin.session,
            "adjustment": self.plan.adjustment,
            "cash_usd": usd_text(self.plan.cash_ticks),
            "execution": self.plan.execution.as_dict(),
            "rules": self.plan.rules.as_dict(),
            "first_bar": bars["timestamp"][0].isoformat(),
            "last_bar": bars["timestamp"][-1].isoformat(),
            "sessions": returns.shape[0],
            "bars": bars.height,
            "bars_by_source": dict(self.material.bars_by_source),
            "signals_from": self.origin.kind,
            "signals_name": self.origin.name,
            "grid": self.grid.as_dict(),
            "sets": len(self.tried),
            "drawn_of": None if len(self.tried) == self.grid.count else self.grid.count,
            "failed": sum(one.error is not None for one in self.tried),
            "best": None if chosen is None else {"set": best, "values": chosen.values, "figures": chosen.figures},
            "median_sharpe": median,
            "buy_and_hold": held,
            "deflation": None if deflation is None else asdict(deflation),
            "overfitting": overfitting_of(returns),
            "remarks": list(self.material.remarks),
            "told": list(self.material.told),
        }

    def trials(self, sweep_id: str) -> list[Ended]:
        """Each set as the simulation it would have been; only the best brings its returns, a table holds the others."""
        best = self.best
        return [self._trial(one, sweep_id, is_best=number == best) for number, one in enumerate(self.tried)]

    def _trial(self, one: Tried, sweep_id: str, *, is_best: bool) -> Ended:
        facts = None if one.returns is None else SharpeFacts.of(one.returns)
        days = self.material.bars["session"].unique(maintain_order=True).to_list() if is_best else []
        returns = dict(zip(days, one.returns.tolist(), strict=True)) if is_best and one.returns is not None else None
        return Ended(
            _choices(self.plan, self.origin, one),
            TrialStatus.FINISHED if one.error is None else TrialStatus.FAILED,
            {name: one.figures[name] for name in _SCORES if name in one.figures},
            fits=0,
            returns=returns,
            artifact_id=sweep_id,
            error=one.error,
            sharpe=None if facts is None else facts.sharpe,
        )


def _choices(plan: SimulationPlan, origin: Origin, one: Tried) -> dict[str, Any]:
    """What `simulate` would have recorded of a set; of one that cannot even be said, its values as they came."""
    if one.error is not None:
        return {**choices(plan, origin_with(origin, plan)), "values": one.values}
    own = with_values(plan, one.values)
    return choices(own, origin_with(origin, own))


def _column(axis: Axis, values: list[Any]) -> pl.Series:
    """Values of one axis as one type: numbers where all are, else text."""
    given = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in given):
        return pl.Series(axis.name, values, dtype=pl.Boolean)
    if any(isinstance(value, bool | str) for value in given):
        return pl.Series(axis.name, [None if value is None else str(value) for value in values], dtype=pl.String)
    whole = all(isinstance(value, int) for value in given)
    return pl.Series(axis.name, values, dtype=pl.Int64 if whole else pl.Float64, strict=False)
