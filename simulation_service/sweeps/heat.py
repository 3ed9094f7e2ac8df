"""Heat maps of a sweep: one figure over two parameters at a time, as cells that are read by their colour."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from simulation_service.sweeps.grid import Axis, Value
from simulation_service.tear_sheet.shades import Cell, shade

__all__ = ["HeatMap", "heat_maps", "value_text"]

_VISIBLE = 0.005
"""Ratios that print as 0.00 are neither gain nor loss."""
_MOST_MAPS = 6
"""Pairs of four axes; more maps than that nobody compares."""


@dataclass(frozen=True)
class HeatMap:
    """A figure over two parameters.

    Parameters
    ----------
    down, across
        Names of the parameters; `down` is empty where only one was swept.
    columns
        Values across, as text.
    rows
        Value down as text, and a cell for each column: the median of the sets that share both values; None where no
        set of theirs has the figure.
    """

    down: str
    across: str
    columns: list[str]
    rows: list[tuple[str, list[Cell | None]]]


def heat_maps(axes: Sequence[Axis], table: pl.DataFrame, figure: str) -> list[HeatMap]:
    """Maps of a figure over every pair of axes that were swept, of the first four at most.

    Parameters
    ----------
    axes
        Those with several values.
    table
        One row per set: `figure`, and the place of its value on each axis under `place_<number of the axis>`.
    """
    if len(axes) == 1:
        return [_map(table, figure, None, (0, axes[0]))]
    pairs = list(itertools.combinations(enumerate(axes), 2))[:_MOST_MAPS]
    return [_map(table, figure, down, across) for down, across in pairs]


def value_text(value: Value) -> str:
    """A parameter's value as a person reads it.

    Examples
    --------
    >>> [value_text(value) for value in (None, True, 5, 0.01, "SPY")]
    ['none', 'true', '5', '0.01', 'SPY']
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _map(table: pl.DataFrame, figure: str, down: tuple[int, Axis] | None, across: tuple[int, Axis]) -> HeatMap:
    row = pl.lit(0) if down is None else pl.col(f"place_{down[0]}")
    medians = (
        table.filter(pl.col(figure).is_not_null())
        .group_by(row.alias("row"), pl.col(f"place_{across[0]}").alias("column"))
        .agg(pl.col(figure).median())
    )
    rows = 1 if down is None else len(down[1].values)
    values = np.full((rows, len(across[1].values)), np.nan)
    values[medians["row"].to_numpy(), medians["column"].to_numpy()] = medians[figure].to_numpy()
    largest = float(np.nanmax(np.abs(values))) if medians.height else 0.0
    names = [""] if down is None else [value_text(value) for value in down[1].values]
    return HeatMap(
        down="" if down is None else down[1].name,
        across=across[1].name,
        columns=[value_text(value) for value in across[1].values],
        rows=[(name, _cells(one, largest)) for name, one in zip(names, values.tolist(), strict=True)],
    )


def _cells(values: list[float], largest: float) -> list[Cell | None]:
    return [None if value != value else Cell(value, shade(value, largest, visible=_VISIBLE)) for value in values]  # noqa: PLR0124 - NaN
