"""Walk-forward folds: nothing of a test is in its training, and every later row is tested once."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from barlake.errors import InvalidInputError, LookAheadError
from tests.training_service.fold_markets import MINUTE, Market, markets, minutes
from training_service.fold_check import check_folds
from training_service.folds import Fold, WalkForward, Window

options = st.fixed_dictionaries(
    {"n_splits": st.integers(1, 5), "window": st.sampled_from(Window), "embargo": st.integers(0, 2)}
)


def split(market: Market, **given_options: object) -> list[Fold]:
    """Folds of a market; an example that cannot be split that often proves nothing and is left out."""
    splitter = WalkForward(timestamp=market.timestamp, known_at=market.known_at, **given_options)  # type: ignore[arg-type]  # options vary in type
    try:
        return list(splitter.split(market.timestamp, groups=market.sessions))
    except InvalidInputError:
        assume(False)
        raise


@given(markets(), options)
def test_no_training_row_reaches_into_the_test(market: Market, chosen: dict[str, object]) -> None:
    for training, test in split(market, **chosen):
        assert not set(training) & set(test)
        assert training.max() < test.min()
        assert (market.known_at[training] <= market.timestamp[test[0]]).all()


@given(markets(), options)
def test_tests_are_contiguous_and_cover_the_out_of_sample_period_once(
    market: Market, chosen: dict[str, object]
) -> None:
    tests = [test for _, test in split(market, **chosen)]
    assert len(tests) == chosen["n_splits"]
    covered = np.concatenate(tests)
    assert covered.tolist() == list(range(covered[0], market.timestamp.size))


@given(markets(by_row=False), options)
def test_folds_by_session_never_cut_a_session(market: Market, chosen: dict[str, object]) -> None:
    tests = [test for _, test in split(market, **chosen)]
    for test in tests:
        assert market.group[test[0] - 1] < market.group[test[0]]
    for one, other in pairwise(tests):
        assert market.group[one[-1]] < market.group[other[0]]


@given(markets(), options)
def test_the_purge_and_the_embargo_drop_nothing_else(market: Market, chosen: dict[str, object]) -> None:
    embargo = chosen["embargo"]
    assert isinstance(embargo, int)
    folds = split(market, **chosen)
    first_held = market.group[folds[0][1][0]] - embargo
    for training, test in folds:
        limit = market.group[test[0]] - embargo
        begin = limit - first_held if chosen["window"] is Window.ROLLING else 0
        opening = market.timestamp[np.flatnonzero(market.group == limit)[0]]
        kept = [
            row
            for row in range(market.timestamp.size)
            if begin <= market.group[row] < limit and market.known_at[row] <= opening
        ]
        assert training.tolist() == kept


@given(markets(), st.integers(1, 3), st.integers(1, 4))
def test_a_rolling_window_holds_as_many_sessions_as_was_asked_for(market: Market, n_splits: int, held: int) -> None:
    for training, test in split(market, n_splits=n_splits, window="rolling", train_groups=held):
        limit = market.group[test[0]]
        assert set(market.group[training]) <= set(range(limit - held, limit))


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


def test_it_works_in_scikit_learns_own_cross_validation() -> None:
    timestamp = minutes(600)
    generator = np.random.default_rng(0)
    label, features = generator.integers(0, 2, 600), generator.normal(size=(600, 2))
    splitter = WalkForward(4, timestamp=timestamp, known_at=timestamp + 5 * MINUTE, window="rolling")
    scores = cross_val_score(LogisticRegression(), features, label, cv=splitter)
    assert scores.shape == (4,)
    assert np.isfinite(scores).all()


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
        (1, [0, 1, 0, 1], "groups come back"),
        (1, [0, 1], "groups has 2 rows, X has 4"),
    ],
)
def test_what_cannot_be_split_is_refused_with_the_reason(n_folds: int, sessions: list[int], message: str) -> None:
    timestamp = minutes(4)
    with pytest.raises(InvalidInputError, match=message):
        list(WalkForward(n_folds, timestamp=timestamp, known_at=timestamp).split(timestamp, groups=sessions))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"embargo": -1}, "embargo -1 is below 0"),
        ({"window": "sliding"}, "window 'sliding' is not known: use anchored or rolling"),
        ({"window": "rolling", "train_groups": 0}, "train_groups 0 is below 1"),
        ({"train_groups": 2}, "train_groups 2 is for a rolling window"),
        ({"embargo": 3}, "fold 0 has no labelled row to train on"),
    ],
)
def test_an_option_out_of_range_is_refused_with_the_rule(chosen: dict[str, object], message: str) -> None:
    timestamp = minutes(4)
    splitter = WalkForward(1, timestamp=timestamp, known_at=timestamp, **chosen)  # type: ignore[arg-type]  # options vary in type
    with pytest.raises(InvalidInputError, match=message):
        list(splitter.split(timestamp))


def test_an_embargo_leaves_out_the_sessions_before_a_test_worked_out_by_hand() -> None:
    # Seven sessions of two bars, two folds, a rolling window of two sessions, one session left out.
    timestamp = minutes(14)
    splitter = WalkForward(
        2, timestamp=timestamp, known_at=timestamp + 2 * MINUTE, window="rolling", train_groups=2, embargo=1
    )
    folds = splitter.split(timestamp, groups=np.repeat(np.arange(7), 2))
    # Bar 3 is known when bar 5 opens, after session 2 (bars 4 and 5) began.
    assert [(training.tolist(), test.tolist()) for training, test in folds] == [
        ([0, 1, 2], [6, 7, 8, 9]),
        ([4, 5, 6], [10, 11, 12, 13]),
    ]


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
