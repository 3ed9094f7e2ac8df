"""Strategies of a run put on record, and those of one's own proven before they are traded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from barlake.leak_proof.engine import Progress
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.definition import definition, sources_of, strategies_in
from simulation_service.strategies.leak_proof import prove_strategy

if TYPE_CHECKING:
    from barlake import Lake

__all__ = ["MOST_MINUTES", "is_of_the_house", "newest_minutes", "put_on_record", "require_proven"]

MOST_MINUTES = 40_000
"""Minutes a strategy is proven over before its first run: the newest ones."""


def put_on_record(lake: Lake, strategy: Strategy) -> str:
    """Keep a strategy's definition in the lake; returns its id."""
    return lake.strategies.put(definition(strategy), sources_of(strategy))


def require_proven(lake: Lake, strategy: Strategy, bars: pl.DataFrame, *, progress: Progress | None = None) -> str:
    """Put a strategy on record, and prove one of your own that was not proven yet; returns its id.

    Those of the house are proven where they are made. A proof is made once for each definition: with another
    parameter or another text of its file a strategy is another one.

    Parameters
    ----------
    bars
        As `signal_frame` takes them.

    Raises
    ------
    LookAheadError
        If the strategy looks ahead; it is not run.
    InvalidInputError
        If it is another one each time it is called, or has no signal at all on these bars.
    """
    found = put_on_record(lake, strategy)
    if not is_of_the_house(strategy) and not lake.strategies.is_proven(found):
        report = prove_strategy(strategy, newest_minutes(bars, MOST_MINUTES), progress=progress)
        report.require_clean()
        lake.strategies.put_proof(found, report.as_dict())
    return found


def is_of_the_house(strategy: Strategy) -> bool:
    """Whether a strategy and all those inside it come with this package."""
    house = __name__.rpartition(".")[0]
    return all(type(one).__module__.startswith(f"{house}.") for one in strategies_in(strategy))


def newest_minutes(bars: pl.DataFrame, count: int) -> pl.DataFrame:
    """The bars of the newest so many minutes, of all symbols alike."""
    stamps = bars["timestamp"].unique().sort()
    return bars if stamps.len() <= count else bars.filter(pl.col("timestamp") >= stamps[-count])
