"""What a model's card draws, as positions and lengths in percent: scores by fold, folds over time, predictions.

Pure: scores and tables come in, figures for the template go out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from training_service.score_rows import ScoreRow, headline_row, score_rows

__all__ = [
    "Bar",
    "FoldLine",
    "ScoreLine",
    "Span",
    "fold_lines",
    "importance_bars",
    "prediction_bars",
    "prediction_counts",
    "score_lines",
    "unbroken_stretches",
]

_MARGIN = 0.06
"""Empty share at both ends of a scale, so that no mark lies on its edge."""

_BINS = 40
_MOST_BARS = 20
_NARROWEST = 0.4


@dataclass(frozen=True)
class ScoreLine:
    """One line of the picture of scores: a dot, its whiskers and the baseline's mark, in percent of the width."""

    title: str
    value: float | None
    at: float | None
    low: float | None
    high: float | None
    baseline: float | None


@dataclass(frozen=True)
class Span:
    """A stretch of time, in percent of the width."""

    part: str
    start: float
    width: float
    tip: str


@dataclass(frozen=True)
class FoldLine:
    """The stretches of one fold."""

    number: int
    spans: list[Span]


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram or of a list, its length in percent of the longest."""

    label: str
    length: float
    value: float
    spread: float | None = None


def score_lines(overall: Mapping[str, Any], folds: Sequence[Mapping[str, Any]]) -> tuple[str, list[ScoreLine]]:
    """The headline metric, and a line for all test rows and for each fold on one scale; no line if it has no value."""
    chosen = headline_row(overall)
    if chosen is None:
        return "", []
    rows = [("all test rows", chosen)]
    for fold in folds:
        found = next((row for row in score_rows(fold["scores"]) if row.metric == chosen.metric), None)
        if found is not None:
            rows.append((f"fold {fold['fold']}, from {fold['first_session']}", found))
    known = [value for _, row in rows for value in (row.value, row.low, row.high, _baseline(row)) if value is not None]
    if not known:
        return chosen.metric, []
    low, high = _scale(known)

    def at(value: float | None) -> float | None:
        return None if value is None else (value - low) / (high - low) * 100

    return chosen.metric, [
        ScoreLine(title, row.value, at(row.value), at(row.low), at(row.high), at(_baseline(row))) for title, row in rows
    ]


def fold_lines(folds: pl.DataFrame) -> list[FoldLine]:
    """When each fold trains and when it is tested.

    Parameters
    ----------
    folds
        fold, part, first_timestamp, last_timestamp, rows: as `fold_table` gives them.
    """
    if folds.is_empty():
        return []
    begin, end = folds["first_timestamp"].min(), folds["last_timestamp"].max()
    assert isinstance(begin, dt.datetime)  # noqa: S101 - narrows polars' Any
    assert isinstance(end, dt.datetime)  # noqa: S101 - the same
    whole = max((end - begin).total_seconds(), 1.0)

    def share(stamp: dt.datetime) -> float:
        return (stamp - begin).total_seconds() / whole * 100

    lines: dict[int, list[Span]] = {}
    for row in unbroken_stretches(folds).iter_rows(named=True):
        start = share(row["first_timestamp"])
        first, last = (row[side].date() for side in ("first_timestamp", "last_timestamp"))
        tip = f"{row['part']}: {row['rows']:,} rows, {first} to {last}"
        width = max(share(row["last_timestamp"]) - start, _NARROWEST)
        lines.setdefault(row["fold"], []).append(Span(row["part"], start, width, tip))
    return [FoldLine(number, spans) for number, spans in lines.items()]


def unbroken_stretches(folds: pl.DataFrame) -> pl.DataFrame:
    """Stretches of one part with none of the other between them as one: rows without label do not show as holes."""
    by_time = folds.sort("fold", "first_timestamp")
    stretch = pl.struct("fold", "part").rle_id()
    return by_time.group_by(stretch.alias("stretch"), maintain_order=True).agg(
        pl.col("fold", "part", "first_timestamp").first(), pl.col("last_timestamp").last(), pl.col("rows").sum()
    )


def prediction_bars(predictions: pl.DataFrame) -> list[Bar]:
    """How often the model said what: a histogram of its predictions, leftmost first; empty without any."""
    counts, edges = prediction_counts(predictions)
    most = counts.max(initial=0)
    return [
        Bar(f"{left:.4g} to {right:.4g}: {count:,} bars", float(count / most * 100), float(left))
        for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True)
    ]


def prediction_counts(predictions: pl.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Counts of the predictions in forty stretches of equal width, and the edges of those; none without any.

    The outermost of a thousand on both sides count into the first and the last stretch.
    """
    values = predictions["prediction"].drop_nulls().drop_nans().to_numpy()
    if values.size == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(1)
    # Drawn to scale, they would make one thin tower of all others.
    low, high = np.quantile(values, [0.0005, 0.9995])
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(np.clip(values, low, high), bins=_BINS, range=(low, high))
    return counts.astype(np.int64), edges


def importance_bars(importance: pl.DataFrame) -> list[Bar]:
    """The features without which the model loses most, first those.

    Parameters
    ----------
    importance
        feature, importance and importance_deviation.
    """
    first = importance.sort("importance", descending=True).head(_MOST_BARS)
    longest = max(abs(value) for value in first["importance"]) if first.height else 0.0
    return [
        Bar(
            row["feature"],
            max(row["importance"], 0.0) / longest * 100 if longest else 0.0,
            row["importance"],
            row["importance_deviation"],
        )
        for row in first.iter_rows(named=True)
    ]


def _baseline(row: ScoreRow) -> float | None:
    """Of several, the first: the one that knows the training labels only."""
    return next(iter(row.baselines.values()), None)


def _scale(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * _MARGIN
    return low - room, high + room
