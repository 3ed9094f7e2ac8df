"""Walk-forward folds: train on the past, test on what follows, with nothing of the test in the training.

The splitter follows scikit-learn's manners and works in `cross_val_score(..., cv=WalkForward(...))`. What it
promises is said again by `check_folds`, which anyone can run on the folds of any splitter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from barlake.errors import InvalidInputError, LookAheadError

__all__ = ["FoldSpec", "WalkForward", "check_folds", "fold_table"]

IndexArray = npt.NDArray[np.intp]
InstantArray = npt.NDArray[np.datetime64]
Fold = tuple[IndexArray, IndexArray]


class WalkForward:
    """Anchored walk-forward splitter, purged by the instants from which labels are known.

    The groups (sessions, usually) are cut in time order into `n_splits` + 1 blocks of equal length; what does
    not divide goes to the first. Block k + 1 is tested by a model trained on blocks 0 to k: all that came
    before it, less the rows whose label is known only after the test begins. Nothing trains after its own
    test, so there is no embargo.

    Parameters
    ----------
    n_splits
        How many folds; at least 1.
    timestamp
        Opening instant of each row's bar, datetime64, shape (n_rows,), never falling.
    known_at
        First instant at which each row's label is known, shape (n_rows,). NaT: the row has no label; it is
        never trained on, and stands in its test fold like any other.
    """

    def __init__(self, n_splits: int = 5, *, timestamp: InstantArray, known_at: InstantArray) -> None:
        self.n_splits = n_splits
        self.timestamp = timestamp
        self.known_at = known_at

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002, N803 - scikit-learn's signature
        """How many folds `split` gives."""
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Fold]:  # noqa: ARG002, N803 - scikit-learn's signature
        """Row numbers of training and test, one pair per fold, oldest test first.

        Parameters
        ----------
        X
            Anything with a length: one entry per row.
        groups
            A label per row, such as its session; folds begin and end where it changes. None: anywhere.

        Raises
        ------
        InvalidInputError
            If lengths differ, timestamps fall, a group comes back later, there are fewer groups than
            `n_splits` + 1, or the purge leaves a fold nothing to train on.
        """
        starts = _group_starts(groups, self._checked_rows(X))
        borders = _test_borders(starts, n_rows=len(X), n_splits=self.n_splits)
        for number, (first, end) in enumerate(itertools.pairwise(borders)):
            # A comparison with NaT is false: rows without a label stay out.
            is_known = self.known_at[:first] <= self.timestamp[first]
            training = np.flatnonzero(is_known)
            if training.size == 0:
                raise InvalidInputError(
                    f"fold {number} has no labelled row to train on before {self.timestamp[first]}: "
                    "use fewer folds, a shorter horizon, or ingest more sessions."
                )
            yield training, np.arange(first, end, dtype=np.intp)

    def _checked_rows(self, X: Any) -> int:  # noqa: N803 - scikit-learn's name
        n_rows = len(X)
        for name, array in (("timestamp", self.timestamp), ("known_at", self.known_at)):
            if len(array) != n_rows:
                raise InvalidInputError(f"{name} has {len(array)} rows, X has {n_rows}: give one value per row.")
        if self.n_splits < 1:
            raise InvalidInputError(f"folds {self.n_splits} is below 1: walk-forward needs at least one.")
        if np.isnat(self.timestamp).any() or (np.diff(self.timestamp) < np.timedelta64(0)).any():
            raise InvalidInputError("timestamp falls or is missing somewhere: sort the rows by time first.")
        return n_rows


def check_folds(folds: Iterable[Fold], *, timestamp: InstantArray, known_at: InstantArray) -> None:
    """Prove that no fold's training reaches into its test; silent when that is so.

    Parameters
    ----------
    folds
        Pairs of row numbers, training and test, from any splitter.
    timestamp, known_at
        As in `WalkForward`.

    Raises
    ------
    LookAheadError
        If a row is in both parts, or a training label is missing or known only after the test begins.

    Examples
    --------
    >>> minute = np.arange("2024-01-02T14:30", "2024-01-02T14:34", dtype="datetime64[m]")
    >>> check_folds([(np.array([0]), np.array([2, 3]))], timestamp=minute, known_at=minute + 2)
    >>> check_folds([(np.array([0, 1]), np.array([2, 3]))], timestamp=minute, known_at=minute + 2)
    Traceback (most recent call last):
    barlake.errors.LookAheadError: fold 0: 1 training labels are known only after the test begins ...
    """
    for number, (training, test) in enumerate(folds):
        shared = np.intersect1d(training, test).size
        if shared:
            raise LookAheadError(f"fold {number}: {shared} rows are in training and in test: split them by time.")
        first = timestamp[test].min()
        late = int((~(known_at[training] <= first)).sum())
        if late:
            raise LookAheadError(
                f"fold {number}: {late} training labels are known only after the test begins at {first}: "
                "purge as many bars as the horizon has."
            )


@dataclass(frozen=True)
class FoldSpec:
    """How a dataset is split, settled.

    Parameters
    ----------
    n_splits
        How many folds.
    whole_sessions
        Whether tests begin and end with a session; otherwise anywhere.
    """

    n_splits: int = 5
    whole_sessions: bool = True

    def __post_init__(self) -> None:
        if self.n_splits < 1:
            raise InvalidInputError(f"folds {self.n_splits} is below 1: use 1 or more.")

    def split(self, frame: pl.DataFrame) -> list[Fold]:
        """Folds of rows with session, timestamp and known_at; errors as in `WalkForward.split`."""
        splitter = WalkForward(
            self.n_splits, timestamp=frame["timestamp"].to_numpy(), known_at=frame["known_at"].to_numpy()
        )
        return list(splitter.split(frame, groups=frame["session"].to_numpy() if self.whole_sessions else None))

    def as_dict(self) -> dict[str, Any]:
        """Give the folds as a manifest holds them."""
        return {"folds": self.n_splits}


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
    """
    stretches = [
        {"fold": number, "part": part, "first_row": int(stretch[0]), "end_row": int(stretch[-1]) + 1}
        for number, fold in enumerate(folds)
        for part, rows in zip(("train", "test"), fold, strict=True)
        for stretch in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        if rows.size
    ]
    schema = {"fold": pl.Int32(), "part": pl.String(), "first_row": pl.Int64(), "end_row": pl.Int64()}
    table = pl.DataFrame(stretches, schema=schema)
    return table.with_columns(
        frame["timestamp"].gather(table["first_row"]).alias("first_timestamp"),
        frame["timestamp"].gather(table["end_row"] - 1).alias("last_timestamp"),
        (pl.col("end_row") - pl.col("first_row")).alias("rows"),
    )


def _group_starts(groups: Any, n_rows: int) -> IndexArray:
    """Row numbers at which a new group begins; groups must be contiguous."""
    if groups is None:
        return np.arange(n_rows, dtype=np.intp)
    labels = np.asarray(groups)
    if len(labels) != n_rows:
        raise InvalidInputError(f"groups has {len(labels)} rows, X has {n_rows}: give one label per row.")
    changes = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    starts = np.concatenate([np.zeros(min(n_rows, 1), dtype=np.intp), changes])
    if len(np.unique(labels)) != len(starts):
        raise InvalidInputError("groups come back after they ended: sort the rows by time first.")
    return starts


def _test_borders(starts: IndexArray, *, n_rows: int, n_splits: int) -> list[int]:
    """First row of each test block, then the number of rows."""
    n_groups = len(starts)
    length = n_groups // (n_splits + 1)
    if length == 0:
        raise InvalidInputError(
            f"folds {n_splits} needs at least {n_splits + 1} sessions, there are {n_groups}: "
            "use fewer folds, or ingest more sessions."
        )
    firsts = [int(starts[n_groups - length * left]) for left in range(n_splits, 0, -1)]
    return [*firsts, n_rows]
