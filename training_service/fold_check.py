"""The promise of clean folds, as an assertion that anyone can run on the folds of any splitter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from barlake.errors import InvalidInputError, LookAheadError
from training_service.folds import Fold, InstantArray, RowArray, group_starts

__all__ = ["check_folds"]


def check_folds(
    folds: Iterable[Fold],
    *,
    timestamp: InstantArray,
    known_at: InstantArray,
    may_train_later: bool = False,
    embargo: int = 0,
    groups: Any = None,
) -> None:
    """Prove that no fold's training reaches into its test; silent when that is so.

    Parameters
    ----------
    folds
        Pairs of row numbers, training and test, from any splitter.
    timestamp, known_at
        As in `WalkForward`.
    may_train_later
        False: every training label must be known when the first test bar opens, as in a walk forward. True:
        training may lie before and after the tests, as in combinatorial folds, but no training label may
        share an instant with a tested one: from the opening of its bar until it is known.
    embargo, groups
        With `may_train_later`: how many groups after each stretch of test rows must be free of training;
        groups as in `WalkForward.split`.

    Raises
    ------
    LookAheadError
        If a row is in both parts, or a training label is missing, known too late, shares an instant with a
        tested label, or lies in the embargo. The message has the fold and the first such row.
    InvalidInputError
        If a part of a fold has no row, so that nothing would be proven.

    Examples
    --------
    >>> minute = np.arange("2024-01-02T14:30", "2024-01-02T14:34", dtype="datetime64[m]")
    >>> check_folds([(np.array([0]), np.array([2, 3]))], timestamp=minute, known_at=minute + 2)
    >>> check_folds([(np.array([0, 1]), np.array([2, 3]))], timestamp=minute, known_at=minute + 2)
    Traceback (most recent call last):
    barlake.errors.LookAheadError: fold 0: 1 training labels are known only after the test begins ...
    """
    starts = group_starts(groups, len(timestamp))
    for number, (training, test) in enumerate(folds):
        if training.size == 0 or test.size == 0:
            raise InvalidInputError(f"fold {number} has {training.size} training and {test.size} test rows: use fewer.")
        _refuse(number, np.intersect1d(training, test), "rows are in training and in test", "split them by time")
        unknown = training[np.isnat(known_at[training])]
        _refuse(number, unknown, "training rows have no label", "leave rows without a label out")
        if may_train_later:
            _check_both_sides(number, training, np.sort(test), timestamp, known_at)
            _refuse(
                number,
                _in_embargo(training, np.sort(test), starts, embargo),
                f"training rows lie within {embargo} groups after a test",
                "keep the embargo that was asked for",
            )
        else:
            first = timestamp[test].min()
            late = training[known_at[training] > first]
            _refuse(
                number,
                late,
                f"training labels are known only after the test begins at {first}",
                "purge the rows whose label is not known by then",
            )


def _check_both_sides(
    number: int, training: RowArray, test: RowArray, timestamp: InstantArray, known_at: InstantArray
) -> None:
    """Raise if a training label shares an instant with a tested row; test rising."""
    first = timestamp[test]
    # A tested row without a label still stands at its own bar.
    end = np.where(np.isnat(known_at[test]), first, known_at[test])
    order = np.argsort(first, kind="stable")
    first, latest_end = first[order], np.maximum.accumulate(end[order])
    begun = np.searchsorted(first, known_at[training], side="left")
    reaches = (begun > 0) & (latest_end[np.maximum(begun - 1, 0)] > timestamp[training])
    _refuse(
        number,
        training[reaches],
        "training labels share an instant with a tested one",
        "purge the rows whose label overlaps the test",
    )


def _in_embargo(training: RowArray, test: RowArray, starts: RowArray, embargo: int) -> RowArray:
    """Training rows in the `embargo` groups after the group in which a stretch of test rows ends."""
    group_of_training = np.searchsorted(starts, training, side="right")
    group_of_test = np.unique(np.searchsorted(starts, test, side="right"))
    before = np.searchsorted(group_of_test, group_of_training, side="left") - 1
    distance = group_of_training - group_of_test[np.maximum(before, 0)]
    return training[(before >= 0) & (distance <= embargo) & (distance > 0)]


def _refuse(number: int, rows: RowArray, fault: str, next_step: str) -> None:
    if rows.size:
        raise LookAheadError(f"fold {number}: {rows.size} {fault} (the first is row {rows[0]}): {next_step}.")
