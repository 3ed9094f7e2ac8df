"""The public check of folds: silent on clean ones, and loud on each way of being unclean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from barlake.errors import InvalidInputError, LookAheadError
from tests.training_service.fold_markets import MINUTE, Market, markets, minutes
from training_service.fold_check import check_folds
from training_service.folds import Fold


@st.composite
def any_folds(draw: st.DrawFn) -> tuple[Market, Fold, int]:
    """A market, one fold of labelled training rows and any other rows, and an embargo."""
    market = draw(markets())
    count = market.timestamp.size
    part = np.array(
        draw(st.lists(st.sampled_from(["train", "test", "none"]), min_size=count, max_size=count)), dtype="U5"
    )
    part[0], part[-1] = draw(st.permutations(["train", "test"]))
    market.known_at[0], market.known_at[-1] = market.timestamp[0] + MINUTE, market.timestamp[-1] + MINUTE
    training = np.flatnonzero((part == "train") & ~np.isnat(market.known_at))
    return market, (training, np.flatnonzero(part == "test")), draw(st.integers(0, 2))


@given(any_folds())
def test_on_both_sides_the_check_agrees_with_a_look_at_every_pair(case: tuple[Market, Fold, int]) -> None:
    market, (training, test), embargo = case
    begins, ends = market.timestamp, np.where(np.isnat(market.known_at), market.timestamp, market.known_at)
    overlaps = any(begins[i] < max(ends[j], begins[j]) and begins[j] < ends[i] for i in training for j in test)
    tested = set(market.group[test])
    too_near = any(market.group[i] - after in tested for i in training for after in range(1, embargo + 1))
    clean = {"timestamp": market.timestamp, "known_at": market.known_at, "may_train_later": True}
    if overlaps or too_near:
        with pytest.raises(LookAheadError):
            check_folds([(training, test)], embargo=embargo, groups=market.sessions, **clean)
    else:
        check_folds([(training, test)], embargo=embargo, groups=market.sessions, **clean)


@given(any_folds())
def test_in_a_walk_forward_every_label_is_known_before_the_first_test(case: tuple[Market, Fold, int]) -> None:
    market, (training, test), _ = case
    if (market.known_at[training] <= market.timestamp[test].min()).all():
        check_folds([(training, test)], timestamp=market.timestamp, known_at=market.known_at)
    else:
        with pytest.raises(LookAheadError, match="known only after the test begins"):
            check_folds([(training, test)], timestamp=market.timestamp, known_at=market.known_at)


def test_the_check_refuses_a_shuffled_split() -> None:
    timestamp = minutes(50)
    folds = KFold(5, shuffle=True, random_state=0).split(timestamp)
    with pytest.raises(LookAheadError):
        check_folds(folds, timestamp=timestamp, known_at=timestamp + 2 * MINUTE)


def test_the_check_refuses_a_row_in_both_parts() -> None:
    timestamp = minutes(3)
    with pytest.raises(LookAheadError, match="1 rows are in training and in test"):
        check_folds([(np.array([0, 1]), np.array([1, 2]))], timestamp=timestamp, known_at=timestamp)


def test_a_training_row_without_a_label_is_refused() -> None:
    timestamp = minutes(3)
    known_at = timestamp.copy()
    known_at[0] = np.datetime64("NaT")
    with pytest.raises(LookAheadError, match=r"fold 0: 1 training rows have no label \(the first is row 0\)"):
        check_folds([(np.array([0, 1]), np.array([2]))], timestamp=timestamp, known_at=known_at)


def test_a_fold_that_proves_nothing_is_refused() -> None:
    timestamp = minutes(3)
    with pytest.raises(InvalidInputError, match="fold 0 has 0 training and 1 test rows"):
        check_folds([(np.arange(0), np.array([2]))], timestamp=timestamp, known_at=timestamp)


def test_training_in_the_embargo_is_refused_and_after_it_is_not() -> None:
    timestamp = minutes(4)
    arrays = {"timestamp": timestamp, "known_at": timestamp + MINUTE, "may_train_later": True}
    fold = (np.array([2]), np.array([0]))
    check_folds([fold], embargo=1, **arrays)
    with pytest.raises(LookAheadError, match="lie within 2 groups after a test"):
        check_folds([fold], embargo=2, **arrays)
