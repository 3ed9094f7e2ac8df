"""Proof that a strategy wants nothing because of what comes later."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from barlake.errors import InvalidInputError
from barlake.leak_proof import Effort, Frames, ProofReport, Source, World, bar_borders, minutes, prove
from barlake.leak_proof.engine import Progress
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.placing import signal_frame, signals_beside

__all__ = ["STRATEGY_EFFORT", "prove_strategy"]

STRATEGY_EFFORT = Effort(whole=24, pieces=40, per_piece=8)
"""One column is cheap, and one that has few values seldom shows what it looked at: many borders are tried."""

_VALUES = ("open", "high", "low", "close", "volume", "prediction", "model_signal")


def prove_strategy(
    strategy: Strategy,
    bars: pl.DataFrame,
    *,
    effort: Effort = STRATEGY_EFFORT,
    seed: int = 0,
    progress: Progress | None = None,
) -> ProofReport:
    """Whether a signal changes with bars, or predictions, that came after it.

    Parameters
    ----------
    bars
        As `signal_frame` takes them.

    Raises
    ------
    InvalidInputError
        If every signal is null: nothing would be proven. Also as `signal_frame`.
    """
    whole = signal_frame(strategy, bars)
    if whole["signal"].null_count() == whole.height:
        raise InvalidInputError(
            f"none of the {whole.height:,} bars has a signal of {type(strategy).__name__}, so there is nothing to "
            "prove. Give it more bars, or shorter windows."
        )
    held = bars.sort("timestamp", "symbol")
    clock = held.select("session", "timestamp").unique("timestamp", maintain_order=True)
    values = tuple(name for name in _VALUES if name in bars.columns)
    world = World({"minutes": Source(clock, minutes(1)), "bars": Source(held, minutes(1), values)}, seed=seed)

    def compute(frames: Frames, columns: Sequence[str] | None) -> pl.DataFrame:
        del columns
        return signals_beside(strategy, frames["bars"]).select("symbol", "signal", known_at=minutes(1))

    return prove(compute, world, bar_borders(clock), subject="strategy", effort=effort, seed=seed, progress=progress)
