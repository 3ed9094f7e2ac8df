"""Strategies over the bars of a lake: which there are, what they want, and that they look at nothing later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from barlake.errors import InvalidInputError
from barlake.keys import Adjustment, ArtifactKind, SessionFilter, parse_symbols
from barlake.leak_proof import ProofReport
from simulation_service.strategies.base import Strategy
from simulation_service.strategies.catalogue import HOUSE, make_strategy
from simulation_service.strategies.description import Description
from simulation_service.strategies.placing import signal_frame, with_predictions
from simulation_service.strategies.records import newest_minutes

if TYPE_CHECKING:
    from barlake import Lake

__all__ = ["house_rows", "lake_bars", "prove_lake_strategy", "wanted_rows"]


def house_rows() -> pl.DataFrame:
    """The strategies of the house: name, what it does, and its parameters with their defaults."""
    rows = []
    for name, found in HOUSE.items():
        told = Description.of(found)
        given = [one.name if one.default is None else f"{one.name}={one.default}" for one in told.parameters]
        rows.append((name, told.summary, ", ".join(given)))
    return pl.DataFrame(rows, schema=dict.fromkeys(("name", "what", "parameters"), pl.String), orient="row")


def lake_bars(
    lake: Lake,
    symbols: list[str],
    *,
    minutes: int,
    model: str | None = None,
    feed: str | None = None,
    session: str | None = None,
    adjustment: str = Adjustment.RAW,
) -> pl.DataFrame:
    """The newest so many minutes of bars as a strategy sees them, with a model's predictions where one is named.

    Raises
    ------
    NotFoundError
        If the lake has no bars of a symbol, or no such model.
    InvalidInputError
        If there are not two minutes, or the model predicts another symbol.
    """
    from simulation_service.signals import read_predictions  # noqa: PLC0415 - with the work

    if minutes <= 1:
        raise InvalidInputError(f"bars {minutes} is too few: a strategy is looked at over two at least.")
    names = parse_symbols(symbols)
    if model is None:
        feed, hours = lake.feed_of(names, feed), session or SessionFilter.REGULAR
        bars = lake.bars(names, session=hours, feed=feed, adjustment=adjustment)
        return newest_minutes(bars, minutes)
    found = lake.artifacts.find(ArtifactKind.MODEL, model)
    feed, hours = feed or str(found.parameters["feed"]), session or str(found.parameters["session"])
    bars = newest_minutes(lake.bars(names, session=hours, feed=feed, adjustment=adjustment), minutes)
    return with_predictions(bars, read_predictions(lake.artifacts, found, symbol=names[0]))


def wanted_rows(strategy: Strategy, bars: pl.DataFrame) -> pl.DataFrame:
    """Of each symbol how many bars a strategy wants long, short, flat or as they are, and how often that changes."""
    signal = pl.col("signal")
    return (
        signal_frame(strategy, bars)
        .group_by("symbol", maintain_order=True)
        .agg(
            pl.len().alias("bars"),
            (signal > 0).sum().alias("long"),
            (signal < 0).sum().alias("short"),
            (signal == 0).sum().alias("flat"),
            signal.null_count().alias("hold"),
            signal.drop_nulls().sign().diff().ne(0).sum().alias("changes"),
            pl.col("timestamp").filter(signal.is_not_null()).min().alias("first_signal"),
        )
        .sort("symbol")
    )


def prove_lake_strategy(
    lake: Lake,
    name: str,
    parameters: Mapping[str, Any],
    symbols: list[str],
    *,
    bars: int,
    seed: int,
    progress: Any = None,
    **options: Any,
) -> ProofReport:
    """Proof of a strategy over the newest bars of some symbols; `options` as in `lake_bars`."""
    from simulation_service.strategies.leak_proof import prove_strategy  # noqa: PLC0415 - as above

    strategy = make_strategy(name, parameters)
    shown = lake_bars(lake, symbols, minutes=bars, **options)
    return prove_strategy(strategy, shown, seed=seed, progress=progress)
