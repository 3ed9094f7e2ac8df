"""Pipelines: the steps they have, what they refuse, and how they treat what is not known."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from barlake.errors import InvalidInputError
from training_service.models import (
    ModelSpec,
    absolute_correlation,
    fit_pipeline,
    make_pipeline,
    predict,
    to_signal,
)
from training_service.presets import PRESETS
from training_service.targets import Task

CLASSES, NUMBERS = Task.CLASSIFICATION, Task.REGRESSION
EACH = [(name, task) for name, preset in PRESETS.items() for task in sorted(preset.tasks)]


def columns_and_label(task: Task, *, rows: int = 1200) -> tuple[pl.DataFrame, np.ndarray]:
    """Label follows column `told` and noise; `holes` is null in every third row, `empty` always."""
    generator = np.random.default_rng(7)
    told, noise = generator.normal(size=rows), generator.normal(size=rows)
    value = told + 0.3 * noise
    frame = pl.DataFrame({"told": told, "holes": noise, "empty": np.zeros(rows)}).with_columns(
        pl.when(pl.int_range(pl.len()) % 3 > 0).then("holes").alias("holes"),
        pl.lit(None, dtype=pl.Float64).alias("empty"),
    )
    return frame, (value > 0).astype(float) if task is CLASSES else value


@pytest.mark.parametrize(("estimator", "task"), EACH)
def test_a_pipeline_is_scaler_imputer_selector_model(estimator: str, task: Task) -> None:
    steps = list(make_pipeline(ModelSpec(estimator), task, seed=0).named_steps)
    assert steps == ["scaler", "imputer", "selector", "model"]


@pytest.mark.parametrize("select", [None, 2])
@pytest.mark.parametrize(("estimator", "task"), EACH)
def test_every_estimator_learns_what_there_is_to_learn(estimator: str, task: Task, select: int | None) -> None:
    columns, label = columns_and_label(task)
    pipeline = make_pipeline(ModelSpec(estimator, select=select), task, seed=0)
    fit_pipeline(pipeline, columns[:800], label[:800])
    assert np.corrcoef(predict(pipeline, columns[800:]), label[800:])[0, 1] > 0.6


@pytest.mark.parametrize(("estimator", "task"), EACH)
def test_the_same_fit_gives_the_same_bits(estimator: str, task: Task) -> None:
    columns, label = columns_and_label(task)
    predictions = []
    for _ in range(2):
        pipeline = make_pipeline(ModelSpec(estimator), task, seed=3)
        fit_pipeline(pipeline, columns, label)
        predictions.append(predict(pipeline, columns).tobytes())
    assert predictions[0] == predictions[1]


@pytest.mark.parametrize("select", [None, 3])
@pytest.mark.parametrize(("estimator", "task"), EACH)
def test_a_column_without_any_value_in_training_is_named_kept_and_has_no_effect(
    estimator: str, task: Task, select: int | None
) -> None:
    columns, label = columns_and_label(task)
    pipeline = make_pipeline(ModelSpec(estimator, select=select), task, seed=0)
    assert fit_pipeline(pipeline, columns, label) == ("empty",)
    with_values = columns.with_columns(pl.lit(1e6).alias("empty"))
    assert predict(pipeline, with_values).tobytes() == predict(pipeline, columns).tobytes()
    assert pipeline["model"].n_features_in_ == 3


def test_a_missing_value_counts_as_the_mean_of_the_training_for_a_linear_model() -> None:
    columns, label = columns_and_label(CLASSES)
    pipeline = make_pipeline(ModelSpec("logistic"), CLASSES, seed=0)
    fit_pipeline(pipeline, columns, label)
    missing = columns[:1].with_columns(pl.lit(None, dtype=pl.Float64).alias("told"))
    mean = columns[:1].with_columns(pl.lit(columns["told"].mean()).alias("told"))
    assert predict(pipeline, missing) == pytest.approx(predict(pipeline, mean), abs=1e-12)


@pytest.mark.parametrize(("estimator", "task"), EACH)
def test_columns_in_another_order_are_refused(estimator: str, task: Task) -> None:
    columns, label = columns_and_label(task)
    pipeline = make_pipeline(ModelSpec(estimator), task, seed=0)
    fit_pipeline(pipeline, columns, label)
    with pytest.raises(InvalidInputError, match="same order"):
        predict(pipeline, columns.select(reversed(columns.columns)))


def test_the_selector_keeps_the_columns_that_go_with_the_label() -> None:
    columns, label = columns_and_label(NUMBERS)
    pipeline = make_pipeline(ModelSpec("ridge", select=1), NUMBERS, seed=0)
    fit_pipeline(pipeline, columns, label)
    assert pipeline["selector"].get_support().tolist() == [True, False, False]


def test_more_columns_than_there_are_cannot_be_kept() -> None:
    columns, label = columns_and_label(NUMBERS)
    with pytest.raises(InvalidInputError, match="select 4 is more than the 3 columns"):
        fit_pipeline(make_pipeline(ModelSpec("ridge", select=4), NUMBERS, seed=0), columns, label)


@given(st.integers(0, 2**32 - 1), st.integers(3, 40))
def test_the_strength_of_a_column_is_numpys_correlation(seed: int, rows: int) -> None:
    generator = np.random.default_rng(seed)
    columns, label = generator.normal(size=(rows, 3)), generator.normal(size=rows)
    columns[:, 2] = 5.0
    expected = [abs(np.corrcoef(columns[:, number], label)[0, 1]) for number in (0, 1)]
    assert absolute_correlation(columns, label) == pytest.approx([*expected, 0.0])


def test_labels_of_one_class_are_refused_with_the_reason() -> None:
    columns, _ = columns_and_label(CLASSES)
    with pytest.raises(InvalidInputError, match="all 1200 training labels are 1"):
        fit_pipeline(make_pipeline(ModelSpec("logistic"), CLASSES, seed=0), columns, np.ones(1200))


@pytest.mark.parametrize("task", list(Task))
def test_trees_hold_out_no_rows_at_random(task: Task) -> None:
    model = make_pipeline(ModelSpec("hist_gradient_boosting"), task, seed=5)["model"]
    assert model.early_stopping is False
    assert model.random_state == 5


def test_each_name_gives_the_model_it_says() -> None:
    pairs = [("logistic", CLASSES), ("ridge", NUMBERS), (None, CLASSES), (None, NUMBERS)]
    specs = [(ModelSpec() if name is None else ModelSpec(name), task) for name, task in pairs]
    kinds = [type(make_pipeline(spec, task, seed=0)["model"]) for spec, task in specs]
    assert kinds == [LogisticRegression, Ridge, HistGradientBoostingClassifier, HistGradientBoostingRegressor]


def test_parameters_reach_the_last_step_or_the_step_they_name() -> None:
    spec = ModelSpec("logistic", {"C": 0.5, "scaler__with_mean": False})
    pipeline = make_pipeline(spec, CLASSES, seed=0)
    assert (pipeline["model"].C, pipeline["scaler"].with_mean) == (0.5, False)


@pytest.mark.parametrize(
    ("spec", "task", "message"),
    [
        (ModelSpec("logistic"), NUMBERS, "does no regression: use ridge or random_forest"),
        (ModelSpec("ridge"), CLASSES, "does no classification: use logistic or random_forest"),
        (ModelSpec("forrest"), CLASSES, "'forrest' is not known: use one of logistic, ridge"),
        (ModelSpec("random_forrest"), CLASSES, "Did you mean 'random_forest'"),
        (ModelSpec("ridge", {"alfa": 1}), NUMBERS, r"has no parameter 'alfa'\. Did you mean 'alpha'"),
        (ModelSpec("ridge", class_weight="balanced"), NUMBERS, "class_weight 'balanced' is for classification"),
        (ModelSpec("ridge", calibration="sigmoid"), NUMBERS, "calibration 'sigmoid' is for classification"),
        (ModelSpec("logistic", calibration="linear"), CLASSES, "calibration 'linear' is not known"),
        (ModelSpec("logistic", class_weight="even"), CLASSES, "class_weight 'even' is not known"),
        (ModelSpec("logistic", class_weight=(0.0, 1.0)), CLASSES, r"class_weight \(0.0, 1.0\): .* above 0"),
        (ModelSpec("logistic", early_stopping=True), CLASSES, "early_stopping is for boosted trees"),
        (ModelSpec("logistic", select=0), CLASSES, "select 0 is below 1"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_with_the_way_out(spec: ModelSpec, task: Task, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        spec.check(task)


def test_a_value_that_an_estimator_refuses_is_told_in_its_words() -> None:
    columns, label = columns_and_label(NUMBERS)
    with pytest.raises(InvalidInputError, match=r"Ridge refuses the fit: .*'alpha'"):
        fit_pipeline(make_pipeline(ModelSpec("ridge", {"alpha": -1}), NUMBERS, seed=0), columns, label)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_an_extra_that_is_not_installed_is_answered_with_the_command(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InvalidInputError, match=rf"pip install 'barlake\[{name}\]'"):
        make_pipeline(ModelSpec(name), CLASSES, seed=0)


@pytest.mark.parametrize(
    "spec", [ModelSpec(), ModelSpec("logistic", {"C": 2.0}, (1.0, 3.0), 4, "isotonic", early_stopping=True)]
)
def test_a_spec_is_read_back_from_what_a_manifest_holds(spec: ModelSpec) -> None:
    given_back: dict[str, Any] = spec.as_dict()
    assert ModelSpec.from_dict(given_back) == spec


def test_the_signal_of_a_class_is_1_only_above_even_odds() -> None:
    assert to_signal(np.array([0.5, np.nextafter(0.5, 1)]), CLASSES).tolist() == [0.0, 1.0]


def test_waiting_threads_sleep_before_scikit_learn_is_loaded() -> None:
    code = (
        "import training_service, os, sys; "
        "print(os.environ['OMP_WAIT_POLICY'], any(name.startswith('sklearn') for name in sys.modules))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["PASSIVE", "False"]
