"""Walk-forward folds: train on the past, test on what follows, with nothing of the test in the training.

The splitter follows scikit-learn's manners and works in `cross_val_score(..., cv=...)`. Rows are purged by the
instants from which labels are known, not by counting rows: after a join, and over a night, five rows are not
five minutes. What it promises is said again by `fold_check.check_folds`, for folds from anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from barlake.errors import InvalidInputError

__all__ = [
    "Fold",
    "InstantArray",
    "RowArray",
    "WalkForward",
    "Window",
    "checked_rows",
    "group_starts",
    "require_at_least",
    "too_few_groups",
]

RowArray = npt.NDArray[np.intp]
InstantArray = npt.NDArray[np.datetime64]
Fold = tuple[RowArray, RowArray]
"""Row numbers of training and of test, both rising."""


class Window(StrEnum):
    """Which past a walk-forward fold trains on: all of it, or the latest stretch of one length."""

    ANCHORED = "anchored"
    ROLLING = "rolling"


class WalkForward:
    """Walk-forward splitter: each test is predicted by a model that trained on what came before it.

    The groups (sessions, usually) are cut in time order into `n_splits` + 1 blocks of equal length; what does
    not divide goes to the first. Or they are cut where `test_groups` says. Block k + 1 is tested by a model
    trained on blocks 0 to k, less the rows whose label is known only after the test begins. Nothing trains
    after its own test.

    Parameters
    ----------
    n_splits
        How many folds; at least 1. With `test_groups` it has no say.
    timestamp
        Opening instant of each row's bar, datetime64, shape (n_rows,), never falling.
    known_at
        First instant at which each row's label is known, shape (n_rows,). NaT: the row has no label; it is
        never trained on, and stands in its test fold like any other.
    window
        `anchored` trains on everything before the test; `rolling` on the last `train_groups` groups.
    train_groups
        Length of a rolling window, where that many came before; None: as many groups as the first fold has.
    embargo
        How many groups right before a test are left out, on top of the purge: as if the model had been
        fitted that much earlier.
    test_groups
        Numbers of the groups with which tests begin, rising, from 1 up; each test ends where the next begins,
        the last one with the rows.
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        timestamp: InstantArray,
        known_at: InstantArray,
        window: str = Window.ANCHORED,
        train_groups: int | None = None,
        embargo: int = 0,
        test_groups: RowArray | None = None,
    ) -> None:
        self.n_splits = n_splits
        self.timestamp = timestamp
        self.known_at = known_at
        self.window = window
        self.train_groups = train_groups
        self.embargo = embargo
        self.test_groups = test_groups

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002, N803 - scikit-learn's signature
        """How many folds `split` gives."""
        return self.n_splits if self.test_groups is None else len(self.test_groups)

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
            If an option is out of range, lengths differ, timestamps fall, a group comes back later, there are
            too few groups, `test_groups` does not cut them, or the purge leaves a fold nothing to train on.
        """
        self._check_options()
        starts = group_starts(groups, checked_rows(X, self.timestamp, self.known_at))
        n_groups = len(starts)
        borders = [*self._test_groups(n_groups), n_groups]
        held = borders[0] - self.embargo if self.train_groups is None else self.train_groups
        bounds = np.append(starts, len(X))
        for number, (group, next_group) in enumerate(itertools.pairwise(borders)):
            end = max(group - self.embargo, 0)
            begin = 0 if self.window == Window.ANCHORED else max(end - held, 0)
            training = self._known_rows(number, int(bounds[begin]), int(bounds[end]))
            yield training, np.arange(bounds[group], bounds[next_group], dtype=np.intp)

    def _test_groups(self, n_groups: int) -> list[int]:
        """Groups with which tests begin: those asked for, or so that all tests are equally long."""
        if self.test_groups is not None:
            found = [int(group) for group in self.test_groups]
            if not found or found[0] < 1 or found[-1] >= n_groups or sorted(set(found)) != found:
                raise InvalidInputError(
                    f"test_groups {found} do not cut {n_groups} groups: give numbers that rise from 1 up to "
                    f"{n_groups - 1}, at least one."
                )
            return found
        length = n_groups // (self.n_splits + 1)
        if length == 0:
            raise too_few_groups("folds", self.n_splits, self.n_splits + 1, n_groups)
        return list(range(n_groups - length * self.n_splits, n_groups, length))

    def _known_rows(self, number: int, first: int, end: int) -> RowArray:
        """Rows of [first, end) whose label is known when the row at `end` opens."""
        # A comparison with NaT is false: rows without a label stay out.
        training = first + np.flatnonzero(self.known_at[first:end] <= self.timestamp[end])
        if training.size == 0:
            raise InvalidInputError(
                f"fold {number} has no labelled row to train on before {self.timestamp[end]}: use fewer folds, "
                "a shorter horizon or embargo, or ingest more sessions."
            )
        return training

    def _check_options(self) -> None:
        require_at_least("folds", self.n_splits, 1)
        require_at_least("embargo", self.embargo, 0)
        if self.window not in list(Window):
            raise InvalidInputError(f"window {self.window!r} is not known: use {' or '.join(Window)}.")
        if self.train_groups is None:
            return
        require_at_least("train_groups", self.train_groups, 1)
        if self.window != Window.ROLLING:
            raise InvalidInputError(
                f"train_groups {self.train_groups} is for a rolling window: an anchored one trains on all that came "
                "before. Leave it out, or use window 'rolling'."
            )


def group_starts(groups: Any, n_rows: int) -> RowArray:
    """Row numbers at which a new group begins.

    Parameters
    ----------
    groups
        A label per row, equal labels side by side; None: every row is a group of its own.

    Raises
    ------
    InvalidInputError
        If there is not one label per row, or a group comes back after it ended.

    Examples
    --------
    >>> group_starts(["a", "a", "b"], 3)
    array([0, 2])
    """
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


def checked_rows(X: Any, timestamp: InstantArray, known_at: InstantArray) -> int:  # noqa: N803 - scikit-learn's name
    """How many rows there are; `InvalidInputError` if lengths differ, or a timestamp falls or is missing."""
    n_rows = len(X)
    for name, array in (("timestamp", timestamp), ("known_at", known_at)):
        if len(array) != n_rows:
            raise InvalidInputError(f"{name} has {len(array)} rows, X has {n_rows}: give one value per row.")
    if np.isnat(timestamp).any() or (np.diff(timestamp) < np.timedelta64(0)).any():
        raise InvalidInputError("timestamp falls or is missing somewhere: sort the rows by time first.")
    return n_rows


def require_at_least(name: str, value: int, least: int) -> None:
    """Raise `InvalidInputError` if an option is below its least value."""
    if value < least:
        raise InvalidInputError(f"{name} {value} is below {least}: use {least} or more.")


def too_few_groups(name: str, value: int, needed: int, held: int) -> InvalidInputError:
    """What to raise when an option needs more groups than there are."""
    return InvalidInputError(
        f"{name} {value} needs at least {needed} sessions, there are {held}: use fewer {name}, or ingest more sessions."
    )
