"""Walk-forward folds: nothing of a test is in its training, and every later row is tested once."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from barlake.errors import InvalidInputError, LookAheadError
from training_service.folds import WalkForward, check_folds

Instants = npt.NDArray[np.datetime64]
Market = tuple[Instants, Instants, npt.NDArray[np.int64] | None, int]
MINUTE = np.timedelta64(1, "m")


def minutes(count: int) -> Instants:
    return np.datetime64("2024-01-02T14:30", "us") + np.arange(count) * MINUTE


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """Timestamps with holes, known_at of any reach with some missing, sessions, and a number of folds."""
    n_folds = draw(st.integers(1, 5))
    lengths = draw(st.lists(st.integers(1, 8), min_size=n_folds + 1, max_size=14))
    count = sum(lengths)
    steps = draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    reach = draw(st.lists(st.one_of(st.none(), st.integers(1, 9)), min_size=count, max_size=count))
    timestamp = minutes(1)[0] + np.cumsum(steps) * MINUTE
    known_at = np.array(
        [
            np.datetime64("NaT") if ahead is None else stamp + ahead * MINUTE
            for stamp, ahead in zip(timestamp, reach, strict=True)
        ],
        dtype="datetime64[us]",
    )
    known_at[0] = timestamp[0]
    return timestamp, known_at, np.repeat(np.arange(len(lengths)), lengths), n_folds


def by_row(market: Market) -> Market:
    timestamp, known_at, _, n_folds = market
    return timestamp, known_at, None, n_folds


@given(st.one_of(markets(), markets().map(by_row)))
def test_no_training_row_reaches_into_the_test(market: Market) -> None:
    timestamp, known_at, sessions, n_folds = market
    splitter = WalkForward(n_folds, timestamp=timestamp, known_at=known_at)
    for training, test in splitter.split(timestamp, groups=sessions):
        assert not set(training) & set(test)
        assert (timestamp[training] < timestamp[test[0]]).all()
        assert (known_at[training] <= timestamp[test[0]]).all()


@given(st.one_of(markets(), markets().map(by_row)))
def test_tests_are_contiguous_and_cover_the_out_of_sample_period_once(market: Market) -> None:
    timestamp, known_at, sessions, n_folds = market
    splitter = WalkForward(n_folds, timestamp=timestamp, known_at=known_at)
    tests = [test for _, test in splitter.split(timestamp, groups=sessions)]
    assert len(tests) == splitter.get_n_splits() == n_folds
    covered = np.concatenate(tests)
    assert covered.tolist() == list(range(covered[0], len(timestamp)))


@given(markets())
def test_folds_by_session_never_cut_a_session(market: Market) -> None:
    timestamp, known_at, sessions, n_folds = market
    splitter = WalkForward(n_folds, timestamp=timestamp, known_at=known_at)
    assert sessions is not None
    tests = [test for _, test in splitter.split(timestamp, groups=sessions)]
    for test in tests:
        assert sessions[test[0] - 1] < sessions[test[0]]
    for one, other in pairwise(tests):
        assert sessions[one[-1]] < sessions[other[0]]


@given(markets())
def test_the_purge_drops_nothing_else(market: Market) -> None:
    timestamp, known_at, sessions, n_folds = market
    for training, test in WalkForward(n_folds, timestamp=timestamp, known_at=known_at).split(
        timestamp, groups=sessions
    ):
        kept = [row for row in range(test[0]) if known_at[row] <= timestamp[test[0]]]
        assert training.tolist() == kept


@given(st.integers(1, 12), st.integers(0, 24))
def test_overlap_is_gone_exactly_when_the_purge_reaches_the_horizon(horizon_bars: int, purge_bars: int) -> None:
    timestamp = minutes(120)
    truly_known_at = timestamp + (horizon_bars + 1) * MINUTE
    purged_as_if = timestamp + (purge_bars + 1) * MINUTE
    folds = list(WalkForward(3, timestamp=timestamp, known_at=purged_as_if).split(timestamp))
    if purge_bars >= horizon_bars:
        check_folds(folds, timestamp=timestamp, known_at=truly_known_at)
    else:
        with pytest.raises(LookAheadError, match=f"{horizon_bars - purge_bars} training labels"):
            check_folds(folds, timestamp=timestamp, known_at=truly_known_at)


def test_the_check_refuses_a_shuffled_split() -> None:
    timestamp = minutes(50)
    folds = KFold(5, shuffle=True, random_state=0).split(timestamp)
    with pytest.raises(LookAheadError):
        check_folds(folds, timestamp=timestamp, known_at=timestamp + 2 * MINUTE)


def test_the_check_refuses_a_row_in_both_parts() -> None:
    timestamp = minutes(3)
    with pytest.raises(LookAheadError, match="1 rows are in training and in test"):
        check_folds([(np.array([0, 1]), np.array([1, 2]))], timestamp=timestamp, known_at=timestamp)


def test_on_noise_with_overlapping_labels_a_shuffled_split_shows_skill_and_ours_none() -> None:
    horizon_bars, count = 30, 3000
    ours, shuffled = [], []
    for seed in range(5):
        walk = np.cumsum(np.random.default_rng(seed).normal(size=count + horizon_bars))
        label = (walk[horizon_bars:] > walk[:-horizon_bars]).astype(float)
        # Slow features, as moving averages are: neighbours in time are neighbours in value.
        features = np.column_stack([walk[:count], np.convolve(walk, np.ones(50) / 50)[:count]])
        timestamp = minutes(count)
        model = KNeighborsClassifier(5)
        splitter = WalkForward(5, timestamp=timestamp, known_at=timestamp + (horizon_bars + 1) * MINUTE)
        ours.append(cross_val_score(model, features, label, cv=splitter).mean())
        shuffled.append(cross_val_score(model, features, label, cv=KFold(5, shuffle=True, random_state=0)).mean())
    assert np.mean(shuffled) > 0.65
    assert abs(np.mean(ours) - 0.5) < 0.04


def test_the_parts_are_those_worked_out_by_hand() -> None:
    # Seven sessions of two bars, two folds: two blocks of 7 // 3 = 2 sessions, the first three only train.
    timestamp = minutes(14)
    sessions = np.repeat(np.arange(7), 2)
    known_at = timestamp + 2 * MINUTE  # horizon 1
    folds = list(WalkForward(2, timestamp=timestamp, known_at=known_at).split(timestamp, groups=sessions))
    assert [(training.tolist(), test.tolist()) for training, test in folds] == [
        ([0, 1, 2, 3, 4], [6, 7, 8, 9]),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], [10, 11, 12, 13]),
    ]


def test_rows_without_a_label_are_tested_but_never_trained_on() -> None:
    timestamp = minutes(4)
    known_at = timestamp.copy()
    known_at[[1, 3]] = np.datetime64("NaT")
    ((training, test),) = WalkForward(1, timestamp=timestamp, known_at=known_at).split(timestamp)
    assert training.tolist() == [0]
    assert test.tolist() == [2, 3]


def test_parameters_stay_untouched() -> None:
    timestamp = minutes(3)
    splitter = WalkForward(-1, timestamp=timestamp, known_at=timestamp)
    assert splitter.n_splits == -1
    assert splitter.timestamp is timestamp
    assert splitter.known_at is timestamp


@pytest.mark.parametrize(
    ("n_folds", "sessions", "message"),
    [
        (0, [0, 1, 2, 3], "folds 0 is below 1"),
        (4, [0, 1, 2, 3], "needs at least 5 sessions, there are 4"),
        (1, [0, 1, 0, 1], "come back"),
        (1, [0, 1], "groups has 2 rows, X has 4"),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_reason(n_folds: int, sessions: list[int], message: str) -> None:
    timestamp = minutes(4)
    with pytest.raises(InvalidInputError, match=message):
        list(WalkForward(n_folds, timestamp=timestamp, known_at=timestamp).split(timestamp, groups=sessions))


def test_falling_timestamps_are_refused() -> None:
    timestamp = minutes(4)[::-1]
    with pytest.raises(InvalidInputError, match="timestamp falls"):
        list(WalkForward(1, timestamp=timestamp, known_at=timestamp).split(timestamp))


def test_arrays_of_another_length_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="known_at has 3 rows, X has 4"):
        list(WalkForward(1, timestamp=minutes(4), known_at=minutes(3)).split(minutes(4)))


def test_a_fold_with_nothing_to_train_on_is_refused() -> None:
    timestamp = minutes(4)
    with pytest.raises(InvalidInputError, match="fold 0 has no labelled row to train on"):
        list(WalkForward(1, timestamp=timestamp, known_at=timestamp + 60 * MINUTE).split(timestamp))
