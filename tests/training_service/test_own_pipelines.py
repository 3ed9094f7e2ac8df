"""Pipelines from a user's own module, by import path."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from barlake.errors import InvalidInputError
from training_service.models import ModelSpec, fit_pipeline, make_pipeline, predict
from training_service.own_pipelines import OwnPipeline
from training_service.targets import Task

HEAD = """
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
"""
GOOD = (
    HEAD
    + """
def make_pipeline(task, seed):
    model = LogisticRegression(random_state=seed) if task == "classification" else Ridge(random_state=seed)
    return Pipeline([("scale", StandardScaler()), ("last", model)])
"""
)

Module = Callable[[str, str], Path]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Write a module into the working folder; forget it afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(name: str, text: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return path

    yield write  # type: ignore[misc]  # a fixture's own type is what it yields
    for name in set(sys.modules) - before:
        if (tmp_path / f"{name}.py").exists():
            del sys.modules[name]


@pytest.mark.parametrize("path", ["own_good:make_pipeline", "own_good.py:make_pipeline"])
def test_a_pipeline_of_ones_own_is_found_by_module_and_by_file(module: Module, path: str) -> None:
    module("own_good", GOOD)
    columns, label = pl.DataFrame({"told": np.linspace(-1, 1, 50)}), np.linspace(-2, 2, 50)
    pipeline = make_pipeline(ModelSpec(path), Task.REGRESSION, seed=8)
    fit_pipeline(pipeline, columns, label)
    assert list(pipeline.named_steps) == ["scale", "last"]
    assert pipeline["last"].random_state == 8
    assert predict(pipeline, columns)[-1] > 1.5


def test_parameters_without_a_step_are_those_of_the_last(module: Module) -> None:
    module("own_named", GOOD)
    spec = ModelSpec("own_named:make_pipeline", {"alpha": 7, "scale__with_std": False})
    pipeline = make_pipeline(spec, Task.REGRESSION, seed=0)
    assert (pipeline["last"].alpha, pipeline["scale"].with_std) == (7, False)


def test_a_changed_file_has_another_hash(module: Module) -> None:
    module("own_one", GOOD)
    module("own_two", GOOD + "# changed\n")
    hashes = {OwnPipeline.load(f"{name}:make_pipeline").sha256 for name in ("own_one", "own_two")}
    assert len(hashes) == 2
    assert OwnPipeline.load("own_one.py:make_pipeline").sha256 in hashes


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def make_pipeline(): return Ridge()", "made a Ridge: return a scikit-learn Pipeline"),
        (
            "def make_pipeline(): return Pipeline([('m', LogisticRegression())])",
            "LogisticRegression, which does no",
        ),
        (
            "def make_pipeline(): return Pipeline([('f', FunctionTransformer(lambda x: x)), ('m', Ridge())])",
            "cannot be stored .* no lambda",
        ),
        ("def makepipeline(): ...", "has no function 'make_pipeline'. Did you mean 'makepipeline'"),
        ("import no_such_library", "cannot be imported .*no_such_library"),
        ("def make_pipeline(:", "cannot be imported .*SyntaxError"),
        ("def make_pipeline(): raise OSError('no disk')", "failed to make a pipeline .*OSError: no disk"),
    ],
)
def test_a_function_that_makes_no_use_is_refused_with_the_reason(module: Module, body: str, message: str) -> None:
    name = f"own_{abs(hash(body))}"
    module(name, HEAD + body + "\n")
    with pytest.raises(InvalidInputError, match=message):
        make_pipeline(ModelSpec(f"{name}:make_pipeline"), Task.REGRESSION, seed=0)


def test_a_classifier_without_probabilities_is_refused(module: Module) -> None:
    module("own_hard", HEAD + "def make_pipeline(): return Pipeline([('m', RidgeClassifier())])\n")
    with pytest.raises(InvalidInputError, match="RidgeClassifier, which gives no probabilities"):
        make_pipeline(ModelSpec("own_hard:make_pipeline"), Task.CLASSIFICATION, seed=0)


def test_a_selector_goes_into_the_users_own_steps(module: Module) -> None:
    module("own_selected", GOOD)
    with pytest.raises(InvalidInputError, match="select 3 goes with a preset"):
        make_pipeline(ModelSpec("own_selected:make_pipeline", select=3), Task.REGRESSION, seed=0)


def test_a_file_named_as_a_library_is_refused(module: Module) -> None:
    module("json", GOOD)
    with pytest.raises(InvalidInputError, match="another module named 'json' comes first"):
        make_pipeline(ModelSpec("json.py:make_pipeline"), Task.REGRESSION, seed=0)


def test_a_file_that_is_changed_while_it_is_loaded_is_loaded_again(module: Module) -> None:
    module("own_edited", GOOD)
    before = OwnPipeline.load("own_edited:make_pipeline")
    module("own_edited", GOOD.replace("Ridge(random_state=seed)", "Ridge(alpha=25, random_state=seed)"))
    after = OwnPipeline.load("own_edited:make_pipeline")
    assert before.sha256 != after.sha256
    assert after.make(Task.REGRESSION, 0)["last"].alpha == 25


ODD = (
    HEAD
    + """
import numpy as np


class Classifier(LogisticRegression):
    def predict_proba(self, X):
        probability = super().predict_proba(X)
        return {odd}


class Regressor(Ridge):
    def predict(self, X):
        predicted = super().predict(X)
        return {odd_number}


def make_pipeline(task):
    return Pipeline([("last", Classifier() if task == "classification" else Regressor())])
"""
)


@pytest.mark.parametrize(
    ("task", "odd", "odd_number", "complaint"),
    [
        (
            Task.CLASSIFICATION,
            "probability * np.nan",
            "",
            r"predicts nan in row 0, and so in 50 of 50 rows: .* 0 and 1",
        ),
        (Task.CLASSIFICATION, "probability * [1, 3]", "", r"predicts [12]\.\d+ in row \d+, .* between 0 and 1"),
        (Task.CLASSIFICATION, "probability[:-1]", "", r"predicts shape \(49,\) for 50 rows"),
        (Task.REGRESSION, "", "np.full(len(X), np.inf)", r"predicts inf in row 0, .* a finite number"),
        (Task.REGRESSION, "", "predicted[:, None]", r"predicts shape \(50, 1\) for 50 rows"),
    ],
)
def test_a_prediction_that_is_none_is_refused(
    module: Module, task: Task, odd: str, odd_number: str, complaint: str
) -> None:
    module("own_odd", ODD.format(odd=odd or "probability", odd_number=odd_number or "predicted"))
    columns, label = pl.DataFrame({"told": np.linspace(-1, 1, 50)}), np.linspace(-2, 2, 50)
    pipeline = make_pipeline(ModelSpec("own_odd:make_pipeline"), task, seed=0)
    fit_pipeline(pipeline, columns, (label > 0).astype(np.float64) if task is Task.CLASSIFICATION else label)
    with pytest.raises(InvalidInputError, match=complaint):
        predict(pipeline, columns)


def test_what_is_no_function_is_not_offered_in_its_own_place(module: Module) -> None:
    module("own_constant", "make_pipelines = 3\n")
    with pytest.raises(InvalidInputError, match=r"no function 'make_pipelines'\.$"):
        make_pipeline(ModelSpec("own_constant:make_pipelines"), Task.REGRESSION, seed=0)
