"""Combinatorial purged folds: every block of sessions tested several times, by models that never saw it.

The splitter follows scikit-learn's manners, purges by instants as `WalkForward` does, and on both sides of a test.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from barlake.errors import InvalidInputError
from training_service.folds import (
    Fold,
    InstantArray,
    RowArray,
    checked_rows,
    group_starts,
    require_at_least,
    too_few_groups,
)

__all__ = ["CombinatorialPurged"]


class CombinatorialPurged:
    """Combinatorial purged splitter: every choice of `n_test_blocks` of `n_blocks` blocks is tested once.

    The groups (sessions, usually) are cut in time order into `n_blocks` blocks, the earlier ones a group longer
    where it does not divide. Training is everything else, before and after the tests, less the rows whose
    label shares an instant with a tested one, and less the `embargo` groups that follow a test. Each block is
    tested in several folds, by models that never saw it: put together, they are `n_paths` whole histories
    instead of one (Lopez de Prado 2018, Advances in Financial Machine Learning, 7.4 and 12.4).

    A model of such a fold may have trained on what came after its test: it says how much scores depend on
    luck, and its predictions cannot be traded.

    Parameters
    ----------
    timestamp, known_at
        As in `WalkForward`.
    embargo
        How many groups right after a test are left out: features of rows there still look back into it.
    """

    def __init__(
        self,
        n_blocks: int = 6,
        n_test_blocks: int = 2,
        *,
        timestamp: InstantArray,
        known_at: InstantArray,
        embargo: int = 1,
    ) -> None:
        self.n_blocks = n_blocks
        self.n_test_blocks = n_test_blocks
        self.timestamp = timestamp
        self.known_at = known_at
        self.embargo = embargo

    @property
    def n_paths(self) -> int:
        """How many whole histories the tests make up: in how many folds each block is tested."""
        return math.comb(self.n_blocks - 1, self.n_test_blocks - 1)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002, N803 - scikit-learn's signature
        """How many folds `split` gives."""
        return math.comb(self.n_blocks, self.n_test_blocks)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Fold]:  # noqa: ARG002, N803 - scikit-learn's signature
        """Row numbers of training and test, one pair per fold, in the order of `itertools.combinations`.

        Parameters
        ----------
        X, groups
            As in `WalkForward.split`.

        Raises
        ------
        InvalidInputError
            If an option is out of range, lengths differ, timestamps fall, a group comes back later, there are
            too few groups, or the purge leaves a fold nothing to train on.
        """
        self._check_options()
        starts = group_starts(groups, checked_rows(X, self.timestamp, self.known_at))
        if len(starts) < self.n_blocks:
            raise too_few_groups("blocks", self.n_blocks, self.n_blocks, len(starts))
        borders = [int(block[0]) for block in np.array_split(np.arange(len(starts)), self.n_blocks)]
        bounds = np.append(starts, len(X))
        chosen = itertools.combinations(range(self.n_blocks), self.n_test_blocks)
        for number, blocks in enumerate(chosen):
            stretches = _stretches(blocks, [*borders, len(starts)])
            training = self._training(stretches, bounds)
            if training.size == 0:
                raise InvalidInputError(
                    f"fold {number} has no labelled row to train on: use a smaller embargo, fewer test blocks, or "
                    "ingest more sessions."
                )
            test = [np.arange(bounds[first], bounds[end], dtype=np.intp) for first, end in stretches]
            yield training, np.concatenate(test)

    def path_folds(self) -> RowArray:
        """Fold that tests each block on each path, shape (n_paths, n_blocks).

        Path p takes, for each block, the p-th of the folds that test it.

        Examples
        --------
        >>> none = np.array([], dtype="datetime64[us]")
        >>> CombinatorialPurged(3, 2, timestamp=none, known_at=none).path_folds()
        array([[0, 0, 1],
               [1, 2, 2]])
        """
        self._check_options()
        chosen = list(itertools.combinations(range(self.n_blocks), self.n_test_blocks))
        folds = [[fold for fold, blocks in enumerate(chosen) if block in blocks] for block in range(self.n_blocks)]
        return np.array(folds, dtype=np.intp).T

    def _training(self, stretches: list[tuple[int, int]], bounds: RowArray) -> RowArray:
        """Labelled rows outside the tests (half-open ranges of groups), purged and with the embargo kept."""
        is_kept = ~np.isnat(self.known_at)
        n_groups = len(bounds) - 1
        for first_group, end_group in stretches:
            first, end = bounds[first_group], bounds[end_group]
            is_kept[first : bounds[min(end_group + self.embargo, n_groups)]] = False
            is_kept[:first] &= self.known_at[:first] <= self.timestamp[first]
            known_at = self.known_at[first:end]
            last = np.append(known_at[~np.isnat(known_at)], self.timestamp[end - 1]).max()
            is_kept[end:] &= self.timestamp[end:] >= last
        return np.flatnonzero(is_kept)

    def _check_options(self) -> None:
        require_at_least("blocks", self.n_blocks, 2)
        require_at_least("test blocks", self.n_test_blocks, 1)
        require_at_least("embargo", self.embargo, 0)
        if self.n_test_blocks >= self.n_blocks:
            raise InvalidInputError(
                f"test blocks {self.n_test_blocks} of {self.n_blocks} leave none to train on: test fewer."
            )


def _stretches(blocks: tuple[int, ...], borders: list[int]) -> list[tuple[int, int]]:
    """Half-open ranges of groups that blocks cover, neighbours joined."""
    merged: list[tuple[int, int]] = []
    for block in blocks:
        first, end = borders[block], borders[block + 1]
        if merged and merged[-1][1] == first:
            first = merged.pop()[0]
        merged.append((first, end))
    return merged
