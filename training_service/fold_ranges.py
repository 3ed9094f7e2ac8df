"""Folds as a table of row ranges, which is what an artifact keeps of them, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl

from training_service.folds import Fold, RowArray

__all__ = ["fold_table", "folds_of"]

_PARTS = ("train", "test")
_RANGES = {"fold": pl.Int32(), "part": pl.String(), "first_row": pl.Int64(), "end_row": pl.Int64()}


def fold_table(folds: Iterable[Fold], frame: pl.DataFrame) -> pl.DataFrame:
    """Row ranges of folds: one row for each unbroken stretch of training or test rows.

    Parameters
    ----------
    frame
        What was split; `timestamp` is read.

    Returns
    -------
    fold (Int32), part (`train` or `test`), first_row and end_row (Int64, half-open, counted in `frame`),
    first_timestamp and last_timestamp (of the first and the last row), rows. By fold, training first.

    Examples
    --------
    >>> import datetime as dt
    >>> frame = pl.DataFrame({"timestamp": [dt.datetime(2024, 1, 2, 14, 30 + i) for i in range(5)]})
    >>> table = fold_table([(np.array([0, 1, 3]), np.array([4]))], frame)
    >>> table.select("part", "first_row", "end_row").rows()
    [('train', 0, 2), ('train', 3, 4), ('test', 4, 5)]
    """
    stretches = [
        (number, part, int(stretch[0]), int(stretch[-1]) + 1)
        for number, fold in enumerate(folds)
        for part, rows in zip(_PARTS, fold, strict=True)
        if rows.size
        for stretch in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
    ]
    table = pl.DataFrame(stretches, schema=_RANGES, orient="row")
    return table.with_columns(
        frame["timestamp"].gather(table["first_row"]).alias("first_timestamp"),
        frame["timestamp"].gather(table["end_row"] - 1).alias("last_timestamp"),
        (pl.col("end_row") - pl.col("first_row")).alias("rows"),
    )


def folds_of(table: pl.DataFrame) -> list[Fold]:
    """Folds that `fold_table` wrote down, row for row.

    Examples
    --------
    >>> rows = pl.DataFrame({"fold": [0, 0], "part": ["train", "test"], "first_row": [0, 3], "end_row": [2, 4]})
    >>> folds_of(rows)
    [(array([0, 1]), array([3]))]
    """

    def rows_of(fold: pl.DataFrame, part: str) -> RowArray:
        ranges = fold.filter(part=part).select("first_row", "end_row").rows()
        return np.concatenate([np.arange(0), *(np.arange(first, end) for first, end in ranges)])

    by_fold = table.partition_by("fold", maintain_order=True)
    return [(rows_of(fold, "train"), rows_of(fold, "test")) for fold in by_fold]
