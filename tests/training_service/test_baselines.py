"""Shuffled labels: averaged over every order, as trying all orders gives it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from training_service.baselines import log_losses, shuffled_classes, shuffled_numbers

FIVE = st.lists(st.floats(-3, 3).map(lambda value: round(value, 2)), min_size=5, max_size=5)


@given(ones=st.integers(1, 4), probability=st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_shuffled_classes_are_the_mean_over_all_orders(ones: int, probability: list[float]) -> None:
    label, given_ = np.array([1.0] * ones + [0.0] * (5 - ones)), np.array(probability)
    orders = [np.array(order) for order in set(itertools.permutations(label))]
    found = shuffled_classes(label, given_)
    guess = (given_ > 0.5).astype(float)
    assert found["accuracy"] == pytest.approx(np.mean([(guess == order).mean() for order in orders]))
    assert found["balanced_accuracy"] == pytest.approx(np.mean([balanced_accuracy_score(o, guess) for o in orders]))
    assert found["auc"] == pytest.approx(np.mean([roc_auc_score(order, given_) for order in orders]))
    assert found["log_loss"] == pytest.approx(np.mean([log_loss(order, given_) for order in orders]), rel=1e-6)


@given(label=FIVE, prediction=FIVE, mean=st.floats(-1, 1))
def test_shuffled_numbers_are_the_mean_over_all_orders(
    label: list[float], prediction: list[float], mean: float
) -> None:
    known, said = np.array(label), np.array(prediction)
    orders = [np.array(order) for order in itertools.permutations(label)]
    found = shuffled_numbers(known, said, np.full(5, mean))
    squared = np.mean([((order - said) ** 2).mean() for order in orders])
    assert found["rmse"] == pytest.approx(np.sqrt(squared), abs=1e-9)
    assert found["mae"] == pytest.approx(np.mean([np.abs(order - said).mean() for order in orders]), abs=1e-9)
    if (known**2).mean() > 1e-6:
        assert found["r2_vs_zero"] == pytest.approx(1 - squared / (known**2).mean())


def test_one_class_alone_leaves_nothing_to_tell_apart() -> None:
    found = shuffled_classes(np.ones(4), np.full(4, 0.9))
    assert (found["accuracy"], found["balanced_accuracy"], found["auc"]) == (1.0, None, None)


def test_labels_that_are_all_zero_have_no_r2() -> None:
    assert shuffled_numbers(np.zeros(3), np.ones(3), np.zeros(3))["r2_vs_zero"] is None


def test_log_losses_are_those_of_scikit_learn_at_the_edges_too() -> None:
    label, probability = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0, 0.3])
    assert log_losses(label, probability).mean() == pytest.approx(log_loss(label, probability))
