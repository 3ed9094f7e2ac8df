"""How one account is shared out among symbols: signals, sizes and limits become weights, bar by bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from simulation_service.exposure import Limits, whole_millionths
from simulation_service.forward_fill import carried
from simulation_service.rebalance import Every, Rebalance
from simulation_service.sizing import FixedFraction, Past, Sizing, make_sizing
from simulation_service.ticks import TICKS_PER_DOLLAR, FloatArray

if TYPE_CHECKING:  # a fifth of a second of numba behind it, for whoever only names an allocation
    from simulation_service.panel import IntArray, Panel

__all__ = ["Allocation", "target_weights"]


@dataclass(frozen=True)
class Allocation:
    """How one account is shared out among symbols.

    Parameters
    ----------
    sizing
        How much one position may be; by default the account divided evenly.
    limits
        What may be held together.
    rebalance
        When held positions return to their weights; by default never.
    """

    sizing: Sizing = field(default_factory=FixedFraction)
    limits: Limits = field(default_factory=Limits)
    rebalance: Rebalance = field(default_factory=Rebalance)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Allocation:
        """The allocation that `as_dict` told."""
        sizing, rebalance = dict(facts["sizing"]), dict(facts["rebalance"])
        return cls(
            make_sizing(sizing.pop("name"), sizing),
            Limits(**facts["limits"]),
            Rebalance(Every(rebalance.pop("every")), **rebalance),
        )

    @property
    def earlier_sessions(self) -> int:
        """Closed sessions before the first one that sizes and correlations can use."""
        correlation = self.limits.correlation_sessions if self.limits.correlation is not None else 0
        return max(self.sizing.earlier_sessions, correlation)

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, as JSON can hold it."""
        return {
            "sizing": self.sizing.as_dict(),
            "limits": self.limits.as_dict(),
            "rebalance": self.rebalance.as_dict(),
        }


def target_weights(
    signals: FloatArray, panel: Panel, allocation: Allocation, *, earlier_closes: pl.DataFrame | None = None
) -> FloatArray:
    """What each signal asks for, within the limits, at the bar of the signal.

    Returns
    -------
    Shape (n_bars, n_symbols), signed whole millionths of the account; NaN where there is no signal.
    """
    closes = panel.closes()
    session = panel.session_rows()
    past, known_before = _past(signals, panel, closes, session, earlier_closes)
    sizes = allocation.sizing.weights(past)[known_before:][session]
    asked = signals if allocation.sizing.by_value else np.sign(signals)
    # A symbol whose bar brings no signal still wants what it last asked for.
    standing = whole_millionths(carried(asked, before=0.0) * sizes)
    limited = allocation.limits.applied(standing, session + known_before, past.returns)
    return np.where(np.isnan(signals), np.nan, limited.astype(np.float64))


def _past(
    signals: FloatArray, panel: Panel, closes: FloatArray, session: IntArray, earlier: pl.DataFrame | None
) -> tuple[Past, int]:
    """Returns by session, with those of earlier sessions before them, and how many these are."""
    last = np.flatnonzero(np.diff(session, append=-1))
    ends, days = closes[last], panel.session.gather(last)
    known_before = 0
    if earlier is not None and earlier.height:
        ticks = earlier.select(panel.symbols).fill_null(float("nan")).to_numpy() * TICKS_PER_DOLLAR
        ends = np.vstack([ticks, ends])
        days = pl.concat([earlier["session"], days])
        known_before = earlier.height
    ends = carried(np.where(ends > 0, ends, np.nan), before=np.nan)
    returns = np.full(ends.shape, np.nan)
    returns[1:] = ends[1:] / ends[:-1] - 1.0
    earned = np.full(ends.shape, np.nan)
    earned[known_before:] = _earned(signals, panel, closes, last)
    return Past(returns, earned, (days.dt.year() * 12 + days.dt.month()).to_numpy()), known_before


def _earned(signals: FloatArray, panel: Panel, closes: FloatArray, last: IntArray) -> FloatArray:
    """What a dollar that follows the sign of the signals earns in each session; NaN before the first one.

    The signal of bar i is held from the close of bar i+1: a price that nobody can have fooled the signal with.
    """
    side = np.sign(panel.delayed(carried(signals, before=np.nan), 2))
    before = np.vstack([np.full((1, closes.shape[1]), np.nan), closes[:-1]])
    moved = np.divide(closes, before, out=np.ones_like(closes), where=before > 0) - 1.0
    gained = np.where(np.isnan(side), 0.0, side * moved)
    first = np.concatenate([[0], last[:-1] + 1])
    sums = np.add.reduceat(gained, first, axis=0)
    begun = np.maximum.accumulate(~np.isnan(side), axis=0)[first]
    return np.where(begun, sums, np.nan)
