"""Combinatorial purged folds: every choice of blocks tested once, clean on both sides, and paths through them."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from barlake.errors import InvalidInputError
from tests.training_service.fold_markets import MINUTE, Market, markets, minutes
from training_service.combinatorial_folds import CombinatorialPurged
from training_service.fold_check import check_folds

shapes = st.integers(2, 6).flatmap(lambda blocks: st.tuples(st.just(blocks), st.integers(1, blocks - 1)))


def splitter_of(market: Market, shape: tuple[int, int], embargo: int) -> CombinatorialPurged:
    return CombinatorialPurged(*shape, timestamp=market.timestamp, known_at=market.known_at, embargo=embargo)


def split(market: Market, shape: tuple[int, int], embargo: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds of a market; an example that leaves a fold nothing to train on proves nothing and is left out."""
    try:
        return list(splitter_of(market, shape, embargo).split(market.timestamp, groups=market.sessions))
    except InvalidInputError:
        assume(False)
        raise


@given(markets(min_sessions=6), shapes, st.integers(0, 2))
def test_a_training_row_shares_no_instant_with_a_tested_one_and_keeps_the_embargo(
    market: Market, shape: tuple[int, int], embargo: int
) -> None:
    check_folds(
        split(market, shape, embargo),
        timestamp=market.timestamp,
        known_at=market.known_at,
        may_train_later=True,
        embargo=embargo,
        groups=market.sessions,
    )


@given(markets(min_sessions=6), shapes, st.integers(0, 2))
def test_nothing_else_is_dropped(market: Market, shape: tuple[int, int], embargo: int) -> None:
    begins, ends = market.timestamp, np.where(np.isnat(market.known_at), market.timestamp, market.known_at)
    for training, test in split(market, shape, embargo):
        tested, rows = set(market.group[test]), set(test)
        for row in set(range(begins.size)) - set(training) - rows:
            in_embargo = any(market.group[row] - after in tested for after in range(1, embargo + 1))
            overlaps = any(begins[row] < ends[j] and begins[j] < ends[row] for j in test)
            # A tested row that opens in the same instant leaves no time between the two.
            touches = any(begins[row] < begins[j] < ends[row] or begins[j] == begins[row] for j in test)
            assert np.isnat(market.known_at[row]) or in_embargo or overlaps or touches


@given(markets(min_sessions=6), shapes)
def test_every_choice_of_blocks_is_tested_once_and_every_row_on_every_path(
    market: Market, shape: tuple[int, int]
) -> None:
    splitter, folds = splitter_of(market, shape, 0), split(market, shape, 0)
    assert len(folds) == splitter.get_n_splits() == comb(*shape)
    assert len({tuple(test) for _, test in folds}) == len(folds)
    tested = np.bincount(np.concatenate([test for _, test in folds]), minlength=market.timestamp.size)
    assert (tested == splitter.n_paths).all()


@given(shapes)
def test_each_path_tests_each_block_in_a_fold_of_its_own(shape: tuple[int, int]) -> None:
    nothing = np.array([], dtype="datetime64[us]")
    splitter = CombinatorialPurged(*shape, timestamp=nothing, known_at=nothing)
    paths, chosen = splitter.path_folds(), list(combinations(range(shape[0]), shape[1]))
    assert paths.shape == (splitter.n_paths, shape[0])
    for block in range(shape[0]):
        assert sorted(paths[:, block]) == [fold for fold, blocks in enumerate(chosen) if block in blocks]


def test_six_blocks_of_which_two_are_tested_make_fifteen_folds_and_five_paths() -> None:
    # The example of Lopez de Prado 2018, figures 12.1 and 12.2.
    nothing = np.array([], dtype="datetime64[us]")
    splitter = CombinatorialPurged(6, 2, timestamp=nothing, known_at=nothing)
    assert (splitter.get_n_splits(), splitter.n_paths) == (15, 5)
    # Path 1 there: {G1, S1}, {G2, S1}, {G3, S2}, {G4, S3}, {G5, S4}, {G6, S5}.
    assert (splitter.path_folds()[0] + 1).tolist() == [1, 1, 2, 3, 4, 5]


def test_the_parts_are_those_worked_out_by_hand() -> None:
    # Six sessions of two bars in three blocks of two, one tested; labels reach two minutes, into the next
    # session; one session of embargo.
    timestamp = minutes(12)
    splitter = CombinatorialPurged(3, 1, timestamp=timestamp, known_at=timestamp + 2 * MINUTE, embargo=1)
    folds = splitter.split(timestamp, groups=np.repeat(np.arange(6), 2))
    assert [(training.tolist(), test.tolist()) for training, test in folds] == [
        ([6, 7, 8, 9, 10, 11], [0, 1, 2, 3]),
        ([0, 1, 2, 10, 11], [4, 5, 6, 7]),
        ([0, 1, 2, 3, 4, 5, 6], [8, 9, 10, 11]),
    ]


def test_it_works_in_scikit_learns_own_cross_validation() -> None:
    timestamp = minutes(600)
    generator = np.random.default_rng(0)
    label, features = generator.integers(0, 2, 600), generator.normal(size=(600, 2))
    splitter = CombinatorialPurged(timestamp=timestamp, known_at=timestamp + 5 * MINUTE, embargo=3)
    scores = cross_val_score(LogisticRegression(), features, label, cv=splitter)
    assert scores.shape == (15,)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_blocks": 1}, "blocks 1 is below 2"),
        ({"n_test_blocks": 0}, "test blocks 0 is below 1"),
        ({"n_test_blocks": 6}, "test blocks 6 of 6 leave none to train on"),
        ({"embargo": -1}, "embargo -1 is below 0"),
        ({"n_blocks": 13}, "blocks 13 needs at least 13 sessions, there are 12"),
        ({"embargo": 12, "n_test_blocks": 5}, "fold 0 has no labelled row to train on|fold 1 has no"),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_reason(options: dict[str, int], message: str) -> None:
    timestamp = minutes(12)
    with pytest.raises(InvalidInputError, match=message):
        list(CombinatorialPurged(timestamp=timestamp, known_at=timestamp, **options).split(timestamp))
