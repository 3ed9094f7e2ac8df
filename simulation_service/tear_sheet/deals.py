"""Round trips for eyes: each as a dot by its length and return, sums by reason and symbol, and the last ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from simulation_service.tear_sheet.charts import WIDTH, Chart, Label, Line, Scale
from simulation_service.tear_sheet.typeset import duration
from simulation_service.ticks import FloatArray

__all__ = ["MOST_TRADES", "Group", "groups", "last_trades", "scatter"]

MOST_TRADES = 25

_HEIGHT = 380
# Room for a dot that was held for a single minute.
_MARGIN = 12
_MOST_DOTS = 4000
_TICKS = (1, 5, 15, 60, 390, 1440, 7200, 43_200, 525_600, 5_256_000)


@dataclass(frozen=True)
class Group:
    """Closed trades that have something in common, summed up; money in dollars."""

    name: str
    trades: int
    won: float
    average_return: float
    profit_usd: float


def scatter(trades: pl.DataFrame) -> Chart | None:
    """A dot for each closed trade: across minutes held (logarithmic), up its return. None without trades.

    Dots that would fall on one another are drawn once.
    """
    closed = trades.filter(~pl.col("is_open"))
    if closed.is_empty():
        return None
    held = (closed["exit_timestamp"] - closed["entry_timestamp"]).dt.total_minutes().to_numpy()
    minutes = np.maximum(held.astype(np.float64), 1.0)
    returns = closed["simple_return"].to_numpy()
    scale = Scale.holding(min(0.0, float(returns.min())), max(0.0, float(returns.max())), height=_HEIGHT)
    longest = math.log(max(float(minutes.max()), 2.0)) * 1.02
    across, down = _MARGIN + np.log(minutes) / longest * (WIDTH - _MARGIN), scale.down(returns)
    won = closed["profit_usd"].to_numpy() > 0
    places = max(0, math.ceil(-math.log10(scale.step) - 2 - 1e-9))
    return Chart(
        height=_HEIGHT,
        lines=[
            Line("loss", "Lost or even", _dots(across[~won], down[~won])),
            Line("gain", "Won", _dots(across[won], down[won])),
        ],
        y_labels=scale.labels(f"{{:.{places}%}}"),
        x_labels=_lengths(longest),
        zero=scale.percent(0.0),
    )


def _lengths(longest: float) -> list[Label]:
    marks = [tick for tick in _TICKS if math.log(tick) <= longest]
    return [
        Label(
            (_MARGIN + math.log(tick) / longest * (WIDTH - _MARGIN)) / WIDTH * 100, duration(tick), minor=place % 2 == 1
        )
        for place, tick in enumerate(marks)
    ]


def _dots(across: FloatArray, down: FloatArray) -> str:
    """Path of dots on a raster just coarse enough that they are not too many to draw."""
    x, y = np.rint(across).astype(np.int64), np.rint(down).astype(np.int64)
    raster = 1
    while True:
        is_taken = np.zeros((WIDTH // raster + 1, _HEIGHT // raster + 1), dtype=bool)
        is_taken[x // raster, y // raster] = True
        places = np.argwhere(is_taken) * raster
        if len(places) <= _MOST_DOTS:
            return "".join(f"M{left} {top}h0" for left, top in places.tolist())
        raster *= 2


def groups(trades: pl.DataFrame, column: str) -> list[Group]:
    """Closed trades by the values of a column, the most frequent first."""
    found = (
        trades.filter(~pl.col("is_open"))
        .group_by(pl.col(column).cast(pl.String))
        .agg(
            trades=pl.len(),
            won=(pl.col("profit_usd") > 0).mean(),
            average_return=pl.col("simple_return").mean(),
            profit_usd=pl.col("profit_usd").sum(),
        )
        .sort(["trades", column], descending=[True, False])
    )
    return [Group(name or "unknown", *rest) for name, *rest in found.iter_rows()]


def last_trades(trades: pl.DataFrame) -> dict[str, Any]:
    """The last trades, newest first, how many there are before them, and how many of all are still open."""
    shown = trades.tail(MOST_TRADES).reverse()
    counts = {"shown": shown.height, "earlier": trades.height - shown.height, "held": int(trades["is_open"].sum())}
    return {"rows": shown.to_dicts(), **counts}
