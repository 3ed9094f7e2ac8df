"""Scores beside a baseline, and a verdict that does not flatter."""

import math

import numpy as np
import pytest

from barlake.errors import InvalidInputError
from training_service.labels import Task
from training_service.scores import Outcome, beats_baseline, score, verdict


def outcome(label: list[float], prediction: list[float], baseline: list[float]) -> Outcome:
    return Outcome(np.array(label), np.array(prediction), np.array(baseline))


def test_scores_of_a_direction_are_those_worked_out_by_hand() -> None:
    # Guesses 1 1 0 0; the training rose in 60 %, so the baseline always says 1.
    figures = score(outcome([1, 0, 0, 1], [0.8, 0.6, 0.3, 0.5], [0.6] * 4), Task.CLASSIFICATION)
    assert figures["rows"] == 4
    assert figures["up_share"] == 0.5
    assert figures["accuracy"] == 0.5
    assert figures["baseline_accuracy"] == 0.5
    assert figures["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.4) + math.log(0.7) + math.log(0.5)) / 4)
    assert figures["baseline_log_loss"] == pytest.approx(-(2 * math.log(0.6) + 2 * math.log(0.4)) / 4)
    # Of the four pairs of a rise and a fall, only (0.5, 0.6) stands the wrong way round.
    assert figures["auc"] == 0.75
    # One of two rises and one of two falls were seen.
    assert figures["balanced_accuracy"] == 0.5


def test_scores_of_a_return_are_those_worked_out_by_hand() -> None:
    figures = score(outcome([1, -1, 3], [1, 0, 2], [1, 1, 1]), Task.REGRESSION)
    # Squared errors 0 + 1 + 1; against the mean 0 + 4 + 4; against zero 1 + 1 + 9.
    assert figures["r2_vs_mean"] == pytest.approx(1 - 2 / 8)
    assert figures["r2_vs_zero"] == pytest.approx(1 - 2 / 11)
    assert figures["mae"] == pytest.approx(2 / 3)
    assert figures["baseline_mae"] == pytest.approx(4 / 3)
    assert figures["rmse"] == pytest.approx(math.sqrt(2 / 3))
    assert figures["baseline_rmse"] == pytest.approx(math.sqrt(8 / 3))
    assert figures["information_coefficient"] == pytest.approx(1.0)


def test_a_test_with_one_class_has_no_auc() -> None:
    figures = score(outcome([1, 1], [0.6, 0.7], [0.5, 0.5]), Task.CLASSIFICATION)
    assert figures["auc"] is None
    assert figures["balanced_accuracy"] is None
    assert figures["accuracy"] == 1.0


def test_a_constant_prediction_has_no_information_coefficient() -> None:
    figures = score(outcome([1, 2], [0, 0], [0, 0]), Task.REGRESSION)
    assert figures["information_coefficient"] is None


def test_returns_that_are_all_zero_have_no_r2_and_beat_nothing() -> None:
    figures = score(outcome([0, 0], [0, 0], [0, 0]), Task.REGRESSION)
    assert figures["r2_vs_zero"] is None
    assert not beats_baseline(figures, Task.REGRESSION)


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no labelled row"):
        score(outcome([], [], []), Task.CLASSIFICATION)


def test_the_baseline_itself_does_not_beat_the_baseline() -> None:
    label = [1.0, 0.0, 1.0]
    for task, baseline in ((Task.CLASSIFICATION, [0.6] * 3), (Task.REGRESSION, [0.1] * 3)):
        assert not beats_baseline(score(outcome(label, baseline, baseline), task), task)


def test_a_return_must_beat_zero_as_well_as_the_mean() -> None:
    # The training mean of 5 is a poor guess; the prediction beats it, and zero beats the prediction.
    figures = score(outcome([1, -1], [2, 2], [5, 5]), Task.REGRESSION)
    assert figures["r2_vs_mean"] is not None
    assert figures["r2_vs_mean"] > 0
    assert not beats_baseline(figures, Task.REGRESSION)


def test_the_verdict_says_plainly_that_the_model_does_not_beat_the_baseline() -> None:
    figures = score(outcome([1, 0], [0.1, 0.9], [0.6, 0.6]), Task.CLASSIFICATION)
    text = verdict(figures, [figures, figures], Task.CLASSIFICATION)
    assert "does NOT beat the baseline" in text
    assert "accuracy 0 against 0.5" in text
    assert "better in 0 of 2 folds" in text


def test_the_verdict_says_in_how_many_folds_the_model_was_better() -> None:
    good = score(outcome([1, 0], [0.9, 0.1], [0.6, 0.6]), Task.CLASSIFICATION)
    bad = score(outcome([1, 0], [0.1, 0.9], [0.6, 0.6]), Task.CLASSIFICATION)
    assert "beats the baseline" in verdict(good, [good, bad], Task.CLASSIFICATION)
    assert "better in 1 of 2 folds" in verdict(good, [good, bad], Task.CLASSIFICATION)


def test_pooled_outcomes_keep_every_row_in_order() -> None:
    pooled = Outcome.pooled([outcome([1], [0.2], [0.5]), outcome([0, 1], [0.3, 0.4], [0.6, 0.6])])
    assert pooled.label.tolist() == [1, 0, 1]
    assert pooled.prediction.tolist() == [0.2, 0.3, 0.4]
    assert pooled.baseline.tolist() == [0.5, 0.6, 0.6]
