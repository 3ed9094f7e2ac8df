"""Estimators: fitted the same way every time, and honest about what they do not know."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from barlake.errors import InvalidInputError
from training_service.labels import Task
from training_service.models import Estimator, fit_pipeline, make_pipeline, predict, to_signal

BOTH = [
    (Estimator.LOGISTIC, Task.CLASSIFICATION),
    (Estimator.RIDGE, Task.REGRESSION),
    (Estimator.HIST_GRADIENT_BOOSTING, Task.CLASSIFICATION),
    (Estimator.HIST_GRADIENT_BOOSTING, Task.REGRESSION),
]


def columns_and_label(task: Task, *, rows: int = 1200) -> tuple[pl.DataFrame, np.ndarray]:
    """Label follows column `told` and noise; `holes` is null in every third row, `empty` always."""
    generator = np.random.default_rng(7)
    told, noise = generator.normal(size=rows), generator.normal(size=rows)
    value = told + 0.3 * noise
    frame = pl.DataFrame({"told": told, "holes": noise, "empty": np.zeros(rows)}).with_columns(
        pl.when(pl.int_range(pl.len()) % 3 > 0).then("holes").alias("holes"),
        pl.lit(None, dtype=pl.Float64).alias("empty"),
    )
    return frame, (value > 0).astype(float) if task is Task.CLASSIFICATION else value


@pytest.mark.parametrize(("estimator", "task"), BOTH)
def test_a_pipeline_is_scaler_imputer_model(estimator: Estimator, task: Task) -> None:
    assert list(make_pipeline(estimator, task, seed=0).named_steps) == ["scaler", "imputer", "model"]


@pytest.mark.parametrize(("estimator", "task"), BOTH)
def test_every_estimator_learns_what_there_is_to_learn(estimator: Estimator, task: Task) -> None:
    columns, label = columns_and_label(task)
    pipeline = make_pipeline(estimator, task, seed=0)
    fit_pipeline(pipeline, columns[:800], label[:800])
    assert np.corrcoef(predict(pipeline, columns[800:]), label[800:])[0, 1] > 0.7


@pytest.mark.parametrize(("estimator", "task"), BOTH)
def test_the_same_fit_gives_the_same_bits(estimator: Estimator, task: Task) -> None:
    columns, label = columns_and_label(task)
    predictions = []
    for _ in range(2):
        pipeline = make_pipeline(estimator, task, seed=3)
        fit_pipeline(pipeline, columns, label)
        predictions.append(predict(pipeline, columns).tobytes())
    assert predictions[0] == predictions[1]


@pytest.mark.parametrize(("estimator", "task"), BOTH)
def test_a_column_without_any_value_in_training_is_named_kept_and_has_no_effect(
    estimator: Estimator, task: Task
) -> None:
    columns, label = columns_and_label(task)
    pipeline = make_pipeline(estimator, task, seed=0)
    assert fit_pipeline(pipeline, columns, label) == ("empty",)
    with_values = columns.with_columns(pl.lit(1e6).alias("empty"))
    assert predict(pipeline, with_values).tobytes() == predict(pipeline, columns).tobytes()
    assert pipeline["model"].n_features_in_ == 3


def test_a_missing_value_counts_as_the_mean_of_the_training_for_a_linear_model() -> None:
    columns, label = columns_and_label(Task.CLASSIFICATION)
    pipeline = make_pipeline(Estimator.LOGISTIC, Task.CLASSIFICATION, seed=0)
    fit_pipeline(pipeline, columns, label)
    missing = columns[:1].with_columns(pl.lit(None, dtype=pl.Float64).alias("told"))
    mean = columns[:1].with_columns(pl.lit(columns["told"].mean()).alias("told"))
    assert predict(pipeline, missing) == pytest.approx(predict(pipeline, mean), abs=1e-12)


def test_columns_in_another_order_are_refused() -> None:
    columns, label = columns_and_label(Task.CLASSIFICATION)
    pipeline = make_pipeline(Estimator.LOGISTIC, Task.CLASSIFICATION, seed=0)
    fit_pipeline(pipeline, columns, label)
    with pytest.raises(ValueError, match="same order"):
        predict(pipeline, columns.select(reversed(columns.columns)))


def test_labels_of_one_class_are_refused_with_the_reason() -> None:
    columns, _ = columns_and_label(Task.CLASSIFICATION)
    with pytest.raises(InvalidInputError, match="all 1200 training labels are 1"):
        fit_pipeline(make_pipeline(Estimator.LOGISTIC, Task.CLASSIFICATION, seed=0), columns, np.ones(1200))


@pytest.mark.parametrize("task", list(Task))
def test_trees_hold_out_no_rows_at_random(task: Task) -> None:
    model = make_pipeline(Estimator.HIST_GRADIENT_BOOSTING, task, seed=5)["model"]
    assert model.early_stopping is False
    assert model.random_state == 5


def test_each_name_gives_the_model_it_says() -> None:
    kinds = [type(make_pipeline(estimator, task, seed=0)["model"]) for estimator, task in BOTH]
    assert kinds == [LogisticRegression, Ridge, HistGradientBoostingClassifier, HistGradientBoostingRegressor]


def test_the_default_is_the_linear_model_of_the_task() -> None:
    assert Estimator.parse(None, Task.CLASSIFICATION) is Estimator.LOGISTIC
    assert Estimator.parse(None, Task.REGRESSION) is Estimator.RIDGE


@pytest.mark.parametrize(
    ("name", "task", "offered"),
    [
        ("logistic", Task.REGRESSION, "use ridge or hist_gradient_boosting"),
        ("ridge", Task.CLASSIFICATION, "use logistic or hist_gradient_boosting"),
        ("forest", Task.CLASSIFICATION, "use logistic or hist_gradient_boosting"),
    ],
)
def test_an_estimator_that_does_not_fit_the_task_is_answered_with_those_that_do(
    name: str, task: Task, offered: str
) -> None:
    with pytest.raises(InvalidInputError, match=offered):
        Estimator.parse(name, task)


def test_the_signal_of_a_direction_is_1_only_above_even_odds() -> None:
    assert to_signal(np.array([0.5, np.nextafter(0.5, 1)]), Task.CLASSIFICATION).tolist() == [0.0, 1.0]


def test_waiting_threads_sleep_before_scikit_learn_is_loaded() -> None:
    code = (
        "import training_service, os, sys; "
        "print(os.environ['OMP_WAIT_POLICY'], any(name.startswith('sklearn') for name in sys.modules))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["PASSIVE", "False"]
