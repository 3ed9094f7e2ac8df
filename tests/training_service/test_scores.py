"""Scores with intervals beside three baselines, and a verdict that does not flatter."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, log_loss, mean_absolute_error, r2_score, roc_auc_score

from barlake.errors import InvalidInputError
from training_service.outcomes import Outcome
from training_service.scores import BASELINES, METRICS, Judgement, judge, score, verdict
from training_service.targets import Task

FloatArray = npt.NDArray[np.float64]
BOTH = pytest.mark.parametrize("task", list(Task))


def outcome(
    label: list[float] | FloatArray,
    prediction: list[float] | FloatArray,
    *,
    mean: float = 0.6,
    last: list[float] | None = None,
    realised: FloatArray | None = None,
    per_session: int = 1,
) -> Outcome:
    count = len(label)
    return Outcome(
        label=np.array(label, dtype=float),
        prediction=np.array(prediction, dtype=float),
        training_mean=np.full(count, mean),
        last_label=np.full(count, np.nan) if last is None else np.array(last, dtype=float),
        realised_return=np.zeros(count) if realised is None else realised,
        session=np.datetime64("2024-01-02") + np.arange(count) // per_session,
    )


def values(scores: dict[str, Any]) -> dict[str, float | None]:
    return {name: figure["value"] for name, figure in scores["metrics"].items()}


def test_scores_of_classes_are_those_worked_out_by_hand() -> None:
    # Guesses 1 1 0 0; the training rose in 60 %, so the constant baseline always says 1.
    found = score(outcome([1, 0, 0, 1], [0.8, 0.6, 0.3, 0.5], last=[math.nan, 1, 0, 0]), Task.CLASSIFICATION)
    model, constant = values(found), found["baselines"]["constant"]
    assert (found["rows"], found["sessions"], found["label_mean"]) == (4, 4, 0.5)
    assert (model["accuracy"], constant["accuracy"]) == (0.5, 0.5)
    assert model["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.4) + math.log(0.7) + math.log(0.5)) / 4)
    assert constant["log_loss"] == pytest.approx(-(2 * math.log(0.6) + 2 * math.log(0.4)) / 4)
    # Of the four pairs of a rise and a fall, only (0.5, 0.6) stands the wrong way round.
    assert (model["auc"], constant["auc"]) == (0.75, 0.5)
    # One of two rises and one of two falls were seen.
    assert model["balanced_accuracy"] == 0.5
    # The last direction says 1 (the constant, for nothing came before), 1, 0, 0: right, wrong, right, wrong.
    last = found["baselines"]["last"]
    assert (last["accuracy"], last["balanced_accuracy"], last["log_loss"]) == (0.5, 0.5, None)
    # Half rise, half are guessed to rise.
    assert found["baselines"]["shuffled"]["accuracy"] == 0.5


def test_scores_of_numbers_are_those_worked_out_by_hand() -> None:
    found = score(outcome([1, -1, 3], [1, 0, 2], mean=1.0, last=[math.nan, 1, -1]), Task.REGRESSION)
    model, constant, last = values(found), found["baselines"]["constant"], found["baselines"]["last"]
    # Squared errors 0 + 1 + 1; against the mean 0 + 4 + 4; against zero 1 + 1 + 9.
    assert model["r2_vs_mean"] == pytest.approx(1 - 2 / 8)
    assert model["r2_vs_zero"] == pytest.approx(1 - 2 / 11)
    assert (model["mae"], constant["mae"]) == (pytest.approx(2 / 3), pytest.approx(4 / 3))
    assert (model["rmse"], constant["rmse"]) == (pytest.approx(math.sqrt(2 / 3)), pytest.approx(math.sqrt(8 / 3)))
    assert (model["information_coefficient"], constant["information_coefficient"]) == (pytest.approx(1.0), None)
    # The last label says 1 (the mean), 1, -1: errors 0, 2, 4.
    assert last["mae"] == pytest.approx(2.0)
    assert last["r2_vs_mean"] == pytest.approx(1 - 20 / 8)


@given(seed=st.integers(0, 2**32 - 1))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    label, chance = (generator.random(60) < 0.5).astype(float), generator.random(60)
    label[:2] = 0, 1
    found = values(score(outcome(label, chance), Task.CLASSIFICATION))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(label, chance > 0.5))
    assert found["log_loss"] == pytest.approx(log_loss(label, chance))
    assert found["auc"] == pytest.approx(roc_auc_score(label, chance))
    label, number = generator.normal(size=60), generator.normal(size=60)
    found = values(score(outcome(label, number, mean=float(label.mean())), Task.REGRESSION))
    assert found["r2_vs_mean"] == pytest.approx(r2_score(label, number))
    assert found["mae"] == pytest.approx(mean_absolute_error(label, number))


@BOTH
def test_every_metric_has_a_value_of_the_model_and_of_each_baseline(task: Task) -> None:
    generator = np.random.default_rng(0)
    label = (generator.random(100) < 0.5).astype(float)
    found = score(outcome(label, generator.random(100), realised=generator.normal(size=100)), task)
    assert tuple(found["metrics"]) == METRICS[task]
    assert tuple(found["baselines"]) == tuple(BASELINES[task])
    for baseline in found["baselines"].values():
        assert tuple(baseline) == METRICS[task]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@BOTH
def test_an_interval_holds_its_score(task: Task) -> None:
    generator = np.random.default_rng(1)
    label = (generator.random(900) < 0.5).astype(float)
    chance = np.clip(0.4 * label + 0.6 * generator.random(900), 0, 1)
    found = score(outcome(label, chance, realised=label - 0.4, per_session=30), task)
    for name, figure in found["metrics"].items():
        assert figure["low"] < figure["value"] < figure["high"], name


def test_the_sharpe_ratio_of_sessions_is_mean_over_deviation() -> None:
    realised = np.array([0.01, 0.03, -0.02, 0.02])
    found = score(outcome([1, 1, 0, 1], [0.9] * 4, realised=realised), Task.CLASSIFICATION)
    assert values(found)["session_sharpe"] == pytest.approx(realised.mean() / realised.std(ddof=1))


@BOTH
def test_predictions_that_earn_nothing_have_no_sharpe_ratio(task: Task) -> None:
    assert values(score(outcome([1, 0, 1], [0.9, 0.2, 0.7]), task))["session_sharpe"] is None


def test_a_test_with_one_class_has_no_auc() -> None:
    found = values(score(outcome([1, 1], [0.6, 0.7]), Task.CLASSIFICATION))
    assert (found["auc"], found["balanced_accuracy"], found["accuracy"]) == (None, None, 1.0)


def test_a_constant_prediction_has_no_information_coefficient() -> None:
    assert values(score(outcome([1, 2], [0, 0]), Task.REGRESSION))["information_coefficient"] is None


def test_numbers_that_are_all_zero_have_no_r2_and_beat_nothing() -> None:
    found = score(outcome([0, 0], [0, 0], mean=0.0), Task.REGRESSION)
    assert values(found)["r2_vs_zero"] is None
    assert judge(found) is Judgement.FAILS
    assert "r2_vs_zero is not defined" in verdict(found, [found], Task.REGRESSION)


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no labelled row"):
        score(outcome([], []), Task.CLASSIFICATION)


@BOTH
def test_the_baseline_itself_does_not_beat_the_baseline(task: Task) -> None:
    assert judge(score(outcome([1.0, 0.0, 1.0], [0.6] * 3), task)) is Judgement.FAILS


def test_a_number_must_beat_zero_as_well_as_the_mean() -> None:
    # The training mean of 5 is a poor guess; the prediction beats it, and zero beats the prediction.
    found = score(outcome([1, -1] * 20, [2, 2] * 20, mean=5.0), Task.REGRESSION)
    assert found["advantage"]["r2_vs_mean"]["low"] > 0
    assert judge(found) is Judgement.FAILS


def predicted(skill: float, *, sessions: int = 60, seed: int = 3) -> Outcome:
    """Classes that a probability knows a little, a lot or nothing of."""
    generator = np.random.default_rng(seed)
    label = (generator.random(sessions * 20) < 0.5).astype(float)
    return outcome(
        label, 0.5 + skill * (label - 0.5) + 0.001 * generator.normal(size=label.size), mean=0.49, per_session=20
    )


def test_a_real_edge_beats_the_baseline() -> None:
    found = score(predicted(0.2), Task.CLASSIFICATION)
    assert judge(found) is Judgement.BEATS
    assert "beats the baseline" in verdict(found, [found], Task.CLASSIFICATION)


def test_an_edge_within_its_error_cannot_be_told_from_the_baseline() -> None:
    # Half a per cent more right than wrong, on 1,200 rows whose error is three times that.
    generator = np.random.default_rng(0)
    label = np.tile([1.0, 0.0], 600)
    is_right = np.ones(1200, dtype=bool)
    is_right[generator.permutation(1200)[:590]] = False
    chance = np.where(label.astype(bool) == is_right, 0.501, 0.499)
    found = score(outcome(label, chance, mean=0.49, per_session=20), Task.CLASSIFICATION)
    assert found["advantage"]["accuracy"]["value"] > 0
    assert judge(found) is Judgement.UNCLEAR
    assert "cannot be told from the baseline" in verdict(found, [found], Task.CLASSIFICATION)


def test_too_few_sessions_tell_no_edge_from_chance() -> None:
    assert judge(score(predicted(0.2, sessions=5), Task.CLASSIFICATION)) is Judgement.UNCLEAR


def test_noise_is_said_to_beat_the_baseline_hardly_ever() -> None:
    found = [judge(score(predicted(0.0, seed=seed), Task.CLASSIFICATION)) for seed in range(60)]
    assert found.count(Judgement.BEATS) <= 3


def test_the_verdict_says_plainly_that_the_model_does_not_beat_the_baseline() -> None:
    found = score(outcome([1, 0], [0.1, 0.9]), Task.CLASSIFICATION)
    text = verdict(found, [found, found], Task.CLASSIFICATION)
    assert "does NOT beat the baseline" in text
    assert "accuracy 0 against 0.5" in text
    assert "better in 0 of 2 folds" in text


def test_the_verdict_says_in_how_many_folds_the_model_was_better() -> None:
    good, bad = (score(outcome([1, 0], chance), Task.CLASSIFICATION) for chance in ([0.9, 0.1], [0.1, 0.9]))
    assert "better in 1 of 2 folds" in verdict(good, [good, bad], Task.CLASSIFICATION)


@BOTH
def test_equal_outcomes_have_equal_scores(task: Task) -> None:
    one, other = (score(predicted(0.1), task) for _ in range(2))
    assert one == other
